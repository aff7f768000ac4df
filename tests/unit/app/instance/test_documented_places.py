"""The guide of where steps run, tried: every section of an instance file in it loads, and its plug-ins can be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from orchord.instance import InstanceConfig, OrchordInstance
from orchord.instance.plugins import KNOWN_CLASSES

GUIDE = Path(__file__).parents[4] / "docs" / "where-steps-run.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def named_classes(block: str) -> list[str]:
    return re.findall(r"class: (\w+)", block)


@pytest.mark.parametrize("block", BLOCKS, ids=[" ".join(named_classes(block)) for block in BLOCKS])
def test_each_section_can_be_used(block, tmp_path, monkeypatch):
    for variable in re.findall(r"env: (\w+)\}", block):
        monkeypatch.setenv(variable, "c2VjcmV0")
    monkeypatch.setenv("GCS_CREDENTIALS", '{"type": "service_account"}')
    text = block.replace("/srv/logs", str(tmp_path))
    with OrchordInstance(tmp_path, InstanceConfig.parse(yaml.safe_load(text), tmp_path)) as instance:
        assert instance.run_launcher is not None
        assert list(instance.launchers.problems()) == []
        assert instance.compute_log_manager is not None


def test_every_class_of_ours_is_shown():
    shown = GUIDE.read_text()
    known = {*KNOWN_CLASSES["run_launcher"], *KNOWN_CLASSES["compute_logs"]}
    assert {name for name in known if name not in shown} == set()
