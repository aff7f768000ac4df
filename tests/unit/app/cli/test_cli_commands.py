"""The commands as a user types them: what they print, to which stream, and the exit code that they end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from orchord.cli.main import run

CODE = """
import sys
import orchord as dg

class Wanted(dg.Config):
    limit: int
    label: str = "none"

@dg.op
def number():
    print("one is printed")
    return 1

@dg.op
def double(context: dg.OpExecutionContext, number):
    context.log.info("doubling")
    return number * 2

@dg.op
def configured_op(config: Wanted):
    return config.limit

@dg.op
def broken():
    raise ValueError("it broke")

@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def flaky(context: dg.OpExecutionContext):
    if context.retry_number == 0:
        raise RuntimeError("not yet")

@dg.job(tags={"team": "data"}, description="Twice one")
def doubled():
    double(number())

@dg.job
def needs_config():
    configured_op()

@dg.job
def failing():
    double(broken())

@dg.job
def retrying():
    flaky()

@dg.asset(group_name="numbers", kinds={"python"})
def first():
    return 1

@dg.asset(group_name="numbers")
def second(first):
    return first + 1

defs = dg.Definitions(jobs=[doubled, needs_config, failing, retrying], assets=[first, second])
"""


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Cli = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    _configure(folder)
    monkeypatch.setenv("ORCHORD_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def code(tmp_path: Path) -> str:
    path = tmp_path / "cli_location.py"
    path.write_text(CODE)
    return str(path)


@pytest.fixture
def cli(home: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str) -> Done:
        capfd.readouterr()
        exit_code = run(arguments)
        captured = capfd.readouterr()
        assert "app/orchord/" not in captured.err  # tracebacks are of the user's own frames
        return Done(exit_code, captured.out, captured.err)

    return call


def _configure(home: Path, **launcher: Any) -> None:
    plugin = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher", "config": launcher}
    (home / "orchord.yaml").write_text(yaml.safe_dump({"run_launcher": plugin}))


class TestJobs:
    def test_are_listed_without_the_implicit_one(self, cli: Cli, code: str) -> None:
        done = cli("job", "list", "-f", code, "--json")
        assert done.code == 0
        assert [item["name"] for item in done.json] == ["doubled", "needs_config", "failing", "retrying"]
        table = cli("job", "list", "-f", code).out
        assert "Twice one" in table
        assert "__ASSET_JOB" not in table

    def test_are_printed_with_steps_and_schema(self, cli: Cli, code: str) -> None:
        printed = cli("job", "print", "doubled", "-f", code, "--json").json
        assert [(step["key"], step["upstream"]) for step in printed["steps"]] == [
            ("number", []),
            ("double", ["number"]),
        ]
        assert printed["config_schema"]["type"] == "object"
        assert "double  number" in cli("job", "print", "doubled", "-f", code).out

    def test_are_launched_and_recorded(self, cli: Cli, code: str) -> None:
        launched = cli("job", "launch", "doubled", "-f", code, "--tags", '{"who": "me"}', "--json")
        assert launched.code == 0
        shown = cli("run", "show", launched.json["run_id"], "--json").json
        assert shown["status"] == "SUCCESS"
        assert shown["tags"] == {"team": "data", "who": "me"}
        assert [attempt["step_key"] for attempt in shown["attempts"]] == ["number", "double"]

    def test_that_wait_in_the_queue_say_for_what(self, cli: Cli, code: str, home: Path) -> None:
        (home / "orchord.yaml").write_text("concurrency: {runs: {max_concurrent_runs: 0}}")
        launched = cli("job", "launch", "doubled", "-f", code, "--json").json
        shown = cli("run", "show", launched["run_id"]).out
        assert "status   QUEUED" in shown
        assert "The run queue is paused: max_concurrent_runs is 0." in shown

    def test_are_launched_by_name_alone_once_their_location_is_known(self, cli: Cli, code: str) -> None:
        assert cli("job", "launch", "doubled", "-f", code).code == 0
        waited = cli("job", "launch", "doubled", "--wait")
        assert waited.code == 0
        assert "SUCCESS" in waited.out
        assert "STEP_SUCCESS" in waited.err
        assert cli("job", "launch", "doubled", "--op-selection", "number", "--wait", "--json").json["step_keys"] == [
            "number"
        ]

    def test_that_fail_end_the_wait_with_1_and_their_errors(self, cli: Cli, code: str, home: Path) -> None:
        _configure(home, failing_steps=["number"])
        done = cli("job", "launch", "doubled", "-f", code, "--wait", "--json")
        assert (done.code, done.json["status"]) == (1, "FAILURE")
        assert "was told to fail" in done.err

    def test_the_same_idempotency_key_gives_the_same_run(self, cli: Cli, code: str) -> None:
        ids = {
            cli("job", "launch", "doubled", "-f", code, "--idempotency-key", "k", *wait, "--json").json["run_id"]
            for wait in ((), ("--wait",))
        }
        assert len(ids) == 1

    def test_that_do_not_exist_are_not_found_with_the_nearest_name(self, cli: Cli, code: str) -> None:
        for action in ("print", "launch", "execute"):
            done = cli("job", action, "doubleed", "-f", code)
            assert (done.code, done.out) == (1, "")
            assert "'doubleed'" in done.err
            assert "Did you mean 'doubled'?" in done.err

    def test_a_launch_without_any_location_says_what_to_start(self, cli: Cli) -> None:
        done = cli("job", "launch", "doubled")
        assert done.code == 1
        assert "orchord worker -m MODULE" in done.err

    def test_every_mistake_of_a_config_is_listed(self, cli: Cli, code: str) -> None:
        config = '{"ops": {"configured_op": {"config": {"limit": "many", "lable": "x"}}}}'
        for action in ("launch", "execute"):
            done = cli("job", action, "needs_config", "-f", code, "--config-json", config)
            assert (done.code, done.out) == (2, "")
            assert "limit" in done.err
            assert "Did you mean 'label'?" in done.err

    def test_the_config_of_several_files_is_merged(self, cli: Cli, code: str, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("ops: {configured_op: {config: {limit: 1, label: a}}}")
        (tmp_path / "b.yaml").write_text("ops: {configured_op: {config: {limit: 2}}}")
        files = ["-c", str(tmp_path / "a.yaml"), "-c", str(tmp_path / "b.yaml")]
        done = cli("job", "launch", "needs_config", "-f", code, *files, "--json")
        assert done.json["run_config"]["ops"]["configured_op"]["config"] == {"limit": 2, "label": "a"}

    def test_unknown_ops_of_a_selection_are_bad_input(self, cli: Cli, code: str) -> None:
        done = cli("job", "launch", "doubled", "-f", code, "--op-selection", "nmber,dble")
        assert done.code == 2
        assert "nmber" in done.err
        assert "dble" in done.err


class TestExecuting:
    def test_a_job_here_records_its_run_and_what_it_printed(self, cli: Cli, code: str) -> None:
        done = cli("job", "execute", "doubled", "-f", code, "--json")
        assert (done.code, done.json["status"]) == (0, "SUCCESS")
        assert done.json["executor"] == "in_process_executor"
        assert "doubling" in done.err
        logs = cli("run", "logs", done.json["run_id"]).out
        assert "number stdout | one is printed" in logs
        assert "RUN_SUCCESS" in logs
        assert "doubling" in logs

    def test_values_are_stored_as_launched_runs_store_them(self, cli: Cli, code: str, home: Path) -> None:
        run_id = cli("job", "execute", "doubled", "-f", code, "--json").json["run_id"]
        assert (home / "storage" / run_id / "double" / "result").is_file()

    def test_a_failing_job_shows_the_users_error(self, cli: Cli, code: str) -> None:
        done = cli("job", "execute", "failing", "-f", code)
        assert done.code == 1
        assert "ValueError: it broke" in done.err
        assert "FAILURE" in done.out
        attempts = cli("run", "show", _only_run(cli), "--json").json["attempts"]
        assert [item["status"] for item in attempts] == ["FAILURE", "UPSTREAM_FAILED"]

    def test_a_retry_is_another_attempt(self, cli: Cli, code: str) -> None:
        assert cli("job", "execute", "retrying", "-f", code).code == 0
        attempts = cli("run", "show", _only_run(cli), "--json").json["attempts"]
        assert [(item["attempt"], item["retry_number"], item["status"]) for item in attempts] == [
            (1, 0, "UP_FOR_RETRY"),
            (2, 1, "SUCCESS"),
        ]

    def test_assets_are_materialized_by_selection(self, cli: Cli, code: str) -> None:
        done = cli("asset", "materialize", "-f", code, "--select", "+second", "--json")
        assert (done.code, done.json["asset_selection"]) == (0, ["first", "second"])
        kinds = [
            json.loads(line)["type"] for line in cli("run", "logs", done.json["run_id"], "--json").out.splitlines()
        ]
        assert kinds.count("ASSET_MATERIALIZATION") == 2

    def test_unknown_assets_are_bad_input(self, cli: Cli, code: str) -> None:
        done = cli("asset", "materialize", "-f", code, "--select", "secnd")
        assert done.code == 2
        assert "second" in done.err


class TestAssets:
    def test_are_listed_as_selected(self, cli: Cli, code: str) -> None:
        assert [item["key"] for item in cli("asset", "list", "-f", code, "--json").json] == ["first", "second"]
        chosen = cli("asset", "list", "-f", code, "--select", "kind:python", "--json").json
        assert [(item["key"], item["group"]) for item in chosen] == [("first", "numbers")]


class TestRuns:
    def test_are_listed_newest_first_and_by_filter(self, cli: Cli, code: str) -> None:
        for job in ("doubled", "failing", "doubled"):
            cli("job", "execute", job, "-f", code)
        listed = cli("run", "list", "--json").json
        assert [item["job_name"] for item in listed] == ["doubled", "failing", "doubled"]
        assert len(cli("run", "list", "--status", "failure", "--json").json) == 1
        assert len(cli("run", "list", "--tag", "team=data", "--json").json) == 2
        assert len(cli("run", "list", "--before", listed[1]["run_id"], "--json").json) == 1
        assert "failing" in cli("run", "list", "--job", "failing").out

    def test_of_none_the_list_is_empty(self, cli: Cli) -> None:
        assert cli("run", "list", "--json").json == []
        done = cli("run", "list")
        assert (done.code, done.out, done.err) == (0, "", "No runs.\n")

    def test_a_tag_without_a_value_is_bad_input(self, cli: Cli) -> None:
        assert cli("run", "list", "--tag", "team").code == 2

    @pytest.mark.parametrize("action", ["show", "wait", "cancel", "logs"])
    def test_that_do_not_exist_are_not_found(self, cli: Cli, action: str) -> None:
        done = cli("run", action, "no-such-run")
        assert (done.code, done.out) == (1, "")
        assert "No run has the id 'no-such-run'" in done.err

    def test_are_waited_for_as_long_as_is_asked(self, cli: Cli, code: str, home: Path) -> None:
        _configure(home, unfinished=True)
        run_id = cli("job", "launch", "doubled", "-f", code, "--json").json["run_id"]
        waited = cli("run", "wait", run_id, "--timeout", "0.1")
        assert waited.code == 1
        assert "is still STARTING" in waited.out
        assert cli("run", "cancel", run_id, "--json").json["status"] == "CANCELED"
        assert cli("run", "wait", run_id).code == 1
        again = cli("run", "cancel", run_id)
        assert again.code == 1
        assert "has ended" in again.err

    def test_are_deleted_when_they_have_ended(self, cli: Cli, code: str, home: Path) -> None:
        run_id = cli("job", "execute", "doubled", "-f", code, "--json").json["run_id"]
        assert cli("run", "delete", run_id, "--yes", "--json").json == {"deleted": [run_id]}
        assert cli("run", "list", "--json").json == []
        _configure(home, unfinished=True)
        unfinished = cli("job", "launch", "doubled", "-f", code, "--json").json["run_id"]
        assert cli("run", "delete", unfinished, "--yes").code == 1

    def test_the_logs_of_one_step_are_its_own(self, cli: Cli, code: str) -> None:
        run_id = cli("job", "execute", "doubled", "-f", code, "--json").json["run_id"]
        lines = [json.loads(line) for line in cli("run", "logs", run_id, "--step", "number", "--json").out.splitlines()]
        assert {line["step_key"] for line in lines} == {"number"}
        outputs = [line for line in lines if line["type"] == "OUTPUT"]
        assert [(line["stream"], line["text"]) for line in outputs] == [("stdout", "one is printed")]
        without = cli("run", "logs", run_id, "--no-output", "--follow").out
        assert "one is printed" not in without


class TestDefinitions:
    def test_that_load_are_counted(self, cli: Cli, code: str) -> None:
        done = cli("definitions", "validate", "-f", code)
        assert (done.code, done.out) == (0, "cli_location is valid: 4 jobs, 2 assets.\n")
        assert cli("definitions", "validate", "-f", code, "--json").json[0]["valid"] is True

    def test_that_do_not_load_show_the_users_own_traceback(self, cli: Cli, tmp_path: Path) -> None:
        path = tmp_path / "broken_location.py"
        path.write_text("def oops():\n    raise KeyError('mine')\n\noops()\n")
        done = cli("definitions", "validate", "-f", str(path))
        assert (done.code, done.out) == (2, "")
        assert "in oops" in done.err
        assert "KeyError: 'mine'" in done.err
        assert "app/orchord" not in done.err
        invalid = cli("definitions", "validate", "-f", str(path), "--json")
        assert (invalid.code, invalid.json[0]["valid"]) == (2, False)

    def test_a_job_that_could_run_nowhere_is_told_with_the_reason(self, cli: Cli, tmp_path: Path) -> None:
        path = tmp_path / "in_memory.py"
        path.write_text(
            "import orchord as dg\n"
            "@dg.op\ndef make(): return 1\n"
            "@dg.op(tags={'orchord/isolation': 'cellar'})\ndef take(x): return x\n"
            "@dg.job(executor_def=dg.multiprocess_executor, resource_defs={'io_manager': dg.mem_io_manager})\n"
            "def apart(): take(make())\n"
            "defs = dg.Definitions(jobs=[apart])\n"
        )
        done = cli("definitions", "validate", "-f", str(path))
        assert done.code == 2
        assert "Code location 'in_memory' has jobs that cannot run (2 mistakes)" in done.err
        assert "job 'apart': step 'take': its tag orchord/isolation is 'cellar'." in done.err
        assert "job 'apart': IO manager 'io_manager': it keeps values in the memory of one process" in done.err
        executed = cli("job", "execute", "apart", "-f", str(path))
        assert executed.code == 2
        assert "Job 'apart' cannot be executed here" in executed.err
        assert "IO manager 'io_manager': it keeps values in the memory of one process" in executed.err

    def test_of_an_unknown_module_are_bad_input(self, cli: Cli) -> None:
        done = cli("definitions", "validate", "-m", "no_such_module_at_all")
        assert done.code == 2
        assert "no_such_module_at_all" in done.err

    def test_without_any_code_the_ways_to_name_some_are_told(self, cli: Cli) -> None:
        done = cli("definitions", "validate")
        assert done.code == 2
        assert "-m MODULE, -f FILE or -w WORKSPACE" in done.err

    def test_the_workspace_of_the_working_directory_is_taken(self, cli: Cli, code: str, tmp_path: Path) -> None:
        (tmp_path / "workspace.yaml").write_text("load_from: [{python_file: cli_location.py}]")
        assert cli("definitions", "validate").code == 0
        (tmp_path / "workspace.yaml").write_text("load_form: []")
        done = cli("definitions", "validate")
        assert done.code == 2
        assert "load_from" in done.err

    def test_the_module_that_the_project_names_is_taken(self, cli: Cli, code: str, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "cli_location"\n')
        assert "cli_location is valid" in cli("definitions", "validate").out


class TestInstance:
    def test_is_described_with_what_is_missing(self, cli: Cli, home: Path) -> None:
        fresh = cli("instance", "info", "--json")
        assert fresh.code == 1
        assert "orchord instance migrate" in fresh.json["problems"]["database"]
        migrated = cli("instance", "migrate", "--json")
        assert (migrated.code, migrated.json["migrated"]) == (0, True)
        info = cli("instance", "info", "--json")
        assert info.code == 0
        assert info.json["home"] == str(home)
        assert info.json["run_launcher"] == "FakeRunLauncher"
        assert "orchord.db" in cli("instance", "info").out

    def test_shows_what_of_its_file_changes_nothing(self, cli: Cli, home: Path) -> None:
        (home / "orchord.yaml").write_text("telemetry: {enabled: false}\n")
        cli("instance", "migrate")
        info = cli("instance", "info")
        assert "without effect    telemetry: nothing is ever sent" in info.out
        assert cli("instance", "info", "--json").json["run_launcher"] == "CeleryRunLauncher"

    def test_every_mistake_of_its_file_is_listed(self, cli: Cli, home: Path) -> None:
        (home / "orchord.yaml").write_text("celery: {brokr: 1}\nstorrage: {}\n")
        done = cli("run", "list")
        assert done.code == 2
        assert "Did you mean 'broker'?" in done.err
        assert "Did you mean 'storage'?" in done.err

    def test_a_database_that_does_not_answer_is_told_without_a_traceback(self, cli: Cli, home: Path) -> None:
        url = "postgresql://someone:secret@127.0.0.1:1/nothing"
        (home / "orchord.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}}))
        done = cli("run", "list")
        assert done.code == 1
        assert "127.0.0.1:1" in done.err
        assert "secret" not in done.err

    def test_a_run_waits_for_a_broker_that_does_not_answer(self, cli: Cli, home: Path, code: str) -> None:
        (home / "orchord.yaml").write_text("celery: {broker: 'redis://:secret@127.0.0.1:1/0'}")
        done = cli("job", "launch", "doubled", "-f", code)
        assert done.code == 0
        assert "STARTING" in cli("run", "list").out
        assert "secret" not in done.err + done.out


class TestUsage:
    def test_an_unknown_command_or_option_is_2(self, cli: Cli) -> None:
        assert cli("jbo").code == 2
        assert cli("job", "list", "--no-such-option").code == 2
        assert cli("job", "launch", "x", "--timeout", "3").code == 2
        assert cli("job", "execute", "x", "--config-json", "[").code == 2

    def test_every_command_has_help(self, cli: Cli) -> None:
        for command in ("dev", "api", "worker", "daemon", "job", "asset", "run", "definitions", "instance"):
            done = cli(command, "--help")
            assert done.code == 0
            assert "Usage:" in done.out


def _only_run(cli: Cli) -> str:
    (found,) = cli("run", "list", "--json").json
    return str(found["run_id"])
