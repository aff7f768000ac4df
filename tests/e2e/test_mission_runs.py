"""The mission document's job, assets and mixed Definitions, through REST, on each storage; also with RabbitMQ."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

NUMBERS = str(Path(__file__).parents[2] / "examples" / "numbers" / "definitions.py")


def value_of(deployment, *path: str) -> object:
    return pickle.loads((deployment.home / "storage").joinpath(*path).read_bytes())


def launched_and_ended(deployment, **body) -> dict:
    response = deployment.client.post("/api/v1/runs", params={"wait_seconds": 60}, json=body)
    assert response.status_code == 201, response.text
    run = response.json()
    assert run["status"] == "SUCCESS", deployment.logs()
    return deployment.run(run["run_id"])


@pytest.mark.timeout(120)
def test_the_mission_documents_ops_and_assets_run_and_a_later_run_reads_what_was_stored(deployment) -> None:
    deployment.start_all(NUMBERS)
    run = launched_and_ended(deployment, job="process_numbers")
    assert run["tags"]["domain"] == "numbers"
    assert {step["status"] for step in run["steps"]} == {"SUCCESS"}
    assert value_of(deployment, run["run_id"], "sum_two_sums", "result") == 55

    run = launched_and_ended(deployment, job="process_numbers_asset")
    assert len(run["steps"]) == 6
    assert value_of(deployment, "summed_two_sums") == 55

    run = launched_and_ended(deployment, job="process_numbers_asset", asset_selection=["summed_two_sums"])
    assert [step["step_key"] for step in run["steps"]] == ["summed_two_sums"]
    asset = deployment.client.get("/api/v1/assets/summed_two_sums").raise_for_status().json()
    assert asset["latest_materialization"]["run_id"] == run["run_id"]


@pytest.mark.timeout(120)
def test_one_idempotency_key_is_one_run(deployment) -> None:
    deployment.start_all(NUMBERS)
    answers = [
        deployment.client.post("/api/v1/runs", json={"job": "process_numbers"}, headers={"Idempotency-Key": "k1"})
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["run_id"] for answer in answers}) == 1


@pytest.mark.timeout(180)
@pytest.mark.rabbitmq
def test_runs_with_rabbitmq_as_broker_and_redis_as_result_backend(
    rabbitmq_url: str, valkey_url: str, postgres_url: str, deploy
) -> None:
    deployment = deploy(broker=rabbitmq_url, result_backend=valkey_url, database=postgres_url)
    deployment.start_all(NUMBERS)
    run = launched_and_ended(deployment, job="process_numbers")
    assert value_of(deployment, run["run_id"], "sum_two_sums", "result") == 55
    assert launched_and_ended(deployment, job="process_numbers_asset")
