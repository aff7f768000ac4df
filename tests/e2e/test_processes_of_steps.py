"""Steps in processes of their own, on real workers: runs like any other, and crashes that fail a step alone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

USER_CODE = str(Path(__file__).parent / "process_jobs.py")
# What is told of where a step runs, and not of what it does.
ENGINE_EVENTS = {"ENGINE_EVENT", "LOGS_CAPTURED", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS"}


@pytest.fixture
def deployment(valkey_url: str, postgres_url: str, deploy: Callable[..., Any]) -> Any:
    made = deploy(broker=valkey_url, database=postgres_url)
    made.start_all(USER_CODE, concurrency=2)
    return made


def steps_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step_key"]: step for step in run["steps"]}


def story_of(deployment: Any, run: dict[str, Any]) -> dict[str, list[str]]:
    """What happened in each step, in order; the engine's own events aside."""
    answer = deployment.client.get(f"/api/v1/runs/{run['run_id']}/events", params={"limit": 500}).raise_for_status()
    story: dict[str, list[str]] = {}
    for event in answer.json()["items"]:
        if event["step_key"] and event["type"] not in ENGINE_EVENTS:
            story.setdefault(event["step_key"], []).append(event["type"])
    return story


def printed(deployment: Any, run: dict[str, Any], step: str, stream: str = "stdout") -> str:
    answer = deployment.client.get(f"/api/v1/runs/{run['run_id']}/logs/{step}", params={"stream": stream})
    return str(answer.raise_for_status().json()["text"])


def started(deployment: Any, run: dict[str, Any], *steps: str) -> None:
    """Wait until these steps run."""

    def all_run() -> bool:
        now = steps_of(deployment.run(run["run_id"]))
        return all(now[step]["status"] == "RUNNING" for step in steps)

    deployment.wait_until(all_run, 30, f"{', '.join(steps)} to run")


def test_a_run_tells_the_same_story_however_its_processes_are_started(deployment: Any) -> None:
    inline = deployment.wait(deployment.launch("diamond_inline")["run_id"])
    expected = story_of(deployment, inline)
    assert expected["fails_once"].count("STEP_UP_FOR_RETRY") == 1
    for job in ("diamond", "diamond_forked", "diamond_spawned"):
        run = deployment.wait(deployment.launch(job)["run_id"])
        assert run["status"] == "SUCCESS", (job, deployment.logs())
        assert story_of(deployment, run) == expected, job
        assert [one["status"] for one in steps_of(run)["fails_once"]["attempts"]] == ["UP_FOR_RETRY", "SUCCESS"]
        assert steps_of(run)["skipped"]["status"] == "SKIPPED"
        assert "written to the descriptor\nby a child\n" in printed(deployment, run, "whoami"), job
        assert printed(deployment, run, "whoami", "stderr").startswith("to stderr\n"), job


def test_a_process_that_crashes_fails_its_step_with_clear_words_and_no_other_step(deployment: Any) -> None:
    run = deployment.wait(deployment.launch("crashing")["run_id"])
    steps = steps_of(run)
    assert run["status"] == "FAILURE"
    assert "killed by SIGSEGV" in steps["crashes_in_c"]["error"]["message"]
    assert "exit code 3" in steps["leaves"]["error"]["message"]
    assert "killed by SIGKILL" in steps["kills_itself"]["error"]["message"]
    assert [one["status"] for one in steps["crashes_once"]["attempts"]] == ["UP_FOR_RETRY", "SUCCESS"]
    assert steps["passes"]["status"] == steps["beside"]["status"] == "SUCCESS"
    assert "Segmentation fault" in steps["crashes_in_c"]["error"]["stack"]
    assert "in crashes_in_c" in steps["crashes_in_c"]["error"]["stack"]


