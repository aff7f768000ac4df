"""Canceled runs end, soon, and stay CANCELED: with a word from the broker or without, softly or by force."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

USER_CODE = "stopping_jobs.py"


def begin(deployment, job: str, **body: Any) -> str:
    run_id = deployment.launch(job, **body)["run_id"]
    deployment.wait_until(
        lambda: any(step["attempts"] for step in deployment.run(run_id)["steps"]), 20, f"a step of {job} to begin"
    )
    return run_id


def cancel(deployment, run_id: str, **query: str) -> dict[str, Any]:
    response = deployment.client.post(f"/api/v1/runs/{run_id}/cancel", params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def assert_free(deployment) -> None:
    """The worker's children take further work: nobody of them is still busy with a canceled run."""
    runs = [deployment.launch("quick_job")["run_id"] for _ in range(4)]
    assert [deployment.wait(run_id, seconds=20)["status"] for run_id in runs] == ["SUCCESS"] * 4


@pytest.mark.timeout(240)
def test_canceled_runs_end_and_their_workers_are_free_again(deployment, tmp_path: Path) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=3)

    note = tmp_path / "note"
    noted = begin(deployment, "noted_job", run_config={"ops": {"noted": {"config": {"note": str(note)}}}})
    cancel(deployment, noted)
    assert deployment.wait(noted, seconds=5)["status"] == "CANCELED"
    assert note.read_text() == "ExecutionInterrupted", "the failure hook of a step that was interrupted did not run"

    # The step of this run swallows the interruption, and the one of that runs no Python at all.
    deaf = {job: begin(deployment, job) for job in ("stubborn_job", "in_c_job")}
    for run_id in deaf.values():
        cancel(deployment, run_id)
    for job, run_id in deaf.items():
        run = deployment.wait(run_id, seconds=30)
        assert (run["status"], [step["status"] for step in run["steps"]]) == ("CANCELED", ["CANCELED"]), job
    assert_free(deployment)


@pytest.mark.timeout(240)
def test_a_run_that_waits_for_a_retry_is_canceled_at_once(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    for job in ("waiting_job", "waiting_in_one_process"):
        run_id = deployment.launch(job)["run_id"]
        deployment.wait_until(
            lambda run_id=run_id: deployment.run(run_id)["steps"][0]["status"] == "UP_FOR_RETRY", 20, "a retry to wait"
        )
        cancel(deployment, run_id)
        assert deployment.wait(run_id, seconds=4)["status"] == "CANCELED", job
    assert_free(deployment)


@pytest.mark.timeout(240)
def test_a_run_canceled_by_force_is_over_at_once_and_its_process_is_stopped_all_the_same(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    runs = [begin(deployment, job) for job in ("stubborn_job", "in_c_job")]
    children = set(deployment.children_of("worker0"))
    for run_id in runs:
        assert cancel(deployment, run_id, force="true")["status"] == "CANCELED"
    deployment.wait_until(
        lambda: not children & set(deployment.children_of("worker0")), 25, "the deaf children to be replaced"
    )
    assert_free(deployment)
    for run_id in runs:
        assert deployment.run(run_id)["status"] == "CANCELED", "a final status changed"


@pytest.mark.timeout(240)
def test_a_canceled_run_ends_when_the_broker_loses_every_word_of_it(deployment, valkey_url: str) -> None:
    """The row alone says that the run is canceled: nobody was told."""
    from sqlalchemy import text

    from orchord.instance import OrchordInstance
    from orchord.settings import Settings

    deployment.start_all(USER_CODE, workers=1, concurrency=1)
    run_id = begin(deployment, "stubborn_job")
    started = time.monotonic()
    with OrchordInstance.from_home(Settings(home=deployment.home, home_is_given=True)) as instance:
        instance.storage.database.transact(
            lambda connection: connection.execute(
                text("UPDATE runs SET status = 'CANCELING' WHERE run_id = :run_id"), {"run_id": run_id}
            )
        )
    assert deployment.wait(run_id, seconds=30)["status"] == "CANCELED"
    assert time.monotonic() - started < 25
    assert_free(deployment)
