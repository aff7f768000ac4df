"""Ticks of schedules that fail are tried again as often as the instance file says, and then fail for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from orchord.events import utc_now
from orchord.instance import InstanceConfig, OrchordInstance
from orchord.instance.sections import ScheduleSettings
from orchord.location import LocationTarget, load_location
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus
from orchord_workers.ticks.runner import TickRunner

CODE = """
import orchord as dg

@dg.job
def nightly(): ...

@dg.schedule(cron_schedule="0 0 * * *", job=nightly)
def breaks(context):
    raise RuntimeError("no such table")

defs = dg.Definitions(jobs=[nightly], schedules=[breaks])
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[OrchordInstance]:
    config = InstanceConfig.default(tmp_path)
    with OrchordInstance(
        tmp_path, msgspec.structs.replace(config, schedules=ScheduleSettings(max_tick_retries=1))
    ) as made:
        made.storage.migrate()
        yield made


def evaluated(instance: OrchordInstance, runner: TickRunner, tick_id: int) -> Tick:
    runner.run([tick_id])
    return instance.storage.ticks.find(tick_id)


def made_tick(instance: OrchordInstance, *, is_dry_run: bool = False) -> int:
    key = InstigatorKey("home", InstigatorKind.SCHEDULE, "breaks")
    new = NewTick(key, "dry:1" if is_dry_run else "2030-01-01T00:00:00Z", utc_now(), 60.0, is_dry_run=is_dry_run)
    (tick,) = instance.storage.ticks.make([new])
    return tick.tick_id


def test_a_failed_tick_waits_for_its_next_try_and_fails_after_the_last(
    instance: OrchordInstance, tmp_path: Path
) -> None:
    (tmp_path / "home.py").write_text(CODE)
    code = load_location(LocationTarget(file=tmp_path / "home.py"))
    runner = TickRunner(instance, code, "worker", 1)
    tick_id = made_tick(instance)
    assert evaluated(instance, runner, tick_id).status is TickStatus.PENDING
    last = evaluated(instance, runner, tick_id)
    assert last.status is TickStatus.FAILURE
    assert last.error is not None
    assert "no such table" in last.error.message


def test_a_dry_run_is_tried_once(instance: OrchordInstance, tmp_path: Path) -> None:
    (tmp_path / "home.py").write_text(CODE)
    code = load_location(LocationTarget(file=tmp_path / "home.py"))
    runner = TickRunner(instance, code, "worker", 1)
    assert evaluated(instance, runner, made_tick(instance, is_dry_run=True)).status is TickStatus.FAILURE
