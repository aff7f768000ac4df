"""Runs that take too long, do not start, or lose what the broker held: each comes to its right end, soon."""

from __future__ import annotations

import threading
import time

import pytest
import redis
import yaml

USER_CODE = "slow_jobs.py"
RUNS = 30


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


@pytest.mark.timeout(240)
def test_runs_in_flight_are_delayed_by_seconds_when_the_broker_is_flushed(deployment, valkey_url: str) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=4)
    runs = [deployment.launch("slow_diamond")["run_id"] for _ in range(RUNS)]
    with redis.Redis.from_url(valkey_url) as client:
        for _ in range(2):
            threading.Event().wait(3)
            client.flushall()
    flushed = time.monotonic()
    # Twelve slow steps of 0.4 s each, in four processes, of which six seconds are over.
    left_seconds = RUNS * 12 * 0.4 / 4 - 6
    for run_id in runs:
        assert deployment.wait(run_id, seconds=120)["status"] == "SUCCESS"
    took = time.monotonic() - flushed
    print(f"ended {took:.1f} s after the second flush, with {left_seconds:.1f} s of work left")
    assert took < left_seconds + 15
