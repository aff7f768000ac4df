"""Workers that are restarted in order, as with every release, cost a step a repetition and never its life."""

from __future__ import annotations

import os
import signal

import pytest

USER_CODE = "slow_jobs.py"
RESTARTS = 3


def begin(deployment, attempts: int, run_id: str) -> None:
    def is_running() -> bool:
        made = deployment.run(run_id)["steps"][0]["attempts"]
        return len(made) == attempts and made[-1]["status"] == "RUNNING"

    deployment.wait_until(is_running, 40, f"attempt {attempts} to run")


def statuses(deployment, run_id: str) -> list[str]:
    return [attempt["status"] for attempt in deployment.run(run_id)["steps"][0]["attempts"]]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", ["the worker alone, killed when its time is up", "all its processes at once"])
def test_a_step_that_outlasts_three_orderly_restarts_is_not_given_up(valkey_url: str, deploy, way: str) -> None:
    deployment = deploy(broker=valkey_url)
    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    config = {"ops": {f"sleeps_{n}": {"config": {"seconds": 300.0 if n == 0 else 0.0}} for n in range(4)}}
    run_id = deployment.launch(
        "endless_job" if way.startswith("all") else "in_one_process",
        **({} if way.startswith("all") else {"run_config": config}),
    )["run_id"]
    for number in range(RESTARTS):
        begin(deployment, number + 1, run_id)
        worker = deployment.processes[f"worker{number}"]
        if way.startswith("all"):
            os.killpg(worker.pid, signal.SIGTERM)
            deployment.processes.pop(f"worker{number}").wait(30)
        else:
            worker.terminate()
            with pytest.raises(Exception, match="timed out"):
                worker.wait(4)
            deployment.kill(f"worker{number}")
        deployment.start_worker(f"worker{number + 1}", USER_CODE, concurrency=1)
    begin(deployment, RESTARTS + 1, run_id)
    assert statuses(deployment, run_id) == ["LOST"] * RESTARTS + ["RUNNING"]
    deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert deployment.wait(run_id, seconds=20)["status"] == "CANCELED"
