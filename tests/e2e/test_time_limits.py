"""A step that takes too long is stopped by its time limit, also inside a call into C, and its retry policy holds."""

from __future__ import annotations

import pytest

USER_CODE = "stopping_jobs.py"


def attempts_of(run) -> list[list[str]]:
    return [[attempt["status"] for attempt in step["attempts"]] for step in run["steps"]]


@pytest.mark.timeout(180)
def test_a_step_past_its_time_limit_fails_or_is_tried_again_also_in_a_call_into_c(deployment) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=4)
    jobs = ("limited_job", "limited_in_c_job", "retried_job", "retried_in_one_process")
    runs = {job: deployment.launch(job)["run_id"] for job in jobs}
    ended = {job: deployment.wait(run_id, seconds=60) for job, run_id in runs.items()}

    limited, in_c = ended["limited_job"], ended["limited_in_c_job"]
    assert (limited["status"], attempts_of(limited)) == ("FAILURE", [["FAILURE"]]), deployment.logs()
    assert limited["steps"][0]["error"]["cls_name"] == "StepTimeoutError"
    assert "took longer than its time limit of 1 s (timeout_seconds)" in limited["steps"][0]["error"]["message"]

    assert (in_c["status"], attempts_of(in_c)) == ("FAILURE", [["FAILURE"]]), deployment.logs()
    assert in_c["steps"][0]["error"]["cls_name"] == "StepTimeoutError"
    assert "its process was ended" in in_c["steps"][0]["error"]["message"]
    assert "in sleep_in_c" in (deployment.home / "worker0.log").read_text(), "no stack in the worker's log"

    for job in ("retried_job", "retried_in_one_process"):
        assert ended[job]["status"] == "SUCCESS", deployment.logs()
        assert attempts_of(ended[job])[:2] == [["UP_FOR_RETRY", "SUCCESS"]] * 2, job
