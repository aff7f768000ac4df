"""The mission document's [Code 3] and the compute logs of its [File 1], on real servers of S3."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

USER_CODE = str(Path(__file__).with_name("s3_jobs.py"))


@pytest.fixture
def on_s3(s3_bucket, valkey_url: str, postgres_url: str, deploy, monkeypatch: pytest.MonkeyPatch):
    """A deployment whose values and compute logs are in one bucket."""
    server = s3_bucket.server
    for name, value in {
        "BUCKET": s3_bucket.name,
        "ENDPOINT_URL": server.url,
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
    }.items():
        monkeypatch.setenv(f"IO_MANAGER_S3_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    deployment = deploy(broker=valkey_url, database=postgres_url)
    file = deployment.home / "orchord.yaml"
    content = yaml.safe_load(file.read_text())
    content["compute_logs"] = {
        "module": "dagster_obstore.s3.compute_log_manager",
        "class": "S3ComputeLogManager",
        "config": {
            "access_key_id": server.access_key,
            "secret_access_key": {"env": "IO_MANAGER_S3_SECRET_ACCESS_KEY"},
            "allow_http": True,
            "allow_invalid_certificates": True,
            "bucket": s3_bucket.name,
            "endpoint": server.url,
            "prefix": "compute-log",
            "region": "default",
        },
    }
    file.write_text(yaml.safe_dump(content))
    return deployment


def launched_and_ended(deployment, job: str) -> dict[str, Any]:
    run = deployment.wait(deployment.launch(job)["run_id"])
    assert run["status"] == "SUCCESS", deployment.logs()
    return run


@pytest.mark.timeout(180)
def test_values_and_printed_lines_are_in_the_bucket_and_no_secret_is_elsewhere(on_s3, s3_bucket) -> None:
    on_s3.start_all(USER_CODE)
    run_id = launched_and_ended(on_s3, "process_numbers")["run_id"]

    total, count = pickle.loads(s3_bucket.body(f"io-manager/storage/{run_id}/count_objects/result"))
    assert (total, count) == (55, 2)
    printed = f"compute-log/storage/{run_id}/compute_logs/sum_numbers.1.out"
    on_s3.wait_until(lambda: printed in s3_bucket.object_keys(), 30, "the log to be uploaded")
    assert s3_bucket.body(printed) == b"summing 10\n"
    answer = on_s3.client.get(f"/api/v1/runs/{run_id}/logs/sum_numbers").raise_for_status()
    assert "summing 10" in answer.text

    launched_and_ended(on_s3, "process_numbers_asset")
    assert pickle.loads(s3_bucket.body("io-manager/summed_numbers")) == 55

    secret = s3_bucket.server.secret_key
    shown = [
        on_s3.client.get(path).raise_for_status().text
        for path in (f"/api/v1/runs/{run_id}", f"/api/v1/runs/{run_id}/events", "/api/v1/jobs")
    ]
    assert all(secret not in text for text in [*shown, on_s3.logs()])
    assert f"s3://{s3_bucket.name}/io-manager/storage/{run_id}/sum_numbers/result" in shown[1]


@pytest.mark.timeout(180)
def test_children_that_a_worker_forks_after_it_uploaded_logs_reach_the_bucket(on_s3, s3_bucket) -> None:
    on_s3.start_all(USER_CODE, concurrency=1)
    first = launched_and_ended(on_s3, "process_numbers")["run_id"]
    uploaded = f"compute-log/storage/{first}/compute_logs/sum_numbers.1.out"
    on_s3.wait_until(lambda: uploaded in s3_bucket.object_keys(), 30, "the log to be uploaded")
    # Its pool children are replaced by new forks of it.
    for child in on_s3.children_of("worker0"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    second = launched_and_ended(on_s3, "process_numbers")["run_id"]
    assert pickle.loads(s3_bucket.body(f"io-manager/storage/{second}/sum_numbers/result")) == 55
