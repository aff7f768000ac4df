"""The run queue and pools with real workers and daemons, on both engines: limits held, waiters woken, reasons shown."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchord.instance import OrchordInstance
from orchord.settings import Settings

USER_CODE = str(Path(__file__).parent / "queued_jobs.py")


def configure(deployment: Any, **sections: Any) -> None:
    """Add sections to the instance file of a deployment that is not started yet."""
    file = deployment.home / "orchord.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))


def spans(deployment: Any) -> list[tuple[str, float, float]]:
    """When steps ran, by what they wrote down: name, begin, end."""
    lines = (deployment.home / "spans.txt").read_text().splitlines()
    return sorted((name, float(began), float(ended)) for name, began, ended in map(str.split, lines))


def most_at_once(found: list[tuple[str, float, float]]) -> int:
    """How many of these ran at the same time at most."""
    moments = sorted([(began, 1) for _, began, _ in found] + [(ended, -1) for _, _, ended in found])
    running, most = 0, 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def longest_gap(found: list[tuple[str, float, float]]) -> float:
    """The longest time between the end of one and the beginning of the next, in seconds."""
    times = sorted((began, ended) for _, began, ended in found)
    return max(later[0] - earlier[1] for earlier, later in zip(times, times[1:], strict=False))


def test_a_queue_for_one_run_lets_the_next_go_when_one_ends_and_says_why_others_wait(deployment: Any) -> None:
    configure(deployment, concurrency={"runs": {"max_concurrent_runs": 1}})
    deployment.start_all(USER_CODE)
    run_ids = [deployment.launch("one_plain")["run_id"] for _ in range(4)]
    deployment.wait_until(
        lambda: deployment.run(run_ids[-1]).get("waits_for") is not None, 10, "the reason to be shown"
    )
    assert deployment.run(run_ids[-1])["waits_for"] == "As many runs are under way as max_concurrent_runs allows: 1."
    assert [deployment.wait(run_id)["status"] for run_id in run_ids] == ["SUCCESS"] * 4
    assert most_at_once(spans(deployment)) == 1
    # Woken by the end, not by the poll of five seconds.
    assert longest_gap(spans(deployment)) < 1.0
    types = [item["type"] for item in deployment.client.get(f"/api/v1/runs/{run_ids[0]}/events").json()["items"]]
    assert types[:3] == ["RUN_ENQUEUED", "RUN_DEQUEUED", "RUN_STARTING"]


def test_runs_by_priority_and_tag_limits_and_a_queued_run_is_canceled_for_good(deployment: Any) -> None:
    limits = [{"key": "team", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}]
    configure(
        deployment,
        run_coordinator={
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"tag_concurrency_limits": limits, "dequeue_use_threads": True, "dequeue_num_workers": 2},
        },
    )
    deployment.start_all(USER_CODE)
    first = deployment.launch("one_plain", tags={"team": "a"})["run_id"]
    canceled = deployment.launch("one_plain", tags={"team": "a"})["run_id"]
    later = deployment.launch("one_plain", tags={"team": "a"})["run_id"]
    urgent = deployment.launch("one_plain", tags={"team": "a", "dagster/priority": "5"})["run_id"]
    other = deployment.launch("one_plain", tags={"team": "b"})["run_id"]
    assert deployment.client.post(f"/api/v1/runs/{canceled}/cancel").status_code in (200, 202)
    ended = {run_id: deployment.wait(run_id) for run_id in (first, later, urgent, other, canceled)}
    assert ended[canceled]["status"] == "CANCELED"
    assert ended[urgent]["started_at"] < ended[later]["started_at"]
    assert most_at_once([span for span in spans(deployment) if span[0] == "plain"]) <= 2


def test_a_pool_of_one_slot_holds_steps_of_all_runs_and_wakes_the_next_at_once(deployment: Any) -> None:
    deployment.start_all(USER_CODE, concurrency=4)
    assert deployment.orchord("instance", "concurrency", "set", "db", "1").returncode == 0
    run_ids = [deployment.launch("many_pooled")["run_id"], deployment.launch("one_pooled")["run_id"]]

    def waits() -> bool:
        steps = [step for run_id in run_ids for step in deployment.run(run_id)["steps"]]
        return any(step["waits_for"] == "A free slot of pool 'db'." for step in steps)

    deployment.wait_until(waits, 10, "a step to wait")
    pool = deployment.client.get("/api/v1/pools/db").json()
    assert (pool["limit"], pool["running"]) == (1, 1)
    assert [deployment.wait(run_id)["status"] for run_id in run_ids] == ["SUCCESS"] * 2
    found = spans(deployment)
    assert len(found) == 9
    assert most_at_once(found) == 1
    assert longest_gap(found) < 1.0
    pool = deployment.client.get("/api/v1/pools/db").json()
    assert (pool["running"], pool["waiting"], pool["holders"], pool["waiters"]) == (0, 0, [], [])


def test_steps_in_one_process_and_retried_steps_need_slots_too(deployment: Any) -> None:
    configure(deployment, concurrency={"pools": {"default_limit": 1}})
    deployment.start_all(USER_CODE, concurrency=3)
    jobs = ["pooled_in_process", "one_pooled", "retried", "pooled_in_process"]
    run_ids = [deployment.launch(job)["run_id"] for job in jobs]
    assert [deployment.wait(run_id)["status"] for run_id in run_ids] == ["SUCCESS"] * 4
    assert most_at_once(spans(deployment)) == 1


def test_the_slot_of_a_killed_worker_comes_free_and_the_waiter_goes_on(deployment: Any) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    assert deployment.client.put("/api/v1/pools/db", json={"limit": 1}).status_code == 200
    long = {"ops": {"pooled": {"config": {"seconds": 2.0}}}}
    first = deployment.launch("one_pooled", run_config=long)["run_id"]
    deployment.wait_until(lambda: deployment.client.get("/api/v1/pools/db").json()["running"] == 1, 10, "a holder")
    deployment.kill("worker0")
    deployment.start_worker("worker1", USER_CODE, concurrency=2)
    second = deployment.launch("one_pooled")["run_id"]
    assert deployment.wait(first, 90)["status"] == "SUCCESS"
    assert deployment.wait(second, 90)["status"] == "SUCCESS"
    assert most_at_once(spans(deployment)) == 1


def test_queued_runs_wait_while_all_daemons_are_away(deployment: Any) -> None:
    configure(deployment, run_queue={"max_concurrent_runs": 1})
    deployment.start_all(USER_CODE)
    deployment.kill("daemon")
    run_ids = [deployment.launch("one_plain")["run_id"] for _ in range(3)]
    assert deployment.wait(run_ids[0])["status"] == "SUCCESS"
    assert deployment.run(run_ids[1])["status"] == "QUEUED"
    deployment.start("daemon", "daemon")
    assert [deployment.wait(run_id)["status"] for run_id in run_ids] == ["SUCCESS"] * 3


def hold_the_slot(deployment: Any, seconds: float) -> str:
    """Let a step of another run hold the only slot of pool 'db'; return that run's id."""
    assert deployment.client.put("/api/v1/pools/db", json={"limit": 1}).status_code == 200
    config = {"ops": {"pooled": {"config": {"seconds": seconds}}}}
    run_id: str = deployment.launch("one_pooled", run_config=config)["run_id"]
    deployment.wait_until(lambda: deployment.client.get("/api/v1/pools/db").json()["running"] == 1, 10, "a holder")
    return run_id


