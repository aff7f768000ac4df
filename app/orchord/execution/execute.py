"""Running a job in this process: a run made from config, selection and resources, and a result from what happened.

The steps themselves are followed in in_process.py; direct calls of ops are invocation.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from orchord.definitions import default_io_manager
from orchord.definitions.asset_key import AssetKey
from orchord.definitions.event_views import DagsterEvent
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.job_resources import resource_mistakes
from orchord.definitions.resources import as_resource_definition
from orchord.errors import InvalidDefinitionError, InvalidSubsetError, did_you_mean, numbered
from orchord.events import utc_now
from orchord.execution.event_list import EventList
from orchord.execution.in_process import run_in_process
from orchord.execution.invocation import invoke
from orchord.execution.result import ExecuteInProcessResult
from orchord.execution.transient import TransientInstance
from orchord.io_managers import mem_io_manager
from orchord.plan.compile import compile_plan
from orchord.plan.model import ExecutionPlan
from orchord.plan.selection import select_steps
from orchord.runs import Run, RunStatus, new_run_id

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition

IN_PROCESS_EXECUTOR = "in_process_executor"


class InProcessEngine:
    """What definitions/engine.py calls."""

    def invoke(self, definition: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call an op or asset directly."""
        return invoke(definition, args, kwargs)

    def execute_job(
        self,
        job: JobDefinition,
        *,
        run_config: Any = None,
        instance: Any = None,
        resources: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,
        op_selection: Sequence[str] | None = None,
        asset_selection: Sequence[Any] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ExecuteInProcessResult:
        """Run a job in this process, one step after another.

        Values pass through memory where the job has no IO manager of its own; those of assets are stored in the
        instance's folder when an instance is given.

        Args:
            job: the job.
            run_config: config, as a dict or RunConfig; ops and resources of which it says nothing have the job's own.
            instance: what user code gets as ``context.instance``; a passing one when left out.
            resources: objects or definitions that replace the job's resources, by key.
            raise_on_error: raise what the first failed step raised; else the result tells.
            op_selection: which steps, such as ``["a", "*b"]``.
            asset_selection: which assets of an asset job.
            run_id: the run's id; a new one when left out.
            input_values: values for the inputs of the job's graph.
            tags: tags of the run, beside the job's own.

        Raises:
            InvalidConfigError: the config has mistakes; all of them.
            InvalidSubsetError: the selection names what does not exist.
        """
        # What an asset job makes for an instance is there for its later runs, so it is stored.
        in_memory = instance is None or job.asset_layer is None
        bound = bound_job(job, resources or {}, input_values or {}, in_memory=in_memory)
        config = job.merged_run_config(run_config)
        plan = compile_plan(bound if input_values else job)
        assets = None if asset_selection is None else selected_assets(bound, asset_selection)
        step_keys = selected_steps(bound, plan, op_selection, assets)
        resolved = bound.resolve_run_config(config, step_keys)
        run = Run(
            run_id=run_id or new_run_id(),
            job_name=job.name,
            location="",
            status=RunStatus.STARTED,
            job_snapshot_id="",
            created_at=(now := utc_now()),
            started_at=now,
            run_config=config,
            tags={**job.tags_of_runs, **(tags or {})},
            executor=IN_PROCESS_EXECUTOR,
            step_keys=step_keys,
            asset_selection=assets,
        )
        # An instance with storage writes the run down too, as it does for the runs that it launches.
        recording = getattr(instance, "recording", None)
        sink = EventList(run, recording(run) if recording is not None else None)
        with _instance(instance) as held:
            end = run_in_process(
                bound, run, plan if step_keys is None else plan.select(step_keys), resolved, held, sink
            )
        ended_run = sink.ended(end)
        if end.error is not None and (raise_on_error or isinstance(end.error, KeyboardInterrupt)):
            raise end.error
        events = [DagsterEvent(event, job.name) for event in sink.events]
        return ExecuteInProcessResult(job, ended_run, events, sink.values)


def selected_assets(job: JobDefinition, selection: Sequence[Any]) -> tuple[str, ...]:
    """Return the user strings of assets that a job makes.

    Raises:
        InvalidSubsetError: the job makes one or more of them not; all are named.
    """
    layer = job.asset_layer
    made = set() if layer is None else {key.to_user_string() for key in layer.made_keys}
    wanted = [AssetKey.from_coercible(key).to_user_string() for key in selection]
    mistakes = [
        f"Job '{job.name}' makes no asset '{name}'.{did_you_mean(name, made)}" for name in wanted if name not in made
    ]
    if mistakes:
        raise InvalidSubsetError("The asset selection cannot be run", mistakes)
    return tuple(wanted)


def selected_steps(
    job: JobDefinition, plan: ExecutionPlan, op_selection: Sequence[str] | None, assets: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Return the steps that a selection of ops and assets leaves; None for all."""
    if op_selection is None and assets is None:
        return None
    keys = {step.key for step in plan.steps} if op_selection is None else set(select_steps(plan, list(op_selection)))
    if assets is not None and job.asset_layer is not None:
        keys &= set(job.asset_layer.step_keys_of({AssetKey.from_user_string(name) for name in assets}))
    return tuple(step.key for step in plan.steps if step.key in keys)


# What was found out of a job hangs on its identity, so it is found out once however often the job runs.
_in_memory: WeakKeyDictionary[JobDefinition, JobDefinition] = WeakKeyDictionary()
_complete: WeakSet[JobDefinition] = WeakSet()


def bound_job(
    job: JobDefinition, resources: Mapping[str, Any], input_values: Mapping[str, Any], *, in_memory: bool = True
) -> JobDefinition:
    """Return the job with what this run replaces. Values may stay in memory, if nobody chose where they go.

    Raises:
        InvalidDefinitionError: resources are missing; all of them are named.
    """
    chosen = resources.get(DEFAULT_IO_MANAGER_KEY, job.resource_defs.get(DEFAULT_IO_MANAGER_KEY))
    in_memory = in_memory and (chosen is None or default_io_manager.is_default(chosen))
    bound = _with_memory(job) if in_memory else job
    if resources:
        given = {key: as_resource_definition(value) for key, value in resources.items()}
        if in_memory:
            given[DEFAULT_IO_MANAGER_KEY] = bound.resource_defs[DEFAULT_IO_MANAGER_KEY]
        bound = bound.with_resources(given)
    if input_values:
        bound = bound.with_input_values(input_values)
    if bound not in _complete:
        mistakes = resource_mistakes(bound)
        if mistakes:
            raise InvalidDefinitionError(numbered(f"Job '{job.name}' cannot be run", mistakes))
        _complete.add(bound)
    return bound


def _with_memory(job: JobDefinition) -> JobDefinition:
    """Return the job with an IO manager in memory."""
    found = _in_memory.get(job)
    if found is None:
        found = _in_memory[job] = job.with_resources({DEFAULT_IO_MANAGER_KEY: mem_io_manager})
    return found


@contextmanager
def _instance(given: Any) -> Iterator[Any]:
    if given is not None:
        yield given
        return
    with TransientInstance() as transient:
        yield transient
