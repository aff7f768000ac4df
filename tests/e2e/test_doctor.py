"""``orchord doctor`` sees what stands still when nobody is there to mend it, and mends it when it is told to."""

from __future__ import annotations

import json
import os
import signal

import pytest

USER_CODE = "slow_jobs.py"


def findings(deployment, *options: str) -> dict[str, dict[str, str]]:
    done = deployment.orchord("doctor", "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    return {found["subject"]: found for found in json.loads(done.stdout)}


@pytest.mark.timeout(240)
def test_the_doctor_sees_and_mends_what_a_dead_worker_left_when_there_is_no_daemon(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    assert findings(deployment) == {}
    run_id = deployment.launch("slow_diamond")["run_id"]
    worker = deployment.processes["worker0"].pid

    def is_held_at_work() -> bool:
        """Stop the worker, and leave it so if it works on a slow step."""
        os.killpg(worker, signal.SIGSTOP)
        if any(step["status"] == "RUNNING" for step in deployment.run(run_id)["steps"][1:]):
            return True
        os.killpg(worker, signal.SIGCONT)
        return False

    deployment.wait_until(is_held_at_work, 20, "a slow step")
    deployment.kill("daemon")
    deployment.kill("worker0")

    def are_missed() -> bool:
        subjects = set(findings(deployment))
        is_held = any(subject.endswith(f"of run {run_id}") for subject in subjects)
        return is_held and subjects >= {"daemon", "location slow_jobs"}

    deployment.wait_until(are_missed, 60, "the dead to be missed")
    found = findings(deployment)
    assert found["daemon"]["fix"] == "Start one with `orchord daemon`."
    assert found["location slow_jobs"]["what"] == "1 run(s) wait for its workers, and none is alive."
    held = [one for subject, one in found.items() if subject.endswith(f"of run {run_id}")]
    assert held, found
    assert all("gives no sign of life" in one["what"] for one in held)

    deployment.start_worker("worker1", USER_CODE, concurrency=2)
    deployment.wait_until(lambda: "location slow_jobs" not in findings(deployment), 30, "the new worker")
    mended = findings(deployment, "--repair")
    done = [one["repaired"] for subject, one in mended.items() if subject.endswith(f"of run {run_id}")]
    assert done == ["taken for lost, and sent again"] * len(held)
    # What the dead worker had of a join is in the backend; what else stands still, the next look sends.
    deployment.wait_until(
        lambda: findings(deployment, "--repair") is not None and deployment.run(run_id)["status"] == "SUCCESS",
        90,
        "the run to end right",
    )
    assert set(findings(deployment)) == {"daemon"}


@pytest.mark.timeout(60)
def test_the_doctor_sees_a_broker_and_a_database_that_are_away(deploy, tmp_path) -> None:
    deployment = deploy(broker="redis://127.0.0.1:1/0", database="postgresql://nobody:secret@127.0.0.1:1/none")
    done = deployment.orchord("doctor", "--json")
    found = {one["subject"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert set(found) == {"database", "broker"}
    assert "secret" not in done.stdout
