"""Failed runs are retried by the daemon, and re-executed from failure with hooks, optional outputs and assets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

USER_CODE = "retried_jobs.py"


def config_of(op: str, folder: Path) -> dict[str, Any]:
    return {"ops": {op: {"config": {"folder": str(folder)}}}}


@pytest.mark.timeout(180)
def test_a_failed_run_is_retried_by_the_daemon_and_linked_to_its_parent(deployment, tmp_path: Path) -> None:
    file = deployment.home / "orchord.yaml"
    sections = {"run_retries": {"enabled": True, "max_retries": 2}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    config = config_of("succeeds_the_second_time", tmp_path)
    run_id = deployment.launch("second_time_job", run_config=config)["run_id"]
    assert deployment.wait(run_id, seconds=20)["status"] == "FAILURE"
    deployment.wait_until(lambda: "orchord/auto_retry_run_id" in deployment.run(run_id)["tags"], 15, "a retry")
    retry = deployment.wait(deployment.run(run_id)["tags"]["orchord/auto_retry_run_id"], seconds=20)
    assert (retry["status"], retry["parent_run_id"], retry["root_run_id"]) == ("SUCCESS", run_id, run_id)
    assert retry["tags"]["orchord/retry_number"] == "1"
    listed = deployment.client.get("/api/v1/runs", params={"job": "second_time_job"}).json()["items"]
    assert len(listed) == 2


@pytest.mark.timeout(180)
def test_from_failure_keeps_what_succeeded_runs_hooks_and_leaves_out_what_was_not_yielded(
    deployment, tmp_path: Path
) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    run_id = deployment.launch("permitted_job", run_config=config_of("needs_permission", tmp_path))["run_id"]
    run = deployment.wait(run_id, seconds=20)
    statuses = {step["step_key"]: step["status"] for step in run["steps"]}
    assert statuses == {
        "source": "SUCCESS",
        "never": "SKIPPED",
        "needs_permission": "FAILURE",
        "last": "UPSTREAM_FAILED",
    }
    (tmp_path / "permission").touch()
    again = deployment.client.post(f"/api/v1/runs/{run_id}/reexecute", json={"strategy": "FROM_FAILURE"}).json()
    ended = deployment.wait(again["run_id"], seconds=20)
    assert ended["status"] == "SUCCESS", deployment.logs()
    ran = {step["step_key"] for step in ended["steps"] if step["attempts"]}
    assert ran == {"needs_permission", "last"}
    assert (tmp_path / "hooks").read_text() == "needs_permission\n"


@pytest.mark.timeout(180)
def test_from_asset_failure_makes_the_assets_alone_that_were_not_made(deployment, tmp_path: Path) -> None:
    deployment.start_all(USER_CODE, workers=1, concurrency=2)
    run_id = deployment.launch("assets_job", run_config=config_of("both", tmp_path))["run_id"]
    assert deployment.wait(run_id, seconds=20)["status"] == "FAILURE"
    assert (tmp_path / "selected").read_text() == "left right\n"
    (tmp_path / "permission").touch()
    body = {"strategy": "FROM_ASSET_FAILURE"}
    again = deployment.client.post(f"/api/v1/runs/{run_id}/reexecute", json=body)
    assert again.status_code == 201, again.text
    ended = deployment.wait(again.json()["run_id"], seconds=20)
    assert ended["status"] == "SUCCESS", deployment.logs()
    assert (tmp_path / "selected").read_text() == "left right\nright\n"
    assert ended["asset_selection"] == ["right"]
