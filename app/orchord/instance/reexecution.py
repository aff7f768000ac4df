"""A run that repeats an earlier one: all of it, or what did not succeed.

What succeeded is not run again: the new run *inherits* those steps, so that their outputs are loaded from the run
that made them. Launching is launch.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchord.errors import ConflictError, InvalidConfigError, did_you_mean
from orchord.events import EventType
from orchord.instance.launch import LaunchRequest, Lineage, find_job, launch
from orchord.plan.model import ExecutionPlan
from orchord.runs import STEP_END_STATUSES, Attempt, AttemptStatus, Inherited, Run, RunStatus

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

ALL_STEPS = "ALL_STEPS"
FROM_FAILURE = "FROM_FAILURE"
FROM_ASSET_FAILURE = "FROM_ASSET_FAILURE"
STRATEGIES = (ALL_STEPS, FROM_FAILURE, FROM_ASSET_FAILURE)

# Tags that belong to one run and not to those that repeat it.
_OWN_TAGS = (
    "orchord/run_key",
    "orchord/parent_run_id",
    "orchord/root_run_id",
    "orchord/retry_number",
    "orchord/will_retry",
    "orchord/auto_retry_run_id",
)


def reexecute(
    instance: OrchordInstance,
    run_id: str,
    strategy: str = ALL_STEPS,
    tags: Mapping[str, str] | None = None,
    run_config: Any = None,
    *,
    idempotency_key: str | None = None,
) -> Run:
    """Launch a run that repeats an earlier one, with the code that its location has now.

    Args:
        instance: where the run is.
        run_id: the earlier run; it must have ended.
        strategy: ``ALL_STEPS`` runs every step that the earlier run had; ``FROM_FAILURE`` those that did not
            succeed, and keeps the outputs of the others; ``FROM_ASSET_FAILURE`` makes those assets that the earlier
            run was to make and did not, also when their step made others (without assets: ``FROM_FAILURE``).
        tags: laid over the earlier run's.
        run_config: in place of the earlier run's; None: as the earlier run had it.
        idempotency_key: the same key gives the same run.

    Raises:
        RunNotFoundError, JobNotFoundError: the run, or today its job, is not there.
        ConflictError: the run goes on, or from failure: nothing is left to run.
        InvalidConfigError: the strategy is unknown, or the config no longer fits.
    """
    if strategy not in STRATEGIES:
        raise InvalidConfigError(
            "The run cannot be executed again", [f"strategy: found '{strategy}'.{did_you_mean(strategy, STRATEGIES)}"]
        )
    parent = instance.storage.runs.get(run_id)
    if not parent.status.is_terminal:
        raise ConflictError(
            f"Run {run_id} is {parent.status} and cannot be executed again before it has ended. Wait, or cancel it."
        )
    _, job = find_job(instance.storage, parent.job_name, parent.location)
    tags = {**{key: value for key, value in parent.tags.items() if key not in _OWN_TAGS}, **(tags or {})}
    config = parent.run_config if run_config is None else run_config
    if strategy == FROM_ASSET_FAILURE:
        missing = _missing_assets(instance, parent, job.plan)
        if missing is not None:
            return _make_assets(
                instance,
                parent,
                missing,
                LaunchRequest(
                    job_name=parent.job_name,
                    location=parent.location,
                    run_config=config,
                    tags=tags,
                    asset_selection=_escaped(missing),
                    idempotency_key=idempotency_key,
                ),
            )
        strategy = FROM_FAILURE
    wanted = _wanted_steps(parent, job.plan)
    inherited: dict[str, Inherited] = {}
    if strategy == FROM_FAILURE:
        inherited = _kept_steps(parent, job.plan, instance.storage.attempts.of_run(run_id))
        wanted = [key for key in wanted if key not in inherited]
        if parent.status is RunStatus.SUCCESS or not wanted:
            raise ConflictError(f"Run {run_id} has no step that failed. Execute it again with strategy {ALL_STEPS}.")
    request = LaunchRequest(
        job_name=parent.job_name,
        location=parent.location,
        run_config=config,
        tags=tags,
        asset_selection=_escaped(parent.asset_selection),
        idempotency_key=idempotency_key,
    )
    lineage = Lineage(parent.run_id, parent.root_run_id or parent.run_id, inherited)
    run, _ = launch(instance, request, lineage, steps=wanted)
    return run


def _missing_assets(instance: OrchordInstance, parent: Run, plan: ExecutionPlan) -> list[str] | None:
    """Return the assets that a run was to make and has not made; None when it was to make none."""
    steps = [plan.step(key) for key in _wanted_steps(parent, plan)]
    planned = [key for step in steps for key in step.asset_keys]
    if parent.asset_selection is not None:
        planned = [key for key in planned if key in parent.asset_selection]
    if not planned:
        return None
    made = {
        entry.asset_key.to_user_string()
        for entry in instance.all_logs(parent.run_id, EventType.ASSET_MATERIALIZATION)
        if entry.asset_key is not None
    }
    return [key for key in planned if key not in made]


def _make_assets(instance: OrchordInstance, parent: Run, missing: Sequence[str], request: LaunchRequest) -> Run:
    if not missing:
        raise ConflictError(f"Run {parent.run_id} has made all its assets. Execute it again with {ALL_STEPS}.")
    run, _ = launch(instance, request, Lineage(parent.run_id, parent.root_run_id or parent.run_id))
    return run


def _escaped(keys: Iterable[str] | None) -> list[str] | None:
    return None if keys is None else [f'key:"{key}"' for key in keys]


def _wanted_steps(parent: Run, plan: ExecutionPlan) -> list[str]:
    """Return the steps that the earlier run had, those that it inherited among them, as far as they still exist."""
    if parent.step_keys is None:
        return list(plan.by_key)
    known = {*parent.step_keys, *parent.inherited}
    return [key for key in plan.by_key if key in known]


def _kept_steps(parent: Run, plan: ExecutionPlan, attempts: Iterable[Attempt]) -> dict[str, Inherited]:
    """Return the steps that need not run again, each with the run that holds its outputs.

    A step that was skipped because an optional output was not yielded is kept too, with no outputs: nothing that it
    stands on runs again, so it would be skipped again.
    """
    kept = dict(parent.inherited)
    ends: dict[str, Attempt] = {}
    for attempt in sorted(attempts, key=lambda item: item.attempt):
        if attempt.status in STEP_END_STATUSES:
            ends[attempt.step_key] = attempt
    for key, end in ends.items():
        if end.status is AttemptStatus.SUCCESS:
            kept[key] = Inherited(parent.run_id, end.outputs)
        elif end.status is AttemptStatus.SKIPPED:
            kept[key] = Inherited(parent.run_id, ())
    return {key: value for key, value in kept.items() if key in plan.by_key}
