"""Executors as definitions: how a job's run is carried out, named, with the config that each takes.

These are data. What carries a run out is in execution/ (in this process) and in orchord_workers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

from orchord.definitions import executor_config as settings
from orchord.definitions.config.check import check_config
from orchord.definitions.config.configurable import Configurable, required_config
from orchord.definitions.config.env import env_references
from orchord.definitions.config.schema import ANY_SCHEMA, ConfigSchema, Field, Selector, as_schema
from orchord.definitions.config.types import ShapeType
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
        executor_creation_fn: Callable[..., Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidDefinitionError(f"An executor's name is {name!r}; use letters, digits and underscores.")
        self.name = name
        self.description = description
        self.run_form: RunForm = run_form
        self.step_place: StepPlace = step_place
        self.executor_creation_fn = executor_creation_fn
        self._config_schema: ConfigSchema | None = as_schema({} if config_schema is None else config_schema)
        self.config_type = self._config_schema.config_type

    @property
    def maps_config(self) -> bool:
        """Whether ``configured`` made it take other config, of which a function makes its own."""
        if not self._config_layers:
            return False
        if isinstance(self.config_type, ShapeType):
            return bool(self.config_type.fields)
        return required_config(self.config_type)

    @property
    def fixed_config(self) -> dict[str, Any]:
        """The config that ``configured`` gave it, as plain data with variables by name; empty: none.

        Of a function of config it is empty too: its result is known only where its code is (``maps_config``).
        """
        if not self._config_layers or self.maps_config:
            return {}
        value: Any = {}
        for layer in self._config_layers:
            given = check_config(layer.outer.config_type, value).value
            value = env_references(layer.inner_config(given))
        return dict(value) if isinstance(value, Mapping) else {}

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


celery_executor = ExecutorDefinition(
    "celery_executor", settings.CELERY, "Each step is a Celery task on a warm worker.", run_form="chords"
)
default_executor = ExecutorDefinition(
    "celery_executor",
    {**settings.CELERY, **settings.UNIT_FORMS},
    "As celery_executor where runs are spread over warm workers; one unit of work where the run launcher makes a "
    "process or a container for each run, or run config asks for in_process or multiprocess.",
    run_form="chords",
)
"""The executor of jobs for which nobody named one."""

in_process_executor = ExecutorDefinition(
    "in_process_executor", settings.IN_PROCESS, "Steps run one after another in one process."
)
multiprocess_executor = ExecutorDefinition(
    "multiprocess_executor",
    settings.MULTIPROCESS,
    "Steps run in parallel, each in a process of its own on one machine.",
    step_place="process",
)
multi_or_in_process_executor = ExecutorDefinition(
    "multi_or_in_process_executor",
    Field(
        Selector(
            {
                "multiprocess": Field(settings.MULTIPROCESS, default_value={}),
                "in_process": Field(settings.IN_PROCESS, default_value={}),
            }
        ),
        default_value={"multiprocess": {}},
    ),
    "Chosen in run config: multiprocess (the default) or in_process.",
    step_place="process",
)
docker_executor = ExecutorDefinition(
    "docker_executor",
    settings.DOCKER,
    "Each step runs in a Docker container of its own.",
    run_form="chords",
    step_place="container",
)
celery_docker_executor = ExecutorDefinition(
    "celery_docker_executor",
    settings.CELERY_DOCKER,
    "Each step is a Celery task that runs in a Docker container of its own.",
    run_form="chords",
    step_place="container",
)
k8s_job_executor = ExecutorDefinition(
    "k8s_job_executor",
    settings.K8S_JOB,
    "Each step runs in a Kubernetes Job of its own.",
    run_form="chords",
    step_place="pod",
)
celery_k8s_job_executor = ExecutorDefinition(
    "celery_k8s_job_executor",
    settings.CELERY_K8S_JOB,
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
