"""From a request to a recorded run: finding the job, checking everything, recording, handing over.

Nothing here imports user code: jobs are known by their snapshots. Selections are resolved in selecting.py; a run that
repeats an earlier one is made in reexecution.py.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from orchord.definitions.config.check import check_config
from orchord.definitions.config.run_config import as_run_config, laid_over
from orchord.errors import (
    ConflictError,
    InvalidConfigError,
    InvalidSubsetError,
    JobNotFoundError,
    LocationNotFoundError,
    OrchordError,
    UnavailableError,
    did_you_mean,
)
from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.instance.launchers import LaunchRunContext
from orchord.instance.placement import misfits_of, placement_of
from orchord.instance.run_tags import own_tag, tag_mistakes
from orchord.instance.selecting import Selection, select
from orchord.plan.model import ExecutionPlan
from orchord.runs import Inherited, Run, RunStatus, new_run_id
from orchord.snapshot import JobSnapshot, LocationSnapshot

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance
    from orchord.storage import LocationRow, Storage

logger = logging.getLogger(__name__)

MAX_RUN_CONFIG_BYTES = 10_000_000

PARENT_RUN_TAG = "orchord/parent_run_id"
ROOT_RUN_TAG = "orchord/root_run_id"
RUN_KEY_TAG = "orchord/run_key"
PRIORITY_TAG = "orchord/priority"


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a run of a job.

    ``location`` is needed only when several locations have a job of this name. Ops, resources and loggers of which
    ``run_config`` says nothing have the job's own config. ``op_selection`` and ``asset_selection`` are queries in their
    grammars. The same ``idempotency_key`` gives the same run; a ``run_key`` does so within its job. ``run_id`` is a new
    one (``new_run_id()``), for who watches before launching.
    """

    job_name: str
    location: str | None = None
    run_config: Any = None
    tags: Mapping[str, str] = {}
    op_selection: Sequence[str] | None = None
    asset_selection: Sequence[str] | None = None
    idempotency_key: str | None = None
    run_key: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class PreparedRun:
    """A run that is checked and not yet recorded: its record, its first events, and the plan that it follows."""

    run: Run
    events: tuple[Event, ...]
    plan: ExecutionPlan


class Lineage(msgspec.Struct, frozen=True):
    """Where a run comes from, when it repeats an earlier one."""

    parent_run_id: str
    root_run_id: str
    inherited: dict[str, Inherited] = {}


