"""docs/instance-file.md tells every section and every key, with the default that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from orchord.instance import InstanceConfig
from orchord.instance.notices import SECTIONS_WITHOUT_EFFECT
from orchord.instance.queue_section import QueueConfig
from orchord.instance.sections import (
    CelerySettings,
    PoolSettings,
    RetentionSettings,
    RunMonitoringSettings,
    RunRetention,
    RunRetrySettings,
    ScheduleSettings,
    TickRetention,
    TickSettings,
)

PAGE = Path(__file__).parents[4] / "docs" / "instance-file.md"

# What the page says in words of its own, or what depends on other keys.
_SAID_OTHERWISE = {
    (CelerySettings, "result_backend"),
    (CelerySettings, "worker_concurrency"),
    (QueueConfig, "max_concurrent_runs"),
    (QueueConfig, "dequeue_num_workers"),
    (QueueConfig, "block_op_concurrency_limited_runs"),
    (TickSettings, "num_workers"),
    (ScheduleSettings, "num_workers"),
}


def rows() -> dict[str, list[str]]:
    """Return the defaults that the page's tables tell, by key: a key may be in several tables."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `") or len(cells) != 3:
            continue
        keys, defaults = re.findall(r"`([^`]+)`", cells[0]), cells[1].split(", ")
        for number, key in enumerate(keys):
            default = defaults[number] if len(defaults) == len(keys) else cells[1]
            found.setdefault(key.rpartition(".")[2], []).append(default.strip("`"))
    return found


def as_told(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value in (None, ()) else str(value)


@pytest.mark.parametrize(
    "section",
    [
        CelerySettings,
        QueueConfig,
        RunMonitoringSettings,
        RunRetrySettings,
        TickSettings,
        ScheduleSettings,
        PoolSettings,
    ],
)
def test_every_key_is_told_with_its_default(section: type[msgspec.Struct]) -> None:
    told = rows()
    made = section()
    for field in msgspec.structs.fields(section):
        assert field.name in told, f"{field.name} is missing"
        if (section, field.name) not in _SAID_OTHERWISE:
            assert as_told(getattr(made, field.name)) in told[field.name], field.name


def test_every_status_of_retention_and_every_section_is_told() -> None:
    text = PAGE.read_text()
    names = {
        *SECTIONS_WITHOUT_EFFECT,
        *RetentionSettings.__struct_fields__,
        *TickRetention.__struct_fields__,
        *RunRetention.__struct_fields__,
        *("storage", "run_storage", "event_log_storage", "schedule_storage", "local_artifact_storage", "compute_logs"),
        *("run_launcher", "run_coordinator", "scheduler", "run_queue", "concurrency", "retention"),
    }
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_the_pages_own_file_is_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHORD_PG_PASSWORD", "x")
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    config = InstanceConfig.parse(yaml.safe_load(block), tmp_path)
    assert config.run_coordinator.config == {"max_concurrent_runs": 25}
    assert config.without_effect == ()
