"""SIGKILL in the middle of runs: every run ends right, and no step succeeds twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest

USER_CODE = "slow_jobs.py"
KILLS = 3
RIGHT_TOTAL = 6 * 3
QUICK = {"ops": {f"sleeps_{n}": {"config": {"seconds": 0.0}} for n in range(4)}}


def successes(deployment, run_id: str) -> Counter[str]:
    events: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_after": 0, "has_more": True}
    while page["has_more"]:
        wanted = {"after": page["next_after"], "limit": 1000, "types": "STEP_SUCCESS"}
        page = deployment.client.get(f"/api/v1/runs/{run_id}/events", params=wanted).raise_for_status().json()
        events += page["items"]
    return Counter(event["step_key"] for event in events)


def assert_ended_right(deployment, run_id: str) -> None:
    run = deployment.wait(run_id, seconds=90)
    assert run["status"] == "SUCCESS", deployment.logs()
    counted = successes(deployment, run_id)
    assert counted == {step["step_key"]: 1 for step in run["steps"]}
    assert run["error"] is None


def is_under_way(deployment, run_id: str) -> bool:
    run = deployment.run(run_id)
    return any(step["status"] == "RUNNING" and step["step_key"].startswith("slow") for step in run["steps"])


@pytest.mark.timeout(240)
def test_runs_end_right_when_a_pool_child_is_killed_three_times(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    for _ in range(KILLS):
        run_id = deployment.launch("slow_diamond")["run_id"]
        deployment.wait_until(lambda: is_under_way(deployment, run_id), 20, "a slow step to run")
        os.kill(deployment.children_of("worker0")[0], signal.SIGKILL)
        assert_ended_right(deployment, run_id)


@pytest.mark.timeout(120)
def test_a_killed_pool_child_is_noticed_at_once_however_much_waits_in_the_queue(valkey_url: str, deploy) -> None:
    deployment = deploy(broker=valkey_url)
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    run_id, *others = [deployment.launch("endless_job")["run_id"] for _ in range(4)]

    def attempts() -> list[str]:
        return [attempt["status"] for attempt in deployment.run(run_id)["steps"][0]["attempts"]]

    deployment.wait_until(lambda: attempts() == ["RUNNING"], 20, "the first endless step to run")
    os.kill(deployment.children_of("worker0")[0], signal.SIGKILL)
    deployment.wait_until(lambda: attempts()[0] == "LOST", 5, "the loss to be noticed, with endless steps before it")
    assert [deployment.run(other)["status"] for other in others].count("SUCCESS") == 0


@pytest.mark.timeout(300)
def test_runs_end_right_when_a_whole_worker_is_killed_three_times(deployment) -> None:
    deployment.start_all(USER_CODE, workers=2, concurrency=1)
    for number in range(KILLS):
        run_id = deployment.launch("slow_diamond")["run_id"]
        deployment.wait_until(lambda: is_under_way(deployment, run_id), 20, "a slow step to run")
        name = f"worker{number % 2}"
        deployment.kill(name)
        deployment.start_worker(name, USER_CODE, concurrency=1)
        assert_ended_right(deployment, run_id)


@pytest.mark.timeout(120)
def test_a_run_in_one_process_is_taken_over_where_it_stopped(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    config = {"ops": {f"sleeps_{n}": {"config": {"seconds": 0.5}} for n in range(4)}}
    run_id = deployment.launch("in_one_process", run_config=config)["run_id"]
    deployment.wait_until(
        lambda: deployment.run(run_id)["steps"][1]["status"] == "RUNNING", 20, "the second step to run"
    )
    os.kill(deployment.children_of("worker0")[0], signal.SIGKILL)
    assert_ended_right(deployment, run_id)
    steps = deployment.run(run_id)["steps"]
    assert [len(step["attempts"]) for step in steps] == [1, 2, 1, 1, 1]


@pytest.mark.timeout(120)
def test_a_step_that_kills_its_process_three_times_fails_and_says_so(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    run = deployment.wait(deployment.launch("deadly_job")["run_id"], seconds=60)
    assert run["status"] == "FAILURE"
    (step,) = run["steps"]
    assert [attempt["status"] for attempt in step["attempts"]] == ["LOST", "LOST", "LOST", "FAILURE"]
    assert "died 3 times" in step["error"]["message"]


@pytest.mark.timeout(120)
def test_a_flushed_broker_loses_no_run(deployment, valkey_url: str) -> None:
    import redis

    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    run_id = deployment.launch("slow_diamond")["run_id"]
    deployment.wait_until(lambda: is_under_way(deployment, run_id), 20, "a slow step to run")
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    assert_ended_right(deployment, run_id)


@pytest.mark.timeout(120)
def test_cancel_interrupts_a_running_step_and_the_run_ends_canceled(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    run_id = deployment.launch("endless_job")["run_id"]
    deployment.wait_until(
        lambda: deployment.run(run_id)["steps"][0]["status"] == "RUNNING", 20, "the endless step to run"
    )
    response = deployment.client.post(f"/api/v1/runs/{run_id}/cancel")
    assert response.status_code == 200, response.text
    run = deployment.wait(run_id, seconds=20)
    assert run["status"] == "CANCELED"
    assert [step["status"] for step in run["steps"]] == ["CANCELED", "UPSTREAM_FAILED"]
    again = deployment.launch("slow_diamond")["run_id"]
    assert deployment.wait(again)["status"] == "SUCCESS", "the worker takes no further work"


@pytest.mark.timeout(120)
def test_a_worker_outlives_a_broker_that_refuses_commands_for_a_while(valkey_url: str, deploy) -> None:
    """As Valkey does in a failover (READONLY) or when its memory is full (OOM): an error, but no lost connection."""
    import redis

    deployment = deploy(broker=valkey_url)
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    with redis.Redis.from_url(valkey_url) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            log = deployment.home / "worker0.log"
            deployment.wait_until(
                lambda: any(word in log.read_text() for word in ("UNBLOCKED", "read only replica")), 10, "a refusal"
            )
        finally:
            client.replicaof("NO", "ONE")
    run_id = deployment.launch("in_one_process", run_config=QUICK)["run_id"]
    assert deployment.wait(run_id, seconds=20)["status"] == "SUCCESS"
    assert deployment.processes["worker0"].poll() is None
