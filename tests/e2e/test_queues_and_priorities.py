"""Queues and priorities of steps with real workers, on both kinds of broker: who takes a step, and which goes first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

JOBS = str(Path(__file__).parent / "queue_jobs.py")


@pytest.fixture(params=["valkey", "rabbitmq"])
def on_broker(request, valkey_url):
    """A deployment, not yet started, on each kind of broker; with further keys of its ``celery`` section."""
    broker = request.getfixturevalue("rabbitmq_url") if request.param == "rabbitmq" else valkey_url
    # After the brokers: what is set up last is taken down first.
    deploy = request.getfixturevalue("deploy")

    def make(**celery):
        deployment = deploy(broker=broker, result_backend=valkey_url)
        file = deployment.home / "orchord.yaml"
        content = yaml.safe_load(file.read_text())
        content["celery"].update(celery)
        file.write_text(yaml.safe_dump(content))
        return deployment

    return make


def step_of(deployment, run_id: str, key: str) -> dict:
    return next(step for step in deployment.run(run_id)["steps"] if step["step_key"] == key)


@pytest.mark.timeout(120)
def test_a_higher_priority_goes_first(on_broker) -> None:
    deployment = on_broker()
    deployment.start_all(JOBS, concurrency=1)
    holding = deployment.launch("held")["run_id"]
    deployment.wait_until(lambda: step_of(deployment, holding, "gate")["status"] == "RUNNING", 20, "the gate to hold")
    usual = deployment.launch("three_at_once")["run_id"]
    calm = deployment.launch("three_at_once", tags={"dagster-celery/run_priority": "-2"})["run_id"]
    (deployment.home / "gate_is_open").touch()
    starts = {}
    for name, run_id in (("usual", usual), ("calm", calm)):
        run = deployment.wait(run_id)
        assert run["status"] == "SUCCESS", deployment.logs()
        starts |= {step["started_at"]: f"{name} {step['step_key']}" for step in run["steps"]}
    assert [starts[moment] for moment in sorted(starts)] == [
        "usual urgent",  # 9
        "calm urgent",  # 9 - 2
        "usual usual",  # 5, the default
        "calm usual",  # 5 - 2
        "usual can_wait",  # 1
        "calm can_wait",  # 1 - 2, which counts as 0
    ]


@pytest.mark.timeout(120)
def test_a_step_waits_for_a_worker_of_the_queue_that_its_op_names(on_broker) -> None:
    deployment = on_broker()
    deployment.start_all(JOBS)
    run_id = deployment.launch("by_way_of_gpu")["run_id"]
    deployment.wait_until(lambda: step_of(deployment, run_id, "prepared")["status"] == "SUCCESS", 20, "the first step")
    assert deployment.run(run_id)["status"] == "STARTED"
    deployment.start("gpu", "worker", "-f", JOBS, "--queue", "gpu")
    run = deployment.wait(run_id)
    assert run["status"] == "SUCCESS", deployment.logs()
    workers = {step["step_key"]: step["attempts"][-1]["worker_id"] for step in run["steps"]}
    assert workers["trained"] != workers["prepared"] == workers["reported"]


@pytest.mark.timeout(120)
def test_workers_take_from_the_queues_of_the_instance_file(on_broker) -> None:
    deployment = on_broker(queues=["gpu"])
    deployment.start_all(JOBS)
    run = deployment.wait(deployment.launch("by_way_of_gpu")["run_id"])
    assert run["status"] == "SUCCESS", deployment.logs()
