"""Fixtures of Amazon ECS: moto answers as its API does, and a Docker Engine runs what it is told to start.

moto itself only counts tasks through their states. Here a task's state is that of its container: exit codes, output,
memory and the words of an image that cannot be had are real.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import docker
import pytest
from docker.errors import APIError, ImageNotFound

REGION = "us-east-1"
ACCOUNT = "123456789012"
# By which one test's containers are found.
TASK_LABEL = "orchord-test-ecs"
_clusters = itertools.count(1)


@dataclass(frozen=True)
class EcsCluster:
    """A cluster of moto's: what an EcsRunLauncher needs to know of it."""

    url: str
    name: str
    tasks: EcsOnDocker
    network: Mapping[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """The config of an EcsRunLauncher for it."""
        return {
            "boto_config": {"endpoint_url": self.url, "region_name": REGION},
            "use_current_ecs_task_config": False,
            "run_task_kwargs": {
                "cluster": self.name,
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": dict(self.network)},
            },
        }


class EcsOnDocker:
    """Runs the tasks of moto's ECS as containers of a Docker Engine, and tells moto what becomes of them."""

    def __init__(self, engine: docker.DockerClient, backend: Any) -> None:
        self.engine = engine
        self.backend = backend
        self.requests: list[str] = []
        # What one of these would answer, were the cluster full.
        self.refusals: list[dict[str, str]] = []
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._containers: dict[str, Any] = {}
        self._run_task, self._stop_task = backend.run_task, backend.stop_task
        self._describe_tasks, self._list_tasks = backend.describe_tasks, backend.list_tasks
        backend.run_task, backend.stop_task = self.run_task, self.stop_task
        backend.describe_tasks, backend.list_tasks = self.describe_tasks, self.list_tasks

    def run_task(self, *arguments: Any, **named: Any) -> Any:
        """Start the containers of the tasks that moto makes."""
        self.requests.append("RunTask")
        if self.refusals:
            return []
        tasks = self._run_task(*arguments, **named)
        for task in tasks:
            task.last_status = "PENDING"
            thread = threading.Thread(target=self._carry_out, args=(task,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return tasks

    def stop_task(self, cluster: str, task_id: str, reason: str) -> Any:
        """Stop a task's container; its thread tells moto of the end."""
        self.requests.append("StopTask")
        tasks = self.backend.tasks[self.backend._get_cluster(cluster).name]
        task = next(one for arn, one in tasks.items() if arn.endswith(task_id.rpartition("/")[2]))
        task.desired_status, task.stopped_reason, task.stop_code = "STOPPED", reason, "UserInitiated"
        container = self._containers.get(task.id)
        if container is not None:
            threading.Thread(target=_stopped, args=(container,), daemon=True).start()
        return task

    def describe_tasks(self, *arguments: Any, **named: Any) -> Any:
        """Count the request, and answer as moto does."""
        self.requests.append("DescribeTasks")
        return self._describe_tasks(*arguments, **named)

    def list_tasks(self, *arguments: Any, **named: Any) -> Any:
        """Count the request, and answer as moto does."""
        self.requests.append("ListTasks")
        return self._list_tasks(*arguments, **named)

    def kill_all(self) -> None:
        """Send SIGKILL to each container, as the kernel or a machine's end would."""
        for container in list(self._containers.values()):
            container.kill()

    def forget_all(self) -> None:
        """Let moto forget its tasks, as ECS forgets those that have ended long ago."""
        for tasks in self.backend.tasks.values():
            tasks.clear()

    def close(self) -> None:
        """Remove all containers, and give moto its own ways back."""
        self._closing.set()
        for container in list(self._containers.values()):
            with contextlib.suppress(APIError):
                container.remove(force=True)
        for thread in self._threads:
            thread.join(60)
        for name in ("run_task", "stop_task", "describe_tasks", "list_tasks"):
            del self.backend.__dict__[name]

    def _carry_out(self, task: Any) -> None:
        definition = self.backend.describe_task_definition(task.task_definition_arn)
        # A new task's own container is the first that moto knows.
        [own] = task.containers
        described = definition.container_definitions[0]
        override = (task.overrides.get("containerOverrides") or [{}])[0]
        variables = {one["name"]: one["value"] for one in described.get("environment") or ()}
        variables |= {one["name"]: one["value"] for one in override.get("environment") or ()}
        memory = override.get("memory") or described.get("memory")
        try:
            container = self.engine.containers.run(
                described["image"],
                override.get("command") or described.get("command"),
                environment=variables,
                mem_limit=f"{memory}m" if memory else None,
                memswap_limit=f"{memory}m" if memory else None,
                labels={TASK_LABEL: task.id},
                volumes=_binds(definition, described),
                init=True,
                detach=True,
            )
        except (ImageNotFound, APIError) as error:
            task.stop_code, task.desired_status = "TaskFailedToStart", "STOPPED"
            task.stopped_reason = f"CannotPullContainerError: pull of {described['image']}: {error.explanation}"
            own.exitCode = None
            task.last_status = "STOPPED"
            return
        self._containers[task.id] = container
        if self._closing.is_set():
            # Started while the test ended.
            with contextlib.suppress(APIError):
                container.remove(force=True)
        own.last_status = task.last_status = "RUNNING"
        if task.desired_status == "STOPPED":
            _stopped(container)
        try:
            code = container.wait()["StatusCode"]
            container.reload()
        except APIError:
            # Removed by the test.
            return
        if container.attrs["State"]["OOMKilled"]:
            own.reason = "OutOfMemoryError: Container killed due to memory usage"
        own.exitCode, own.last_status = code, "STOPPED"
        if not getattr(task, "stop_code", ""):
            task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
        task.desired_status = task.last_status = "STOPPED"


def _binds(definition: Any, described: Mapping[str, Any]) -> list[str]:
    """Return the folders of this machine that a task definition has in its container."""
    folders = {one["name"]: (one.get("host") or {}).get("sourcePath") for one in definition.volumes or ()}
    points = described.get("mountPoints") or ()
    found = [(folders.get(one["sourceVolume"]), one["containerPath"]) for one in points]
    return [f"{folder}:{path}" for folder, path in found if folder]


def _stopped(container: Any) -> None:
    with contextlib.suppress(APIError):
        container.stop(timeout=10)


@pytest.fixture(scope="session")
def ecs_server(lacks: Callable[[str, str], NoReturn]) -> Iterator[str]:
    """The URL of moto's server of this session."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        lacks("ecs", f"{error}; pip install 'moto[ec2,ecs,logs]' flask flask-cors")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def ecs(ecs_server: str, docker_engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[EcsCluster]:
    """A cluster of ECS of this test's own, whose tasks really run."""
    import boto3
    from moto.ecs.models import ecs_backends
    from moto.moto_api import state_manager

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Tasks change as their containers do, not as often as they are asked for.
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
    arguments: dict[str, Any] = {"endpoint_url": ecs_server, "region_name": REGION}
    name = f"cluster-{next(_clusters)}"
    with contextlib.closing(boto3.client("ecs", **arguments)) as client:
        client.create_cluster(clusterName=name)
    with contextlib.closing(boto3.client("ec2", **arguments)) as client:
        subnet = client.describe_subnets()["Subnets"][0]["SubnetId"]
        group = client.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    tasks = EcsOnDocker(docker_engine, ecs_backends[ACCOUNT][REGION])
    yield EcsCluster(ecs_server, name, tasks, {"subnets": [subnet], "securityGroups": [group]})
    tasks.close()
    state_manager.unset_transition("ecs::task")
