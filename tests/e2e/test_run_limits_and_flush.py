"""Runs that take too long, do not start, or lose what the broker held: each comes to its right end, soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import redis
import yaml

USER_CODE = "slow_jobs.py"
RUNS = 12


def configure(deployment, **sections) -> None:
    file = deployment.home / "orchord.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))


@pytest.mark.timeout(180)
def test_a_run_past_its_longest_time_is_stopped_and_fails_and_one_that_nobody_starts_fails(deployment) -> None:
    configure(deployment, run_monitoring={"enabled": True, "start_timeout_seconds": 3})
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    limited = deployment.launch("endless_job", tags={"dagster/max_runtime": "2"})["run_id"]
    run = deployment.wait(limited, seconds=20)
    assert run["status"] == "FAILURE"
    assert run["error"]["message"] == "The run took longer than 2 s (its tag orchord/max_runtime)."
    assert run["steps"][0]["status"] == "CANCELED"

    deployment.kill("worker0")
    deployment.wait_until(lambda: deployment.client.get("/api/v1/locations").status_code == 200, 5, "the API to answer")
    unstarted = deployment.launch("endless_job")["run_id"]
    run = deployment.wait(unstarted, seconds=30)
    assert run["status"] == "FAILURE"
    assert "has not started in 3 s (run_monitoring: start_timeout_seconds)" in run["error"]["message"]


def seconds_for_runs(deployment, flushes: Callable[[], object]) -> float:
    """Launch runs, flush what is to be flushed while they go on, and return how long it took until all had ended."""
    started = time.monotonic()
    runs = [deployment.launch("slow_diamond")["run_id"] for _ in range(RUNS)]
    for _ in range(2):
        threading.Event().wait(2)
        flushes()
    for run_id in runs:
        assert deployment.wait(run_id, seconds=120)["status"] == "SUCCESS"
    return time.monotonic() - started


@pytest.mark.timeout(240)
def test_runs_in_flight_are_delayed_by_seconds_when_the_broker_is_flushed(deployment, valkey_url: str) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=4)
    undisturbed = seconds_for_runs(deployment, lambda: None)
    with redis.Redis.from_url(valkey_url) as client:
        flushed = seconds_for_runs(deployment, client.flushall)
    print(f"{RUNS} runs took {undisturbed:.1f} s, and {flushed:.1f} s with two flushes")
    assert flushed < undisturbed + 15
