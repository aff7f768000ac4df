"""Which steps of a job a run runs: selections of ops and of assets, resolved on the job's snapshot.

The grammars themselves are plan/selection.py and definitions/assets/selection.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.selection import AssetSelection
from orchord.errors import InvalidSubsetError, did_you_mean
from orchord.plan.model import ExecutionPlan
from orchord.plan.selection import select_steps
from orchord.runs import Inherited
from orchord.snapshot import JobSnapshot, LocationSnapshot


class Selection(NamedTuple):
    """The part of a job that a run runs.

    ``step_keys`` is None when that is all of it; ``asset_keys`` when no selection of assets was given.
    ``planned_assets`` are steps with the assets that they are to make.
    """

    plan: ExecutionPlan
    step_keys: tuple[str, ...] | None
    asset_keys: tuple[str, ...] | None
    planned_assets: tuple[tuple[str, str], ...]


def select(
    location: LocationSnapshot,
    job: JobSnapshot,
    ops: Sequence[str] | None,
    assets: Sequence[str] | None,
    steps: Sequence[str] | None,
    inherited: Mapping[str, Inherited],
) -> Selection:
    """Resolve what a request selects.

    Args:
        location: where the job is.
        job: the job.
        ops: queries for steps; None: no selection.
        assets: queries for assets; None: no selection.
        steps: keys of steps, in place of ``ops``, already resolved.
        inherited: steps whose outputs an earlier run holds.

    Raises:
        InvalidSubsetError: every mistake of the selections, or steps whose inputs nothing would give.
    """
    plan = job.plan
    if ops is not None and assets is not None:
        raise InvalidSubsetError(f"The selection for job '{job.name}' is twofold", [_ONE_OF_BOTH])
    asset_keys = None
    if assets is not None:
        asset_keys = _chosen_assets(location, job, assets)
        chosen: Collection[str] | None = _steps_of_assets(job, asset_keys)
        if steps is not None:
            chosen = steps
    elif ops is not None:
        chosen = select_steps(plan, ops)
    else:
        chosen = steps
    step_keys = None
    if chosen is not None and set(chosen) != set(plan.by_key):
        wanted = set(chosen)
        step_keys = tuple(step.key for step in plan.steps if step.key in wanted)
        _refuse_unfed_inputs(job, step_keys, inherited)
        plan = plan.select(step_keys)
    made = set(job.asset_keys if asset_keys is None else asset_keys)
    planned = tuple((step.key, key) for step in plan.steps for key in step.asset_keys if key in made)
    return Selection(plan, step_keys, asset_keys, planned)


_ONE_OF_BOTH = "op_selection and asset_selection are both given. Give one of them."


def _chosen_assets(location: LocationSnapshot, job: JobSnapshot, queries: Sequence[str]) -> tuple[str, ...]:
    if not queries:
        raise InvalidSubsetError(
            f"The asset selection for job '{job.name}' is empty", ["name at least one asset, or leave it out."]
        )
    resolved = AssetSelection.from_coercible(list(queries)).resolve_to_make(AssetGraph.from_snapshot(location))
    chosen = sorted(key.to_user_string() for key in resolved)
    made = set(job.asset_keys)
    mistakes = [
        f"job '{job.name}' does not make '{key}'.{did_you_mean(key, made)}" for key in chosen if key not in made
    ]
    for key in chosen:
        together = location.asset_by_key[key].neighbours if key in location.asset_by_key else ()
        missing = [other for other in together if other in made and other not in chosen]
        if missing:
            names = ", ".join(f"'{other}'" for other in missing)
            mistakes.append(f"'{key}' is always made together with {names}. Select all of them.")
    if mistakes:
        raise InvalidSubsetError(f"The asset selection cannot be used with job '{job.name}'", mistakes)
    return tuple(chosen)


def _steps_of_assets(job: JobSnapshot, asset_keys: Collection[str]) -> set[str]:
    """Return the steps that make the assets. An asset made by a graph needs every step of its graph."""
    wanted = set(asset_keys)
    direct = {step.key for step in job.plan.steps if wanted & set(step.asset_keys)}
    graphs = {key.partition(".")[0] for key in direct if "." in key}
    return direct | {step.key for step in job.plan.steps if step.key.partition(".")[0] in graphs and "." in step.key}


def _refuse_unfed_inputs(job: JobSnapshot, step_keys: Sequence[str], inherited: Mapping[str, Inherited]) -> None:
    """Refuse steps that would load what no step of the run makes: an asset is loaded from its last making, an op's
    output only from a run that made it."""
    known = {*step_keys, *inherited}
    mistakes = [
        f"step '{key}' needs '{ref.output_name}' of '{ref.step_key}', which is not selected. "
        f"Select '*{key}' to run what it needs, or re-execute a run that made it."
        for key in step_keys
        for step_input in job.plan.step(key).inputs
        if step_input.loads and step_input.asset_key is None
        for ref in step_input.sources
        if ref.step_key not in known
    ]
    if mistakes:
        raise InvalidSubsetError(f"The selection of steps of job '{job.name}' cannot run", mistakes)