def wait_in_place(deployment: Any) -> str:
    """Launch a run that is one process, and wait until that waits for a slot of pool 'db'; return the run's id."""
    run_id: str = deployment.launch("pooled_in_process")["run_id"]
    deployment.wait_until(lambda: deployment.client.get("/api/v1/pools/db").json()["waiting"] == 1, 10, "a waiter")
    return run_id


@pytest.mark.timeout(120)
def test_a_process_that_dies_while_it_waits_for_a_slot_holds_up_neither_its_run_nor_others(deployment: Any) -> None:
    deployment.start_all(USER_CODE, concurrency=2)
    holding = hold_the_slot(deployment, 4.0)
    with OrchordInstance.from_home(Settings(deployment.home, True)) as instance:
        (holder,) = instance.storage.pools.holders("db")
    run_id = wait_in_place(deployment)
    for child in deployment.children_of("worker0"):
        if child != holder.process_id:
            os.kill(child, signal.SIGKILL)
    other = deployment.launch("one_pooled")["run_id"]
    assert deployment.wait(holding, 20)["status"] == "SUCCESS"
    assert [deployment.wait(each, 20)["status"] for each in (run_id, other)] == ["SUCCESS"] * 2
    assert most_at_once(spans(deployment)) == 1


@pytest.mark.timeout(120)
def test_a_worker_that_dies_while_its_run_waits_for_a_slot_holds_up_neither_the_run_nor_others(deployment: Any) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    holding = hold_the_slot(deployment, 6.0)
    deployment.start_worker("worker1", USER_CODE, concurrency=1)
    run_id = wait_in_place(deployment)
    deployment.kill("worker1")
    other = deployment.launch("one_pooled")["run_id"]
    assert deployment.wait(holding, 20)["status"] == "SUCCESS"
    assert [deployment.wait(each, 50)["status"] for each in (run_id, other)] == ["SUCCESS"] * 2
    assert most_at_once(spans(deployment)) == 1