def find_job(storage: Storage, name: str, location: str | None) -> tuple[LocationSnapshot, JobSnapshot]:
    """Return a job and its location.

    Raises:
        LocationNotFoundError: no location has this name, or its code has never loaded.
        JobNotFoundError: the job is not there; the nearest name is told.
        ConflictError: several locations have such a job, and none is named.
    """
    rows = storage.locations.all()
    if location is not None:
        row = next((row for row in rows if row.name == location), None)
        if row is None:
            hint = did_you_mean(location, (row.name for row in rows))
            raise LocationNotFoundError(f"No code location is called '{location}'.{hint or _NO_LOCATIONS}")
        rows = [row]
        if row.snapshot is None:
            raise LocationNotFoundError(f"The code of location '{location}' has not loaded{_why(row)}")
    found = [
        (row.snapshot, row.snapshot.job_by_name[name])
        for row in rows
        if row.snapshot is not None and name in row.snapshot.job_by_name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(snapshot.name for snapshot, _ in found)
        raise ConflictError(f"Several locations have a job '{name}': {places}. Name the location too.")
    known = [key for row in rows if row.snapshot is not None for key in row.snapshot.job_by_name]
    where = f" in location '{location}'" if location is not None else ""
    hint = did_you_mean(name, known) or ("" if rows else _NO_LOCATIONS)
    raise JobNotFoundError(f"No job is called '{name}'{where}.{hint}")


_NO_LOCATIONS = " No code location is known: start a worker with `orchord worker -m MODULE`."


def _why(row: LocationRow) -> str:
    return "." if row.error is None else f": {row.error.message}"


def launch(
    instance: OrchordInstance,
    request: LaunchRequest,
    lineage: Lineage | None = None,
    steps: Sequence[str] | None = None,
) -> tuple[Run, bool]:
    """Record a run and hand it to the run coordinator.

    A run that is recorded is never lost: when the broker is away it waits, and the daemon sends it later.

    Args:
        instance: where to.
        request: what to run.
        lineage: the earlier run that this one repeats.
        steps: the steps to run, in place of the request's selections.

    Returns:
        The run as it is recorded, and whether it is new: with a key that was used before, it is the earlier one.

    Raises:
        LocationNotFoundError, JobNotFoundError: there is no such job.
        InvalidConfigError: the request has mistakes; all of them are listed.
        InvalidSubsetError: only its selection has mistakes.
        ConflictError: the key was used for another request.
        StorageUnavailableError: the run cannot be recorded.
    """
    prepared = prepare(instance, request, lineage, steps)
    stored, created = instance.storage.runs.create(prepared.run, prepared.events)
    if created:
        # A client that repeats a request that was refused would find its first run failed, and told of to every sensor.
        hand_over(instance, prepared, keeps=True)
    return stored, created


def prepare(
    instance: OrchordInstance,
    request: LaunchRequest,
    lineage: Lineage | None = None,
    steps: Sequence[str] | None = None,
    *,
    known: LocationSnapshot | None = None,
) -> PreparedRun:
    """Check a request, and make what is recorded of it. The arguments and errors are those of ``launch``.

    ``known`` is the request's location, if it is at hand: it is then not read from storage.
    """
    job = known.job_by_name.get(request.job_name) if known is not None and known.name == request.location else None
    location = known
    if location is None or job is None:
        location, job = find_job(instance.storage, request.job_name, request.location)
    run, selection = _checked_run(instance, request, location, job, lineage, steps)
    at = run.created_at
    kind = EventType.RUN_ENQUEUED if run.status is RunStatus.QUEUED else EventType.RUN_STARTING
    events = [Event(kind, at, f"Run of job '{job.name}' was created.")]
    events += [
        Event(EventType.ASSET_MATERIALIZATION_PLANNED, at, f"Will materialize '{key}'.", step, asset_key=key)
        for step, key in selection.planned_assets
    ]
    return PreparedRun(run, tuple(events), selection.plan)


def hand_over(instance: OrchordInstance, prepared: PreparedRun, *, keeps: bool = False) -> None:
    """Give a run that is recorded to the run coordinator.

    Args:
        instance: where to.
        prepared: the run.
        keeps: leave a run that cannot be handed over as it is, for the daemon to go on with: nobody is there to ask
            for it again, as the cursor that belongs to it has moved.

    Raises:
        BrokerUnavailableError: it cannot be handed over: it is then recorded as failed, and its key is free again.
    """
    run = prepared.run
    try:
        instance.run_coordinator.submit_run(LaunchRunContext(run, prepared.plan, instance))
    except OrchordError as error:
        if keeps and isinstance(error, UnavailableError):
            logger.warning("Run %s is recorded, and waits for the daemon: %s", run.run_id, error)
            return
        failure = ErrorInfo(type(error).__name__, f"The run could not be handed over: {error}")
        instance.storage.runs.fail(run.run_id, failure, utc_now(), free_key=True)
        raise


def hand_over_all(instance: OrchordInstance, prepared: Sequence[PreparedRun]) -> None:
    """Give runs that are recorded to the run coordinator, all at once.

    Those that cannot be handed over as the broker is away are left to the daemon; those that the launcher refuses are
    recorded as failed.
    """
    contexts = [LaunchRunContext(one.run, one.plan, instance) for one in prepared]
    for run_id, error in instance.run_coordinator.submit_runs(contexts).items():
        if isinstance(error, UnavailableError):
            logger.warning("Run %s is recorded, and waits for the daemon: %s", run_id, error)
            continue
        logger.error("Run %s could not be handed over: %s", run_id, error)
        failure = ErrorInfo(type(error).__name__, f"The run could not be handed over: {error}")
        instance.storage.runs.fail(run_id, failure, utc_now(), free_key=True)


def _checked_run(
    instance: OrchordInstance,
    request: LaunchRequest,
    location: LocationSnapshot,
    job: JobSnapshot,
    lineage: Lineage | None,
    steps: Sequence[str] | None,
) -> tuple[Run, Selection]:
    mistakes: list[str] = []
    inherited = lineage.inherited if lineage is not None else {}
    selection, refusal = None, None
    step_keys: Collection[str] | None = ()
    try:
        selection = select(location, job, request.op_selection, request.asset_selection, steps, inherited)
        step_keys = selection.step_keys
    except InvalidSubsetError as error:
        refusal = error
    # With mistakes in the selection it is not known what config is missing; what is given is checked all the same.
    config = _checked_config(job, request.run_config, step_keys, mistakes)
    tags = _checked_tags(job, request, lineage, mistakes)
    placement = placement_of(instance, job, tags, config, mistakes)
    if selection is not None:
        mistakes += misfits_of(instance, location, job, placement, selection.plan, tags, config)
    if refusal is not None:
        if not mistakes:
            raise refusal
        mistakes += [f"selection: {mistake}" for mistake in refusal.mistakes or (refusal.headline,)]
    if mistakes or selection is None:
        raise InvalidConfigError(f"The run of job '{job.name}' cannot be launched", mistakes)
    run = Run(
        run_id=request.run_id or new_run_id(),
        job_name=job.name,
        location=location.name,
        status=instance.run_coordinator.initial_status,
        job_snapshot_id=job.snapshot_id,
        created_at=utc_now(),
        run_config=config,
        tags=tags,
        executor=placement.executor,
        launcher=placement.launcher,
        unit_place=placement.unit_place.value,
        executor_config=job.executor_config,
        step_keys=selection.step_keys,
        asset_selection=selection.asset_keys,
        inherited={key: value for key, value in inherited.items() if key not in selection.plan.by_key},
        parent_run_id=lineage.parent_run_id if lineage is not None else None,
        root_run_id=lineage.root_run_id if lineage is not None else None,
        idempotency_key=_key_of(request, location, job),
        run_key=request.run_key,
        priority=priority_of(tags),
        pools=pools_of(selection.plan),
        blocking_pools=blocking_pools_of(selection.plan),
    )
    return run, selection


def _key_of(request: LaunchRequest, location: LocationSnapshot, job: JobSnapshot) -> str | None:
    if request.idempotency_key is not None or request.run_key is None:
        return request.idempotency_key
    return f"run_key:{location.name}:{job.name}:{request.run_key}"


def _checked_config(
    job: JobSnapshot, given: Any, step_keys: Collection[str] | None, mistakes: list[str]
) -> dict[str, Any]:
    try:
        config = laid_over(job.default_config, as_run_config(given))
        size = len(msgspec.json.encode(config))
    except InvalidConfigError as error:
        mistakes += [f"run config: {mistake}" for mistake in error.mistakes]
        return {}
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        mistakes.append(f"run config: it cannot be written as JSON: {error}. Give plain data only.")
        return {}
    if size > MAX_RUN_CONFIG_BYTES:
        mistakes.append(
            f"run config: it is {size / 1e6:.1f} MB as JSON, and at most {MAX_RUN_CONFIG_BYTES / 1e6:.0f} MB are "
            "taken. Store the data elsewhere, and give its address."
        )
        return {}
    mistakes += check_config(job.run_config_type(step_keys), config).mistakes
    return config


def _checked_tags(
    job: JobSnapshot, request: LaunchRequest, lineage: Lineage | None, mistakes: list[str]
) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in {**job.run_tags, **request.tags}.items():
        if isinstance(key, str) and key and isinstance(value, str):
            tags[own_tag(key)] = value
        else:
            mistakes.append(f"tags: found {key!r}: {value!r}, expected text for both.")
    if request.run_key is not None:
        tags[RUN_KEY_TAG] = request.run_key
    if lineage is not None:
        tags[PARENT_RUN_TAG] = lineage.parent_run_id
        tags[ROOT_RUN_TAG] = lineage.root_run_id
    if priority_of(tags) == 0 and tags.get(PRIORITY_TAG, "0").strip() not in ("0", "-0", "+0"):
        mistakes.append(
            f"tags: found {PRIORITY_TAG}: {tags[PRIORITY_TAG]!r}, expected a whole number of at most nine "
            "digits as text. The highest goes first."
        )
    mistakes += tag_mistakes(tags)
    return tags


def priority_of(tags: Mapping[str, str]) -> int:
    """Return the priority that a run's tags give it; 0 without one, or with one that is no whole number."""
    text = tags.get(PRIORITY_TAG, "0").strip()
    digits = text.removeprefix("-").removeprefix("+")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0


def pools_of(plan: ExecutionPlan) -> tuple[str, ...]:
    """Return all pools that a plan's steps need slots of, each once."""
    return tuple(sorted({step.pool for step in plan.steps if step.pool is not None}))


def blocking_pools_of(plan: ExecutionPlan) -> tuple[str, ...]:
    """Return the pools of the first steps, if each of them has one: without a slot the run could not begin."""
    first = [plan.step(key).pool for key in plan.roots]
    return tuple(sorted({pool for pool in first if pool is not None})) if first and None not in first else ()
