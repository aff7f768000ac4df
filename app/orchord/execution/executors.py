"""Executors of runs that are one unit of work: those that come with Orchord, and the class behind one of your own.

What an executor is given is orchestration.py; its definition and config are definitions/executors.py. Runs whose steps
are tasks or containers have no such executor: their steps follow each other by messages.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchord.definitions.executors import EXECUTORS, ExecutorDefinition
from orchord.errors import InvalidDefinitionError, OrchordError, UnavailableError
from orchord.events import ErrorInfo
from orchord.execution.error_info import error_info
from orchord.execution.in_process import RunEnd
from orchord.execution.interrupt import StopNotice
from orchord.execution.orchestration import PlanOrchestrationContext, RunSurroundings
from orchord.execution.processes import (
    ChildStarter,
    ForkStarter,
    SpawnStarter,
    StepProcesses,
    StepSource,
    StepTemplate,
)
from orchord.plan.gates import RunGate, executor_config, gates_of
from orchord.plan.model import ExecutionPlan
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition

StartMethod = Literal["forkserver", "spawn", "fork"]
START_METHODS: tuple[StartMethod, ...] = ("forkserver", "spawn", "fork")
IN_PROCESS = "in_process_executor"
MULTIPROCESS = "multiprocess_executor"
MULTI_OR_IN_PROCESS = "multi_or_in_process_executor"


@dataclass(frozen=True)
class InitExecutorContext:
    """What the function behind an ``@executor`` is given.

    Attributes:
        job: the job.
        executor_def: the executor's definition.
        executor_config: its config, checked, with defaults.
        instance: the instance that the run is recorded in.
    """

    job: JobDefinition
    executor_def: ExecutorDefinition
    executor_config: Mapping[str, Any]
    instance: Any


class Executor(ABC):
    """Decides which steps of a run start when, and where: what the function behind an ``@executor`` returns.

    The run is one unit of work: ``execute`` is called in the process that the run launcher gives it.
    """

    #: How the processes of steps are started.
    start_method: StartMethod = "forkserver"
    #: Whether an attempt that fails may be followed by another.
    retries_enabled: bool = True

    @abstractmethod
    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[Any] | None:
        """Carry the run out: return when ``plan_context.is_over``. A generator is run to its end.

        Args:
            plan_context: the run, and how its steps are started and awaited.
            execution_plan: its steps.
        """


class ExecutorFailedError(OrchordError):
    """An executor of the user's own failed, and the run with it. ``info`` says why."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(f"The run's executor failed: {info.cls_name}: {info.message}")
        self.info = info


class InProcessExecutor(Executor):
    """Runs steps one after another, in the process that carries the run out."""

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> None:
        """Carry the run out."""
        while not plan_context.is_over:
            for step in plan_context.ready_steps[:1]:
                plan_context.run_inline(step.key)
            if not plan_context.ready_steps:
                plan_context.wait()


class MultiprocessExecutor(Executor):
    """Runs steps at once, each in a process of its own.

    Args:
        max_concurrent: how many at most; None or 0: as many as this process may use processors.
        start_method: how the processes are started.
        gates: limits by tag.
        retries_enabled: whether an attempt that fails may be followed by another.
    """

    def __init__(
        self,
        max_concurrent: int | None = None,
        start_method: StartMethod = "forkserver",
        gates: tuple[RunGate, ...] = (),
        *,
        retries_enabled: bool = True,
    ) -> None:
        self.max_concurrent = max_concurrent or processors()
        self.start_method = start_method
        self.gates = gates
        self.retries_enabled = retries_enabled

    @classmethod
    def of(cls, config: Mapping[str, Any], plan: ExecutionPlan) -> MultiprocessExecutor:
        """Return the executor of a config."""
        gates = tuple(gate for gate in gates_of(config, plan) if gate.step_keys is not None)
        named = next(iter(config.get("start_method") or ()), None)
        method = next((one for one in START_METHODS if one == named), START_METHODS[0])
        return cls(config.get("max_concurrent"), method, gates, retries_enabled=retries_enabled(config))

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> None:
        """Carry the run out."""
        while not plan_context.is_over:
            for step in plan_context.ready_steps:
                running = [one.key for one in plan_context.running_steps]
                if len(running) >= self.max_concurrent:
                    break
                if all(gate.has_room(step.key, running) for gate in self.gates):
                    plan_context.start_process(step.key)
            plan_context.wait()


