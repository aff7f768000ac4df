"""Steps and runs in containers of a real Docker Engine, with the image that compose/Dockerfile builds."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

USER_CODE = "docker_jobs.py"
HERE = Path(__file__).parent

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


class DockerDeployment:
    """A deployment with a launcher worker, whose containers reach its services and share its folder."""

    def __init__(self, deployment: Any, services: Any, image: str, engine: docker.DockerClient) -> None:
        self.deployment = deployment
        self.engine = engine
        self.home: Path = deployment.home
        # Containers may run as anybody, and write here.
        self.shared = self.home / "shared"
        self.shared.mkdir()
        self.settings = {
            "image": image,
            "container_kwargs": {"volumes": [f"{self.home}:{self.home}"]},
        }
        self.instance_file: dict[str, Any] = {
            "celery": {"broker": services.broker, "result_backend": services.broker},
            "storage": {"postgres": {"postgres_url": services.database}},
            "local_artifact_storage": {"base_dir": str(self.shared)},
            "run_launchers": {
                "docker": {"module": "orchord", "class": "DockerRunLauncher", "config": self.settings},
            },
        }

    def start(self, **sections: Any) -> None:
        (self.home / "orchord.yaml").write_text(yaml.safe_dump(self.instance_file | sections))
        self.deployment.start_all(USER_CODE)
        self.start_launcher()

    def start_launcher(self, name: str = "launcher", *arguments: str) -> None:
        self.deployment.start(name, "launcher", "--place", "docker", *arguments)

    def launch(self, job: str, config: dict[str, Any] | None = None, **body: Any) -> str:
        run_config = dict(config or {})
        if job not in ("numbers_in_one_process", "numbers_anywhere", "one_op_in_docker"):
            settings = {"docker": self.settings} if "celery" in job else self.settings
            run_config["execution"] = {"config": settings | (run_config.pop("limits", {}))}
        run: dict[str, Any] = self.deployment.launch(job, run_config=run_config, **body)
        return str(run["run_id"])

    def ended(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        run: dict[str, Any] = self.deployment.wait(run_id, seconds)
        return run

    def succeeded(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        run = self.ended(run_id, seconds)
        assert run["status"] == "SUCCESS", self.told(run_id)
        return run

    def events(self, run_id: str) -> list[dict[str, Any]]:
        page = self.deployment.client.get(f"/api/v1/runs/{run_id}/events", params={"limit": 500}).raise_for_status()
        found: list[dict[str, Any]] = page.json()["items"]
        return found

    def told(self, run_id: str) -> str:
        lines = [f"{event['type']} {event.get('step_key')}: {event['message']}" for event in self.events(run_id)]
        return "\n".join([*lines, self.deployment.logs()])

    def containers(self, run_id: str) -> list[Any]:
        wanted = {"label": f"orchord/run_id={run_id}"}
        return list(self.engine.containers.list(all=True, filters=wanted, ignore_removed=True))


@pytest.fixture
def docker_deployment(
    services_for_containers: Any, product_image: str, docker_engine: docker.DockerClient, deploy: Any
) -> Iterator[DockerDeployment]:
    """A deployment that is not started yet; what it leaves of containers is removed."""
    made = deploy(broker=services_for_containers.broker, database=services_for_containers.database)
    found = DockerDeployment(made, services_for_containers, product_image, docker_engine)
    yield found
    for container in docker_engine.containers.list(all=True, filters={"label": "orchord/owner"}, ignore_removed=True):
        binds = container.attrs["HostConfig"].get("Binds") or []
        if any(bind.startswith(str(found.home)) for bind in binds):
            # A launcher worker may be taking it away in this moment, or have done so (404, 409).
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True, v=True)


def test_the_steps_of_a_job_run_in_containers_of_their_own(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    run_id = docker_deployment.launch("numbers_in_docker", {"ops": {"one_to": {"config": {"count": 4}}}})
    docker_deployment.succeeded(run_id)
    kinds = [event["type"] for event in docker_deployment.events(run_id)]
    assert kinds.count("STEP_WORKER_STARTING") == kinds.count("STEP_WORKER_STARTED") == 3
    assert kinds.count("STEP_SUCCESS") == 3
    docker_deployment.deployment.wait_until(
        lambda: not docker_deployment.containers(run_id), 20, "the containers to be taken away"
    )


@pytest.mark.parametrize("job", ["numbers_in_celery_docker", "one_op_in_docker"])
def test_celery_docker_executor_and_the_isolation_tag_put_steps_into_containers(
    docker_deployment: DockerDeployment, job: str
) -> None:
    docker_deployment.start()
    tags = {"orchord/docker": json.dumps(docker_deployment.settings)} if job == "one_op_in_docker" else {}
    run_id = docker_deployment.launch(job, tags=tags)
    docker_deployment.succeeded(run_id)
    kinds = [event["type"] for event in docker_deployment.events(run_id)]
    assert kinds.count("STEP_WORKER_STARTED") == (3 if "celery" in job else 1)


@pytest.mark.parametrize("job", ["numbers_in_one_process", "numbers_anywhere"])
def test_docker_run_launcher_gives_a_run_that_is_one_unit_a_container(
    docker_deployment: DockerDeployment, job: str
) -> None:
    launcher = {"module": "orchord", "class": "DockerRunLauncher", "config": docker_deployment.settings}
    docker_deployment.start(run_launcher=launcher, run_launchers={})
    run_id = docker_deployment.launch(job)
    docker_deployment.succeeded(run_id)
    kinds = [event["type"] for event in docker_deployment.events(run_id)]
    assert "STEP_WORKER_STARTING" not in kinds
    assert any("Starting container orchord-run-" in event["message"] for event in docker_deployment.events(run_id))
    docker_deployment.deployment.wait_until(
        lambda: not docker_deployment.containers(run_id), 20, "the container to be taken away"
    )


def test_a_step_that_fails_once_is_retried_in_another_container(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    run_id = docker_deployment.launch("retried_in_docker")
    docker_deployment.succeeded(run_id)
    events = docker_deployment.events(run_id)
    kinds = [event["type"] for event in events]
    assert kinds.count("STEP_UP_FOR_RETRY") == 1
    assert kinds.count("STEP_WORKER_STARTED") == 2


def test_a_canceled_run_stops_its_container_soon(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    config = {"folder": str(docker_deployment.shared), "seconds": 300.0}
    run_id = docker_deployment.launch("long_in_docker", {"ops": {"takes_long": {"config": config}}})
    deployment = docker_deployment.deployment
    deployment.wait_until(lambda: bool(list(docker_deployment.shared.glob("started-*"))), 60, "the step to begin")
    deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert docker_deployment.ended(run_id, 30)["status"] == "CANCELED", docker_deployment.told(run_id)
    deployment.wait_until(lambda: not docker_deployment.containers(run_id), 30, "the container to be taken away")


def test_a_container_that_the_kernel_kills_for_its_memory_fails_its_step_in_so_many_words(
    docker_deployment: DockerDeployment,
) -> None:
    docker_deployment.start()
    run_id = docker_deployment.launch("memory_in_docker")
    assert docker_deployment.ended(run_id)["status"] == "FAILURE"
    failure = next(e for e in docker_deployment.events(run_id) if e["type"] == "STEP_FAILURE")
    assert "was killed by the kernel for its memory (limit 150 MiB)" in failure["message"]


def test_a_container_that_is_killed_has_its_step_run_again(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    config = {"folder": str(docker_deployment.shared), "seconds": 6.0}
    run_id = docker_deployment.launch("long_in_docker", {"ops": {"takes_long": {"config": config}}})
    deployment = docker_deployment.deployment
    deployment.wait_until(lambda: bool(list(docker_deployment.shared.glob("started-*"))), 60, "the step to begin")
    docker_deployment.containers(run_id)[0].kill("SIGKILL")
    docker_deployment.succeeded(run_id)
    assert len(list(docker_deployment.shared.glob("started-*"))) == 2


def test_a_step_whose_image_is_not_there_fails_and_says_so(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    run_id = docker_deployment.launch("no_image")
    assert docker_deployment.ended(run_id)["status"] == "FAILURE"
    failure = next(e for e in docker_deployment.events(run_id) if e["type"] == "STEP_FAILURE")
    assert failure["message"].startswith("The container of step 'without_image' was not started: image")
    assert "there-is-no-such/image:1" in failure["message"]


def test_ten_containers_outlive_the_sigkill_of_their_launcher_worker(docker_deployment: DockerDeployment) -> None:
    docker_deployment.start()
    folder = docker_deployment.shared
    ops = {
        f"part{number}": {"config": {"folder": str(folder), "count": number, "seconds": 15.0}} for number in range(10)
    }
    run_id = docker_deployment.launch("ten_in_docker", {"ops": ops})
    deployment = docker_deployment.deployment
    starts = folder / "starts"
    deployment.wait_until(
        lambda: starts.exists() and len(starts.read_text().split()) == 10, 120, "ten containers to work"
    )
    deployment.kill("launcher")
    docker_deployment.start_launcher("launcher2")
    docker_deployment.succeeded(run_id)
    assert sorted(starts.read_text().split()) == [str(number) for number in range(10)]
    kinds = [event["type"] for event in docker_deployment.events(run_id)]
    assert kinds.count("STEP_WORKER_STARTED") == kinds.count("STEP_SUCCESS") == 10
    deployment.wait_until(lambda: not docker_deployment.containers(run_id), 60, "the containers to be taken away")


def test_what_a_dead_launcher_worker_had_just_started_is_adopted_and_not_started_twice(
    docker_deployment: DockerDeployment,
) -> None:
    docker_deployment.start()
    folder = docker_deployment.shared
    ops = {f"part{number}": {"config": {"folder": str(folder), "count": number}} for number in range(10)}
    run_id = docker_deployment.launch("ten_in_docker", {"ops": ops})
    deployment = docker_deployment.deployment
    deployment.wait_until(lambda: len(docker_deployment.containers(run_id)) >= 3, 60, "some containers to start")
    deployment.kill("launcher")
    docker_deployment.start_launcher("launcher2")
    docker_deployment.succeeded(run_id, 180)
    assert sorted(set((folder / "starts").read_text().split())) == [str(number) for number in range(10)]
    assert len((folder / "starts").read_text().split()) == 10


def test_many_steps_at_most_twenty_at_once_need_few_threads_of_the_launcher_worker(
    docker_deployment: DockerDeployment,
) -> None:
    docker_deployment.start()
    run_id = docker_deployment.launch("forty_in_docker", {"limits": {"max_concurrent": 20}})
    deployment = docker_deployment.deployment
    process = deployment.processes["launcher"].pid
    threads, most_at_once = 0, 0

    def has_ended() -> bool:
        nonlocal threads, most_at_once
        threads = max(threads, len(os.listdir(f"/proc/{process}/task")))
        run = deployment.run(run_id)
        # Of attempts, and not of containers: one that has stored its end may still be there while the next is started.
        most_at_once = max(most_at_once, sum(step["status"] == "RUNNING" for step in run["steps"]))
        return str(run["status"]) in ("SUCCESS", "FAILURE", "CANCELED")

    deployment.wait_until(has_ended, 400, "the run to end")
    assert deployment.run(run_id)["status"] == "SUCCESS", docker_deployment.told(run_id)
    assert threads <= 10
    assert 1 < most_at_once <= 20
