"""What steps of `orchord job execute` print: uploaded before the command ends, whichever process printed it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from orchord.cli.main import run
from orchord.compute_logs.spool import SPOOL_FOLDER

CODE = """
import orchord as dg

@dg.op
def prints():
    print("a line of the step")

@dg.job
def here():
    prints()

@dg.job(executor_def=dg.multiprocess_executor)
def apart():
    prints()

@dg.executor(name="broken")
def broken(init_context):
    class Broken(dg.Executor):
        def execute(self, plan_context, execution_plan):
            plan_context.run_inline("prints")
            raise RuntimeError("no more")
    return Broken()

@dg.job(executor_def=broken)
def by_a_broken_executor():
    prints()
    prints.alias("again")()

defs = dg.Definitions(jobs=[here, apart, by_a_broken_executor])
"""

STORE = """
from pathlib import Path

from orchord.compute_logs.store import LogStore, StoredComputeLogManager

ROOT = Path({root!r})


class FolderStore(LogStore):
    def put(self, key, data):
        path = ROOT / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())

    def get_range(self, key, offset, limit):
        return (ROOT / key).read_bytes()[offset : offset + limit] if (ROOT / key).exists() else None

    def size(self, key):
        return (ROOT / key).stat().st_size if (ROOT / key).exists() else None

    def delete(self, key):
        (ROOT / key).unlink(missing_ok=True)

    def delete_prefix(self, prefix):
        pass


class FolderLogs(StoredComputeLogManager):
    def __init__(self):
        super().__init__(FolderStore(), local_dir=ROOT / "local")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    home = tmp_path / "home"
    home.mkdir()
    config = {
        "run_launcher": {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher"},
        "compute_logs": {"module": "logs_in_a_folder", "class": "FolderLogs"},
    }
    (home / "orchord.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "logs_in_a_folder.py").write_text(STORE.format(root=str(tmp_path / "kept")))
    (tmp_path / "printing_location.py").write_text(CODE)
    # Each test's own: its folder is written into it.
    monkeypatch.delitem(sys.modules, "logs_in_a_folder", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ORCHORD_HOME", str(home))
    return str(tmp_path / "printing_location.py")


@pytest.mark.parametrize("job", ["here", "apart"])
def test_what_a_step_prints_is_in_the_store_when_the_command_has_ended(
    job: str, code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["job", "execute", job, "-f", code, "--json"]) == 0
    run_id = json.loads(capfd.readouterr().out)["run_id"]
    kept = tmp_path / "kept"
    files = [path for path in (kept / "dagster").rglob("prints.1.out") if run_id in str(path)]
    assert [path.read_text() for path in files] == ["a line of the step\n"]
    # Nothing is left for others to look after.
    assert not list((kept / "local" / SPOOL_FOLDER).rglob("*.out*"))


def test_a_run_whose_executor_fails_has_ended_when_the_command_has(
    code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["job", "execute", "by_a_broken_executor", "-f", code, "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["status"] == "FAILURE"


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, "CANCELED"), (LookupError, "FAILURE")])
def test_a_run_that_the_command_cannot_carry_on_does_not_stay_under_way(
    raised: type[BaseException],
    status: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def breaks(*arguments: object) -> None:
        raise raised("in the middle")

    monkeypatch.setattr("orchord.cli.executing._carried_out", breaks)
    with contextlib.suppress(KeyboardInterrupt, LookupError):
        run(["job", "execute", "here", "-f", code])
    capfd.readouterr()
    assert run(["run", "list", "--json"]) == 0
    assert [one["status"] for one in json.loads(capfd.readouterr().out)] == [status]