def test_a_canceled_run_stops_its_processes_softly_and_then_for_good(deployment: Any) -> None:
    polite = deployment.launch("endless_politely")
    started(deployment, polite, "sleeps", "cleans_up")
    # A step runs before its code does.
    deployment.wait_until(lambda: printed(deployment, polite, "cleans_up") == "at work\n", 30, "code to be at work")
    deployment.client.post(f"/api/v1/runs/{polite['run_id']}/cancel").raise_for_status()
    ended = deployment.wait(polite["run_id"])
    assert ended["status"] == "CANCELED"
    assert {step["status"] for step in ended["steps"]} == {"CANCELED"}
    assert printed(deployment, ended, "cleans_up") == "at work\ncleaned up\n"

    stubborn = deployment.launch("endless")
    started(deployment, stubborn, "sleeps", "cleans_up", "holds_the_lock")
    deployment.client.post(f"/api/v1/runs/{stubborn['run_id']}/cancel").raise_for_status()
    ended = deployment.wait(stubborn["run_id"])
    assert ended["status"] == "CANCELED"
    assert {step["status"] for step in ended["steps"]} == {"CANCELED"}


def test_an_op_of_a_job_of_chords_runs_in_a_process_of_its_own_when_its_tag_says_so(deployment: Any) -> None:
    run = deployment.wait(deployment.launch("isolated")["run_id"])
    assert run["status"] == "SUCCESS", deployment.logs()
    there = int(printed(deployment, run, "apart").split()[-1])
    here = int(printed(deployment, run, "whoami").splitlines()[0].split()[-1])
    assert here in deployment.children_of("worker0")
    assert there not in deployment.children_of("worker0")
    crashed = steps_of(run)["crashes_apart_once"]["attempts"]
    assert [one["status"] for one in crashed] == ["UP_FOR_RETRY", "SUCCESS"]
    assert "exit code 5" in crashed[0]["error"]["message"]

    endless = deployment.launch("endless_apart")
    started(deployment, endless, "sleeps_apart")
    deployment.client.post(f"/api/v1/runs/{endless['run_id']}/cancel").raise_for_status()
    assert deployment.wait(endless["run_id"])["status"] == "CANCELED"


def test_a_pool_limits_steps_in_processes_too(deployment: Any) -> None:
    deployment.client.put("/api/v1/pools/narrow", json={"limit": 1}).raise_for_status()
    run = deployment.wait(deployment.launch("pooled")["run_id"])
    assert run["status"] == "SUCCESS", steps_of(run)["overlap"]["error"]


def test_an_executor_of_ones_own_says_which_step_runs_where(deployment: Any) -> None:
    expected = story_of(deployment, deployment.wait(deployment.launch("diamond_inline")["run_id"]))
    config = {"execution": {"config": {"inline": "whoami"}}}
    run = deployment.wait(deployment.launch("diamond_of_ones_own", run_config=config)["run_id"])
    assert run["status"] == "SUCCESS", deployment.logs()
    assert story_of(deployment, run) == expected
    assert int(printed(deployment, run, "whoami").splitlines()[0].split()[-1]) in deployment.children_of("worker0")

    forgotten = deployment.wait(deployment.launch("diamond_forgotten")["run_id"])
    assert forgotten["status"] == "FAILURE"
    assert "returned while steps were still to be done: whoami" in forgotten["error"]["message"]


def test_a_run_whose_process_is_killed_is_taken_over_and_leaves_no_process_behind(
    deployment: Any, postgres_url: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    config = {"ops": {"waits_for_mark": {"config": {"mark": str(mark)}}}}
    run = deployment.launch("taken_over", run_config=config)
    pids = mark.with_suffix(".pids")
    deployment.wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), 30, "the step to run")
    step_process = int(pids.read_text())
    with contextlib.closing(psycopg2.connect(postgres_url.replace("+psycopg2", ""))) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT process_id FROM attempts WHERE step_key = 'waits_for_mark'")
            [(holder,)] = cursor.fetchall()
    assert holder in deployment.children_of("worker0")
    os.kill(holder, signal.SIGKILL)
    deployment.wait_until(lambda: not Path(f"/proc/{step_process}").exists(), 10, "the step's process to end")
    deployment.wait_until(lambda: len(pids.read_text().split()) == 2, 30, "the step to run again")
    mark.touch()
    ended = deployment.wait(run["run_id"])
    assert ended["status"] == "SUCCESS", deployment.logs()
    assert [one["status"] for one in steps_of(ended)["waits_for_mark"]["attempts"]] == ["LOST", "SUCCESS"]
    assert [one["status"] for one in steps_of(ended)["whoami"]["attempts"]] == ["SUCCESS"]
