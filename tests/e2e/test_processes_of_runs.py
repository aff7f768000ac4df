"""Runs in processes of their own: DefaultRunLauncher on real workers, and jobs that the command executes itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

USER_CODE = str(Path(__file__).parent / "process_jobs.py")


@pytest.fixture
def deployment(valkey_url: str, postgres_url: str, deploy: Callable[..., Any]) -> Any:
    made = deploy(broker=valkey_url, database=postgres_url)
    file = made.home / "orchord.yaml"
    content = yaml.safe_load(file.read_text())
    content["run_launcher"] = {"module": "dagster", "class": "DefaultRunLauncher"}
    file.write_text(yaml.safe_dump(content))
    made.start_all(USER_CODE, concurrency=2)
    return made


def steps_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step_key"]: step for step in run["steps"]}


def holders(postgres_url: str, step_key: str) -> list[tuple[str, int]]:
    """Who holds the attempts at a step: worker and process."""
    with contextlib.closing(psycopg2.connect(postgres_url.replace("+psycopg2", ""))) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT worker_id, process_id FROM attempts WHERE step_key = %s ORDER BY attempt", [step_key]
            )
            return [(worker, process) for worker, process in cursor.fetchall()]


def test_a_run_has_a_process_of_its_own_whatever_its_executor(deployment: Any, postgres_url: str) -> None:
    for job, executor in (
        ("diamond_unnamed", "multi_or_in_process_executor"),
        ("diamond", "multiprocess_executor"),
        ("diamond_inline", "in_process_executor"),
    ):
        run = deployment.wait(deployment.launch(job)["run_id"])
        assert run["status"] == "SUCCESS", (job, deployment.logs())
        assert run["executor"] == executor
        assert [one["status"] for one in steps_of(run)["fails_once"]["attempts"]] == ["UP_FOR_RETRY", "SUCCESS"]
    workers = {worker for worker, _ in holders(postgres_url, "whoami")}
    processes = {process for _, process in holders(postgres_url, "whoami")}
    assert len(workers) == len(processes) == 3
    assert not processes & set(deployment.children_of("worker0"))


def test_a_run_in_a_process_of_its_own_is_canceled(deployment: Any) -> None:
    run = deployment.launch("endless_politely")
    deployment.wait_until(
        lambda: {step["status"] for step in deployment.run(run["run_id"])["steps"]} == {"RUNNING"}, 30, "both to run"
    )
    deployment.client.post(f"/api/v1/runs/{run['run_id']}/cancel").raise_for_status()
    ended = deployment.wait(run["run_id"])
    assert ended["status"] == "CANCELED"
    assert {step["status"] for step in ended["steps"]} == {"CANCELED"}


def test_a_run_whose_own_process_is_killed_goes_on_in_another(
    deployment: Any, postgres_url: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    config = {"ops": {"waits_for_mark": {"config": {"mark": str(mark)}}}}
    run = deployment.launch("taken_over", run_config=config)
    pids = mark.with_suffix(".pids")
    deployment.wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), 30, "the step to run")
    step_process = int(pids.read_text())
    [(_, holder)] = holders(postgres_url, "waits_for_mark")
    # The process that carries the run out, and its parent, which would attend to it: as a kill of the whole container.
    parent = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    os.kill(holder, signal.SIGKILL)
    deployment.wait_until(lambda: not Path(f"/proc/{step_process}").exists(), 10, "the step's process to end")
    deployment.wait_until(lambda: len(pids.read_text().split()) == 2, 60, "the step to run again")
    mark.touch()
    ended = deployment.wait(run["run_id"])
    assert ended["status"] == "SUCCESS", deployment.logs()
    assert [one["status"] for one in steps_of(ended)["waits_for_mark"]["attempts"]] == ["LOST", "SUCCESS"]
    assert [one["status"] for one in steps_of(ended)["whoami"]["attempts"]] == ["SUCCESS"]


@pytest.fixture
def executed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``orchord job execute`` in a home of the test's own."""
    home = tmp_path / "home"
    home.mkdir()

    def execute(job: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchord.cli.main", "job", "execute", job, "-f", USER_CODE, "--json", *arguments],
            env={**os.environ, "ORCHORD_HOME": str(home)},
            text=True,
            capture_output=True,
            timeout=100,
            check=False,
        )

    subprocess.run(
        [sys.executable, "-m", "orchord.cli.main", "instance", "migrate"],
        env={**os.environ, "ORCHORD_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return execute


def test_the_command_executes_a_job_by_the_jobs_own_executor(
    executed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for job, executor in (
        ("diamond", "multiprocess_executor"),
        ("diamond_spawned", "multiprocess_executor"),
        ("diamond_unnamed", "in_process_executor"),
    ):
        done = executed(job)
        assert done.returncode == 0, done.stderr
        run = json.loads(done.stdout)
        assert (run["status"], run["executor"]) == ("SUCCESS", executor)
    own = executed("diamond_of_ones_own", "--config-json", '{"execution": {"config": {"inline": "whoami"}}}')
    assert json.loads(own.stdout)["status"] == "SUCCESS", own.stderr
    crashed = executed("crashing")
    assert crashed.returncode == 1
    assert "killed by SIGSEGV" in crashed.stderr