class ProcessStarters:
    """How the processes of steps are started on this machine, whatever a run's executor asks for.

    Args:
        source: where the code is.
        template: a template that has the code; without one, the first that is needed loads it.
    """

    def __init__(self, source: StepSource, template: StepTemplate | None = None) -> None:
        self._source = source
        self._given = template
        self._own: StepTemplate | None = None

    def of(self, method: StartMethod) -> ChildStarter:
        """Return a starter by its name."""
        if method == "spawn":
            return SpawnStarter(self._source)
        if method == "fork":
            return ForkStarter(self._source)
        if self._given is not None and not self._given.is_gone:
            return self._given
        if self._own is None or self._own.is_gone:
            self.close()
            self._own = StepTemplate(self._source, loads_anew=True)
        return self._own

    def close(self) -> None:
        """Let go of a template that was started here."""
        own, self._own = self._own, None
        if own is not None:
            own.close()


def run_by_executor(
    executor: Executor, within: RunSurroundings, starters: Callable[[StartMethod], ChildStarter], stop: StopNotice
) -> RunEnd:
    """Have an executor carry a run out in this process and those that it starts.

    Args:
        executor: the executor.
        within: the run.
        starters: returns what starts processes, by the name of the start method.
        stop: is set when the run is to stop.

    Raises:
        ExecutorFailedError: an executor of the user's own raised something, or left steps undone.
    """
    context = PlanOrchestrationContext(
        within,
        StepProcesses(_Late(lambda: starters(executor.start_method)), stop=stop),
        stop,
        executor_config=executor_config(within.run),
        may_retry=executor.retries_enabled,
    )

    def execute(given: PlanOrchestrationContext) -> None:
        is_own = not isinstance(executor, (InProcessExecutor, MultiprocessExecutor))
        try:
            for _ in executor.execute(given, given.plan) or ():
                pass
            given.check_is_over()
        except (Exception, SystemExit) as error:  # boundary: an executor of the user's own is user code
            if not is_own or isinstance(error, UnavailableError):
                raise
            raise ExecutorFailedError(error_info(error)) from error

    return context.carry_out(execute)


class _Late:
    """A starter that is asked for with each process: an executor may start none, and a template may have died."""

    def __init__(self, make: Callable[[], ChildStarter]) -> None:
        self._make = make

    def sent_source(self) -> StepSource | None:
        return self._make().sent_source()

    def start(self) -> Any:
        return self._make().start()

    def close(self) -> None:
        """Whoever made the starter closes it."""


def executor_of(job: JobDefinition, run: Run, plan: ExecutionPlan, instance: Any) -> Executor:
    """Return the executor of a run that is one unit of work.

    Raises:
        InvalidDefinitionError: nobody knows it, or the function behind it returns something else.
        InvalidConfigError: its config has mistakes (and what a function of the user's own raises).
    """
    config, definition = executor_config(run), job.executor_def
    if definition is not None and definition.name != run.executor:
        definition = None
    if definition is not None and definition.maps_config and definition.executor_creation_fn is None:
        config = definition.resolve_config(config, "execution.config")
    if run.executor == MULTI_OR_IN_PROCESS:
        if "in_process" in config:
            return in_process_of(_part(config, "in_process"))
        return MultiprocessExecutor.of(_part(config, "multiprocess"), plan)
    if run.executor == MULTIPROCESS:
        return MultiprocessExecutor.of(config, plan)
    if definition is None:
        if run.executor == IN_PROCESS or run.executor in EXECUTORS:
            return in_process_of(config)
        own = "none of its own" if job.executor_def is None else f"'{job.executor_def.name}'"
        raise InvalidDefinitionError(
            f"The run's executor is '{run.executor}', and job '{job.name}' of the code that is loaded has "
            f"{own}. Launch the run again."
        )
    if definition.executor_creation_fn is None:
        return in_process_of(config)
    # Config that the code itself fixed is applied by the definition's own layers.
    given = {} if run.executor_config else config
    checked = definition.resolve_config(given, "execution.config")
    made = definition.executor_creation_fn(InitExecutorContext(job, definition, checked, instance))
    if not isinstance(made, Executor):
        raise InvalidDefinitionError(
            f"The function of executor '{definition.name}' returned {made!r}. It must return an object of a class that "
            "extends orchord.Executor, such as MultiprocessExecutor(max_concurrent=4)."
        )
    return made


def in_process_of(config: Mapping[str, Any]) -> InProcessExecutor:
    """Return the in-process executor of a config."""
    made = InProcessExecutor()
    made.retries_enabled = retries_enabled(config)
    return made


def _part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return one part of a config; what stands beside it, of a job without an executor of its own, holds for it too."""
    part = config.get(key)
    return {**config, **(part if isinstance(part, Mapping) else {})}


def retries_enabled(config: Mapping[str, Any]) -> bool:
    """Return whether an executor's config lets failed attempts be followed by others, in whichever of its forms."""
    parts = (config, config.get("in_process"), config.get("multiprocess"))
    told = [part.get("retries") for part in parts if isinstance(part, Mapping)]
    return not any(isinstance(retries, Mapping) and "disabled" in retries for retries in told)


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1
