"""Runs that are launched while the broker is away, or by an API that dies before it has sent them, run all the same."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from orchord.embedded.processes import spawn, stop
from orchord.embedded.valkey import server_binary
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.instance.launch import prepare
from orchord.settings import Settings
from services.ports import own_port

USER_CODE = "slow_jobs.py"


class Broker:
    """A broker that can be killed, and comes back empty on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, own_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        with (self.folder / "broker.log").open("ab") as log:
            self.process = spawn([server_binary(), *options], output=log)

    def kill(self) -> None:
        if self.process is not None:
            stop(self.process, first=signal.SIGKILL)


@pytest.fixture
def broker(valkey_server, tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("coordinator", ["DefaultRunCoordinator", "QueuedRunCoordinator"])
def test_runs_that_are_launched_while_the_broker_is_away_start_when_it_is_back(deploy, broker, coordinator) -> None:
    deployment = deploy(broker=f"redis://127.0.0.1:{broker.port}/0")
    file = deployment.home / "orchord.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "run_coordinator": {"module": "orchord", "class": coordinator}}))
    deployment.start_all(USER_CODE)
    broker.kill()
    run_ids = [deployment.launch("slow_diamond")["run_id"] for _ in range(2)]
    assert {deployment.run(run_id)["status"] for run_id in run_ids} <= {"QUEUED", "STARTING"}
    broker.start()
    assert [deployment.wait(run_id)["status"] for run_id in run_ids] == ["SUCCESS", "SUCCESS"]


@pytest.mark.timeout(120)
def test_a_run_that_leaves_the_queue_while_the_broker_is_away_starts_when_it_is_back(deploy, broker) -> None:
    deployment = deploy(broker=f"redis://127.0.0.1:{broker.port}/0")
    file = deployment.home / "orchord.yaml"
    one_at_a_time = {"run_queue": {"max_concurrent_runs": 1, "dequeue_interval_seconds": 1}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **one_at_a_time}))
    deployment.start_all("queued_jobs.py")
    long = {"ops": {"plain": {"config": {"seconds": 2.0}}}}
    first = deployment.launch("one_plain", run_config=long)["run_id"]
    second = deployment.launch("one_plain")["run_id"]
    assert deployment.run(second)["status"] == "QUEUED"
    deployment.wait_until(lambda: deployment.run(first)["status"] == "STARTED", 10, "the first run to start")
    broker.kill()
    deployment.wait_until(lambda: deployment.run(second)["status"] == "STARTING", 30, "the second to leave the queue")
    assert deployment.run(first)["status"] == "SUCCESS"
    broker.start()
    assert deployment.wait(second)["status"] == "SUCCESS"


@pytest.mark.timeout(120)
def test_a_run_that_was_recorded_and_never_sent_is_started_by_the_daemon(deploy, broker) -> None:
    deployment = deploy(broker=f"redis://127.0.0.1:{broker.port}/0")
    deployment.start_all(USER_CODE)
    with OrchordInstance.from_home(Settings(deployment.home, True)) as instance:
        prepared = prepare(instance, LaunchRequest(job_name="slow_diamond"))
        run, created = instance.storage.runs.create(prepared.run, prepared.events)
    assert created
    assert deployment.wait(run.run_id)["status"] == "SUCCESS"
