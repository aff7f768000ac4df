"""Amazon ECS as a platform for containers, by boto3. One task is one container of Orchord's, whatever sidecars it has.

ECS has no stream of changes that a client could listen to: one thread asks for all tasks together, a hundred with
each request, and ever more rarely while nothing happens. Settings and requests are ecs_settings.py and ecs_requests.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchord.spi import environment_value
from orchord_workers.containers.ecs_clients import new_client, told
from orchord_workers.containers.ecs_current import CurrentTask, find_current_task
from orchord_workers.containers.ecs_definitions import TaskDefinitions
from orchord_workers.containers.ecs_requests import run_task_arguments, started_by
from orchord_workers.containers.ecs_settings import EcsSettings, settings_of, with_variables
from orchord_workers.containers.ecs_state import is_passing_error, state_of
from orchord_workers.containers.platform import (
    OWNER_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    Platform,
    PlatformError,
)

logger = logging.getLogger(__name__)

# DescribeTasks takes no more at once.
TASKS_IN_A_REQUEST = 100
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
# With nothing to wait for, and to find what other launcher workers have started.
LIST_EACH_SECONDS = 30.0
# Among a container's settings: pairs of the run's own tags, some of which the config may propagate.
RUN_TAGS_KEY = "orchord/run_tags"

# Within the class, `list` is its method.
States = list[ContainerState]
Arns = list[str]


@dataclass(frozen=True)
class _Task:
    """A task that is known: its ARN, and what its container is called within it."""

    arn: str
    container_name: str


class EcsPlatform(Platform):
    """One ECS cluster.

    Args:
        config: the config of EcsRunLauncher: it names the cluster, and how AWS is reached (``boto_config``).

    Raises:
        PlatformError: boto3 is not installed, or AWS cannot be reached with what is given.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        read = with_variables(config, environment_value)
        self._settings = settings_of([read])
        self._session_arguments = dict(read.get("boto_config") or {})
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._known: dict[str, _Task] = {}
        self._definitions = TaskDefinitions(self._client)
        self._current: CurrentTask | None = None
        self._asked_for_current = False
        self._started_one = threading.Event()
        self._closed = threading.Event()
        # What has ended and was taken away: ECS goes on telling of it for an hour.
        self._removed: set[str] = set()
        self._owners_read: set[str] = set()
        self._client("ecs")

    def start(self, spec: ContainerSpec) -> None:
        """Start a task, unless one of that name is there already.

        Raises:
            PlatformError: it is not started; the message says what was refused, and the fix.
        """
        owner = spec.labels.get(OWNER_LABEL, "")
        with told(f"{spec.name} was not started"):
            if owner not in self._owners_read:
                # Of tasks that another launcher worker, or this one in an earlier life, has started.
                self.list(owner)
            with self._lock:
                if spec.name in self._known:
                    return
            layers = [{key: value for key, value in layer.items() if key != RUN_TAGS_KEY} for layer in spec.layers]
            run_tags = next((layer[RUN_TAGS_KEY] for layer in spec.layers if RUN_TAGS_KEY in layer), ())
            settings = settings_of(layers, dict(run_tags))
            current = self._current_task(settings)
            definition, environment = self._definitions.definition(spec, settings, current)
            arguments = run_task_arguments(
                spec,
                settings,
                definition,
                environment=environment,
                of_current_task={} if current is None else current.run_task_arguments(),
            )
            arguments.setdefault("cluster", self._cluster())
            answer = self._client("ecs").run_task(**arguments)
        tasks = answer.get("tasks") or ()
        if not tasks:
            raise _refused(spec.name, answer.get("failures") or ())
        with self._lock:
            self._known[spec.name] = _Task(tasks[0]["taskArn"], settings.container_name)
        self._started_one.set()

    def stop(self, name: str, grace_seconds: float) -> None:
        """Have a task stopped. How long it has is said in its task definition (``stopTimeout``, 30 s if not)."""
        task = self._known.get(name)
        if task is None:
            return
        with told(f"{name} was not stopped"):
            error_types = self._client("ecs").exceptions
            try:
                self._client("ecs").stop_task(cluster=self._cluster(), task=task.arn, reason="Stopped by Orchord")
            except error_types.InvalidParameterException:
                # It is not there any more.
                return
        self._started_one.set()

    def remove(self, name: str) -> None:
        """Tell of a task no more. ECS itself takes away what is left of it, an hour after its end."""
        with self._lock:
            task = self._known.pop(name, None)
            if task is not None:
                self._removed.add(task.arn)

    def list(self, owner: str) -> States:
        """Return every task of an owner that has not been removed, and whose host was not taken away."""
        return [state for state in self._listed(owner) if state.phase is not Phase.GONE]

    def watch(self, owner: str, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        """Tell of each change until ``stopped`` is set, or the platform is closed."""
        seen: dict[str, ContainerState] = {}
        pause, listed_at = FIRST_PAUSE_SECONDS, float("-inf")
        while not (stopped.is_set() or self._closed.is_set()):
            try:
                if time.monotonic() - listed_at >= LIST_EACH_SECONDS:
                    states = self._listed(owner)
                    listed_at = time.monotonic()
                else:
                    states = self._known_states(owner)
                changed = self._tell(states, seen, on_change)
                pause = FIRST_PAUSE_SECONDS if changed else min(pause * 1.3, LONGEST_PAUSE_SECONDS)
            except PlatformError as error:
                pause = min(pause * 2, 6 * LONGEST_PAUSE_SECONDS)
                logger.warning("%s It is asked again in %.0f s.", error, pause)
            except Exception:  # boundary: the thread must not end, whatever a client library raises
                pause = min(pause * 2, 6 * LONGEST_PAUSE_SECONDS)
                logger.exception("ECS was not read; it is asked again in %.0f s", pause)
            self._rest(pause if self._known else LIST_EACH_SECONDS, stopped)
            if self._started_one.is_set():
                self._started_one.clear()
                pause = FIRST_PAUSE_SECONDS

    def tail(self, name: str, lines: int) -> str:
        """Return the last lines that a task wrote, where its task definition has them sent to CloudWatch."""
        task = self._known.get(name)
        if task is None:
            return ""
        with told(f"The last lines of {name} cannot be had"):
            ecs = self._client("ecs")
            described = ecs.describe_tasks(cluster=self._cluster(), tasks=[task.arn])["tasks"]
            if not described:
                return ""
            definition = ecs.describe_task_definition(taskDefinition=described[0]["taskDefinitionArn"])
            containers = definition["taskDefinition"]["containerDefinitions"]
            own: Mapping[str, Any] = next((one for one in containers if one["name"] == task.container_name), {})
            options = (own.get("logConfiguration") or {}).get("options") or {}
            group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
            if not group or not prefix:
                return ""
            stream = f"{prefix}/{task.container_name}/{task.arn.rpartition('/')[2]}"
            logs = self._client("logs")
            try:
                events = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=lines)["events"]
            except logs.exceptions.ResourceNotFoundException:
                return ""
            return "\n".join(event["message"] for event in events)

    def close(self) -> None:
        """End ``watch`` soon, and close connections."""
        self._closed.set()
        self._started_one.set()
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    # --- the watch ---------------------------------------------------------------------------------------------

    def _tell(
        self,
        states: States,
        seen: dict[str, ContainerState],
        on_change: Callable[[ContainerState], None],
    ) -> bool:
        """Tell of what is not as it was told; return whether there was any."""
        changed = False
        now = {state.name: state for state in states}
        for name, state in now.items():
            if seen.get(name) != state:
                changed = True
                seen[name] = state
                on_change(state)
                if state.phase is Phase.GONE:
                    # Nobody takes away what is gone.
                    self.remove(name)
        with self._lock:
            known = set(self._known)
        for name in [name for name in seen if name not in now]:
            before = seen.pop(name)
            # A task that was taken away by `remove` is over, and nothing of it is missing.
            if name in known and before.phase in (Phase.PENDING, Phase.RUNNING):
                changed = True
                with self._lock:
                    self._known.pop(name, None)
                on_change(ContainerState(name, before.labels, Phase.GONE, reason="ECS does not know the task any more"))
        return changed

    def _rest(self, seconds: float, stopped: threading.Event) -> None:
        deadline = time.monotonic() + seconds
        while not stopped.is_set() and not self._started_one.wait(min(0.5, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return

    def _listed(self, owner: str) -> States:
        with told("ECS does not list its tasks"):
            states = self._described(self._arns(owner))
        with self._lock:
            self._owners_read.add(owner)
        return [state for state in states if state.labels.get(OWNER_LABEL) == owner]

    def _known_states(self, owner: str) -> States:
        with self._lock:
            arns = [task.arn for task in self._known.values()]
        with told("ECS does not tell of its tasks"):
            return [state for state in self._described(arns) if state.labels.get(OWNER_LABEL) == owner]

    def _arns(self, owner: str) -> Arns:
        pages = self._client("ecs").get_paginator("list_tasks")
        found: dict[str, None] = {}
        for status in ("RUNNING", "STOPPED"):
            for page in pages.paginate(cluster=self._cluster(), startedBy=started_by(owner), desiredStatus=status):
                found |= dict.fromkeys(page["taskArns"])
        with self._lock:
            # A task that has just begun may not be listed yet.
            found |= dict.fromkeys(task.arn for task in self._known.values())
            self._removed &= found.keys()
            return [arn for arn in found if arn not in self._removed]

    def _described(self, arns: Arns) -> States:
        states = []
        for at in range(0, len(arns), TASKS_IN_A_REQUEST):
            batch = arns[at : at + TASKS_IN_A_REQUEST]
            answer = self._client("ecs").describe_tasks(cluster=self._cluster(), tasks=batch, include=["TAGS"])
            for task in answer["tasks"]:
                container_name = self._container_name(task)
                state = state_of(task, container_name)
                if state is None:
                    continue
                with self._lock:
                    if task["taskArn"] in self._removed:
                        continue
                    self._known.setdefault(state.name, _Task(task["taskArn"], container_name))
                states.append(state)
        return states

    def _container_name(self, task: Mapping[str, Any]) -> str:
        """Return which container of a task is Orchord's: the one whose command was given with it."""
        overrides = (task.get("overrides") or {}).get("containerOverrides") or ()
        named = (one["name"] for one in overrides if one.get("command") and one.get("name"))
        return str(next(named, self._settings.container_name))

    # --- starting ----------------------------------------------------------------------------------------------

    def _current_task(self, settings: EcsSettings) -> CurrentTask | None:
        if not settings.use_current_ecs_task_config:
            return None
        with self._lock:
            if not self._asked_for_current:
                self._current = find_current_task(self._client("ecs"), lambda: self._client("ec2"))
                self._asked_for_current = True
            return self._current

    def _cluster(self) -> str:
        if self._settings.cluster is not None:
            return self._settings.cluster
        current = self._current_task(self._settings)
        return "default" if current is None else current.cluster

    def _client(self, service: str) -> Any:
        with self._lock:
            if self._closed.is_set():
                raise PlatformError("The launcher worker is stopping.", is_passing=True)
            if service not in self._clients:
                self._clients[service] = new_client(service, self._session_arguments)
            return self._clients[service]


def _refused(name: str, failures: Any) -> PlatformError:
    told = []
    for failure in failures:
        told.append(" ".join(str(failure[key]) for key in ("reason", "detail", "arn") if failure.get(key)))
    words = "; ".join(told) or "it gave no reason"
    return PlatformError(f"ECS did not start {name}: {words}.", is_passing=is_passing_error("", words))
