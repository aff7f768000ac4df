"""``orchord instance concurrency``: limits of pools are set, shown and deleted by command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchord.cli.main import run

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    plugin = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher"}
    content = {"run_launcher": plugin, "concurrency": {"pools": {"default_limit": 7}}}
    (tmp_path / "orchord.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("ORCHORD_HOME", str(tmp_path))

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(("instance", "concurrency", *arguments))
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_limit_is_set_shown_and_deleted(cli: Cli) -> None:
    assert cli("set", "db", "3") == (0, "Pool 'db' has 3 slot(s) now.\n", "")
    code, out, _ = cli("get", "db", "--json")
    assert code == 0
    assert json.loads(out) == {
        "name": "db", "limit": 3, "is_default": False, "running": 0, "waiting": 0, "holders": [], "waiters": [],
    }  # fmt: skip
    assert cli("get", "db")[1] == "db: limit 3, 0 running, 0 waiting\n"
    table = cli("get")[1]
    assert table.split() == ["pool", "limit", "running", "waiting", "db", "3", "0", "0"]
    assert cli("get", "--all")[1] == table
    assert cli("delete", "db")[1] == "Pool 'db' has the default limit again: 7.\n"


def test_without_pools_that_is_said(cli: Cli) -> None:
    assert cli("get")[2] == "No pools.\n"
    assert cli("get", "--json")[1] == "[]\n"


def test_mistakes_are_told_by_exit_code_and_words(cli: Cli) -> None:
    cli("set", "database", "1")
    code, _, err = cli("get", "databse")
    assert code == 1
    assert "No pool is called 'databse'. Did you mean 'database'?" in err
    code, _, err = cli("delete", "other")
    assert code == 1
    assert "Pool 'other' has no limit of its own" in err
    code, _, err = cli("set", "db", "-1")
    assert code == 2
    assert "-1 is not in the range" in err
    assert cli("get", "db", "--all")[0] == 2
