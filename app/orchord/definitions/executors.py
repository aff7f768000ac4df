"""Executors as definitions: how a job's run is carried out, named, with the config that each takes.

These are data. What carries a run out is in execution/ (in this process) and in orchord_workers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, overload

from orchord.definitions.config.configurable import Configurable
from orchord.definitions.config.schema import (
    ANY_SCHEMA,
    Array,
    ConfigSchema,
    Field,
    Map,
    Noneable,
    Permissive,
    Selector,
    as_schema,
)
from orchord.definitions.config.schema import StringSource as Source
from orchord.errors import InvalidDefinitionError

RunForm = Literal["chords", "unit"]
StepPlace = Literal["worker", "process", "container", "pod", "custom"]


class ExecutorDefinition(Configurable):
    """How a job's run is carried out.

    Args:
        name: The name by which runs record it.
        config_schema: What ``execution.config`` holds.
        description: For people.
        run_form: ``chords``: steps are tasks of their own; ``unit``: one process carries the whole run out.
        step_place: Where a step's code runs: in a worker, in a process of its own, in a container, in a pod.
        can_run: Whether this version of Orchord carries such runs out.
        executor_creation_fn: The function behind an executor of your own.
    """

    def __init__(
        self,
        name: str,
        config_schema: Any = None,
        description: str | None = None,
        *,
        run_form: RunForm = "unit",
        step_place: StepPlace = "worker",
        can_run: bool = False,
        executor_creation_fn: Callable[..., Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidDefinitionError(f"An executor's name is {name!r}; use letters, digits and underscores.")
        self.name = name
        self.description = description
        self.run_form: RunForm = run_form
        self.step_place: StepPlace = step_place
        self.can_run = can_run
        self.executor_creation_fn = executor_creation_fn
        self._config_schema: ConfigSchema | None = as_schema({} if config_schema is None else config_schema)
        self.config_type = self._config_schema.config_type

    @property
    def why_not(self) -> str | None:
        """Why a run with this executor is refused, or None when it is not."""
        if self.can_run:
            return None
        usable = ", ".join(sorted(item.name for item in EXECUTORS.values() if item.can_run))
        return f"Executor '{self.name}' cannot be used yet. Use one of: {usable}."

    def __repr__(self) -> str:
        return f"<ExecutorDefinition '{self.name}'>"


@overload
def executor(name: Callable[..., Any]) -> ExecutorDefinition: ...
@overload
def executor(
    name: str | None = None, config_schema: Any = None, description: str | None = None
) -> Callable[[Callable[..., Any]], ExecutorDefinition]: ...
def executor(
    name: str | Callable[..., Any] | None = None, config_schema: Any = None, description: str | None = None
) -> ExecutorDefinition | Callable[[Callable[..., Any]], ExecutorDefinition]:
    """Make an executor's definition of a function that returns an executor.

    Args:
        name: The name by which runs record it; the function's when it is not given.
        config_schema: What ``execution.config`` holds.
        description: For people; the function's docstring when it is not given.
    """

    def define(function: Callable[..., Any], given: str | None) -> ExecutorDefinition:
        return ExecutorDefinition(
            given or function.__name__,
            ANY_SCHEMA if config_schema is None else config_schema,
            description or inspect.getdoc(function),
            step_place="custom",
            executor_creation_fn=function,
        )

    return define(name, None) if callable(name) else lambda function: define(function, name)


_CONCURRENCY = {
    "max_concurrent": Field(
        Noneable(int),
        default_value=None,
        description="How many steps run at once; None: as many as there are processors.",
    ),
}
_CONTAINER = {
    "image": Field(Noneable(Source), default_value=None, description="The image; None: the code location's."),
    "network": Field(Noneable(Source), default_value=None, description="The network that containers join."),
    "networks": Field([Source], default_value=[], description="The networks that containers join."),
    "env_vars": Field([str], default_value=[], description="NAME=value, or NAME to pass the variable on."),
    "container_kwargs": Field(Permissive(), default_value={}, description="Passed to docker's containers.create."),
    "registry": Field(
        Noneable({"url": Source, "username": Source, "password": Field(Source, is_secret=True)}),
        default_value=None,
        description="Where images are pulled from, if not from Docker Hub.",
    ),
}
_POD = {
    "job_image": Field(Noneable(Source), default_value=None, description="The image; None: the code location's."),
    "job_namespace": Field(Noneable(Source), default_value=None, description="The namespace of the Jobs."),
    "service_account_name": Field(Noneable(Source), default_value=None, description="The Jobs' service account."),
    "image_pull_policy": Field(Noneable(Source), default_value=None, description="Always, IfNotPresent or Never."),
    "image_pull_secrets": Field([{"name": str}], default_value=[], description="Secrets to pull the image with."),
    "env_vars": Field([str], default_value=[], description="NAME=value, or NAME to pass the variable on."),
    "env_secrets": Field([str], default_value=[], description="Secrets whose keys become variables."),
    "env_config_maps": Field([str], default_value=[], description="ConfigMaps whose keys become variables."),
    "labels": Field(Map(str, str), default_value={}, description="Labels of the Jobs and their pods."),
    "volumes": Field(Array(Permissive()), default_value=[], description="Volumes of the pods."),
    "volume_mounts": Field(Array(Permissive()), default_value=[], description="Where the volumes are mounted."),
    "resources": Field(Permissive(), default_value={}, description="Requests and limits of the containers."),
    "step_k8s_config": Field(Permissive(), default_value={}, description="Raw parts of the Jobs' manifests."),
}

celery_executor = ExecutorDefinition(
    "celery_executor",
    description="Each step is a Celery task on a warm worker. The default.",
    run_form="chords",
    can_run=True,
)
default_executor = celery_executor
"""The executor of jobs for which nobody named one."""

in_process_executor = ExecutorDefinition(
    "in_process_executor", description="Steps run one after another in one process.", can_run=True
)
multiprocess_executor = ExecutorDefinition(
    "multiprocess_executor",
    _CONCURRENCY,
    "Steps run in parallel, each in a process of its own on one machine.",
    step_place="process",
)
multi_or_in_process_executor = ExecutorDefinition(
    "multi_or_in_process_executor",
    Field(
        Selector({"multiprocess": Field(_CONCURRENCY, default_value={}), "in_process": Field({}, default_value={})}),
        default_value={"multiprocess": {}},
    ),
    "Chosen in run config: multiprocess (the default) or in_process.",
    step_place="process",
)
docker_executor = ExecutorDefinition(
    "docker_executor",
    {**_CONTAINER, **_CONCURRENCY},
    "Each step runs in a Docker container of its own.",
    run_form="chords",
    step_place="container",
)
celery_docker_executor = ExecutorDefinition(
    "celery_docker_executor",
    {"docker": Field(_CONTAINER, default_value={})},
    "Each step is a Celery task that runs in a Docker container of its own.",
    run_form="chords",
    step_place="container",
)
k8s_job_executor = ExecutorDefinition(
    "k8s_job_executor",
    {**_POD, **_CONCURRENCY},
    "Each step runs in a Kubernetes Job of its own.",
    run_form="chords",
    step_place="pod",
)
celery_k8s_job_executor = ExecutorDefinition(
    "celery_k8s_job_executor",
    _POD,
    "Each step is a Celery task that runs in a Kubernetes Job of its own.",
    run_form="chords",
    step_place="pod",
)

EXECUTORS: dict[str, ExecutorDefinition] = {
    item.name: item
    for item in (
        celery_executor,
        in_process_executor,
        multiprocess_executor,
        multi_or_in_process_executor,
        docker_executor,
        celery_docker_executor,
        k8s_job_executor,
        celery_k8s_job_executor,
    )
}
"""The executors that come with Orchord, by name."""
