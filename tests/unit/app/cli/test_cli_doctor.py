"""``orchord doctor``: findings as a table and as JSON, what is mended, and the exit code."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from orchord.cli.main import run


class Finding(NamedTuple):
    """What the examination of this test tells."""

    subject: str
    what: str
    since: datetime | None
    fix: str


AT = datetime(2027, 1, 1, tzinfo=UTC)
LOST = Finding("run 1", "its worker is gone", AT, "start a worker")
AWAY = Finding("broker", "does not answer", None, "start it")


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Finding]:
    """What is wrong, to be filled by the test. Only runs can be mended."""
    found: list[Finding] = []

    class Examination:
        def __init__(self, instance: Any) -> None:
            assert instance.home == tmp_path

        def findings(self) -> list[Finding]:
            return found

        def repair(self, finding: Finding) -> str | None:
            return "sent again" if finding.subject.startswith("run") else None

    module = ModuleType("orchord_beat.examination")
    module.Examination = Examination  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "orchord_beat.examination", module)
    monkeypatch.setenv("ORCHORD_HOME", str(tmp_path))
    return found


def test_nothing_wrong_is_said_and_ends_with_0(findings: list[Finding], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    assert capfd.readouterr().err == "Nothing is wrong.\n"


def test_findings_are_told_and_end_with_1(findings: list[Finding], capfd: pytest.CaptureFixture[str]) -> None:
    findings += [LOST, AWAY]
    assert run(["doctor"]) == 1
    table = capfd.readouterr().out
    assert "its worker is gone" in table
    assert "start a worker" in table
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)[0] == {
        "subject": "run 1",
        "what": "its worker is gone",
        "since": "2027-01-01T00:00:00Z",
        "fix": "start a worker",
        "repaired": None,
    }


def test_what_can_be_mended_is_mended_when_asked(findings: list[Finding], capfd: pytest.CaptureFixture[str]) -> None:
    findings += [LOST]
    assert run(["doctor", "--repair"]) == 0
    assert "done: sent again" in capfd.readouterr().out
    findings += [AWAY]
    assert run(["doctor", "--repair", "--json"]) == 1
    assert [item["repaired"] for item in json.loads(capfd.readouterr().out)] == ["sent again", None]
