"""Runs as tasks of ECS: moto answers as ECS does, and its tasks really run as containers of the product's image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

USER_CODE = "docker_jobs.py"

pytestmark = [pytest.mark.ecs, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


class EcsDeployment:
    """A deployment whose runs go to ECS, and whose tasks share its folder."""

    def __init__(self, deployment: Any, services: Any, image: str, cluster: Any) -> None:
        self.deployment = deployment
        self.cluster = cluster
        self.image = image
        self.home: Path = deployment.home
        shared = self.home / "shared"
        shared.mkdir()
        self.config = {
            **cluster.config,
            "env_vars": [f"ORCHORD_HOME={self.home}"],
            "task_definition": {
                # As tasks on one's own machines have it; with Fargate it would be a file system of EFS.
                "volumes": [{"name": "home", "host": {"sourcePath": str(self.home)}}],
                "mount_points": [{"sourceVolume": "home", "containerPath": str(self.home)}],
            },
        }
        instance_file = {
            "celery": {"broker": services.broker, "result_backend": services.broker},
            "storage": {"postgres": {"postgres_url": services.database}},
            "local_artifact_storage": {"base_dir": str(shared)},
            "run_launcher": {"module": "dagster_aws.ecs", "class": "EcsRunLauncher", "config": self.config},
        }
        (self.home / "orchord.yaml").write_text(yaml.safe_dump(instance_file))

    def start(self) -> None:
        self.deployment.start_all(USER_CODE)
        self.deployment.start("launcher", "launcher", "--place", "ecs")

    def launch(self, job: str, image: str | None = None, **body: Any) -> str:
        tags = {"orchord/image": image or self.image, **body.pop("tags", {})}
        return str(self.deployment.launch(job, tags=tags, **body)["run_id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.deployment.wait(run_id, 120)
        return run

    def told(self, run_id: str) -> list[str]:
        page = self.deployment.client.get(f"/api/v1/runs/{run_id}/events", params={"limit": 500}).raise_for_status()
        return [f"{event['type']} {event.get('step_key')}: {event['message']}" for event in page.json()["items"]]


@pytest.fixture
def ecs_deployment(services_for_containers: Any, product_image: str, ecs: Any, deploy: Any) -> EcsDeployment:
    """A deployment that is not started yet."""
    made = deploy(broker=services_for_containers.broker, database=services_for_containers.database)
    return EcsDeployment(made, services_for_containers, product_image, ecs)


@pytest.mark.parametrize("job", ["numbers_in_one_process", "numbers_anywhere"])
def test_EcsRunLauncher_gives_a_run_that_is_one_unit_a_task(ecs_deployment: EcsDeployment, job: str) -> None:
    ecs_deployment.start()
    run_id = ecs_deployment.launch(job, run_config={"ops": {"one_to": {"config": {"count": 4}}}})
    run = ecs_deployment.ended(run_id)
    told = ecs_deployment.told(run_id)
    assert run["status"] == "SUCCESS", "\n".join([*told, ecs_deployment.deployment.logs()])
    assert any("Starting ECS task orchord-run-" in line for line in told)
    assert sum("STEP_SUCCESS" in line for line in told) == 3
    assert ecs_deployment.cluster.tasks.requests.count("RunTask") == 1


def test_a_canceled_run_stops_its_task(ecs_deployment: EcsDeployment) -> None:
    ecs_deployment.start()
    marks = ecs_deployment.home / "shared"
    config = {"ops": {"takes_long": {"config": {"folder": str(marks), "seconds": 300}}}}
    run_id = ecs_deployment.launch("long_in_one_process", run_config=config)
    ecs_deployment.deployment.wait_until(lambda: any(marks.glob("started-*")), 60, "the step to begin")
    ecs_deployment.deployment.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    assert ecs_deployment.ended(run_id)["status"] == "CANCELED"


def test_an_image_that_cannot_be_had_fails_the_run_and_says_so(ecs_deployment: EcsDeployment) -> None:
    ecs_deployment.start()
    run_id = ecs_deployment.launch("numbers_in_one_process", image="nobody/has-this:1")
    assert ecs_deployment.ended(run_id)["status"] == "FAILURE"
    assert any("CannotPullContainerError" in line and "nobody/has-this" in line for line in ecs_deployment.told(run_id))


def test_a_task_that_is_killed_has_its_run_go_on_in_another(ecs_deployment: EcsDeployment) -> None:
    ecs_deployment.start()
    marks = ecs_deployment.home / "shared"
    config = {"ops": {"takes_long": {"config": {"folder": str(marks), "seconds": 8}}}}
    run_id = ecs_deployment.launch("long_in_one_process", run_config=config)
    ecs_deployment.deployment.wait_until(lambda: any(marks.glob("started-*")), 60, "the step to begin")
    ecs_deployment.cluster.tasks.kill_all()
    run = ecs_deployment.ended(run_id)
    told = "\n".join([*ecs_deployment.told(run_id), ecs_deployment.deployment.logs()])
    assert run["status"] == "SUCCESS", told
    assert len(list(marks.glob("started-*"))) == 2, told
