"""What a long step logs is an event while the step runs, in its order, and stored once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CODE = str(Path(__file__).parent / "printing_jobs.py")


def events_of(deployment: Any, run_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (
        deployment.client.get(f"/api/v1/runs/{run_id}/events", params={"limit": 1000})
        .raise_for_status()
        .json()["items"]
    )
    return items


def said(events: list[dict[str, Any]]) -> list[str]:
    return [one["message"] for one in events if one["type"] == "LOG"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("executor", ["chords", "in_process"])
def test_log_records_of_a_long_step_are_seen_while_it_runs_and_stored_once(deployment: Any, executor: str) -> None:
    deployment.start_all(CODE)
    job = "talking" if executor == "chords" else "talking_in_process"
    config = {"ops": {"talk": {"config": {"lines": 25, "pause_seconds": 0.1}}}}
    run_id = deployment.launch(job, run_config=config)["run_id"]
    early: list[str] = []

    def some_are_said() -> bool:
        early[:] = said(events_of(deployment, run_id))
        return len(early) >= 3

    deployment.wait_until(some_are_said, 30, "the first records")
    assert deployment.run(run_id)["status"] == "STARTED"
    assert deployment.wait(run_id)["status"] == "SUCCESS"
    events = events_of(deployment, run_id)
    assert said(events) == [f"said {number}" for number in range(25)]
    assert early == said(events)[: len(early)]
    types = [one["type"] for one in events if one["step_key"] == "talk" and one["type"] != "LOG"]
    assert types.count("STEP_START") == types.count("STEP_SUCCESS") == types.count("LOGS_CAPTURED") == 1
    assert types.index("STEP_START") < types.index("LOGS_CAPTURED") < types.index("STEP_SUCCESS")


@pytest.mark.timeout(180)
def test_what_a_killed_step_logged_is_there(deployment: Any) -> None:
    deployment.start_all(CODE)
    run_id = deployment.launch("dying")["run_id"]
    deployment.wait_until(
        lambda: "about to die" in said(events_of(deployment, run_id)), 30, "the record of the step that dies"
    )
