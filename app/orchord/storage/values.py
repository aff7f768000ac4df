"""What storage is asked and what it answers, beside runs, attempts and events: claims, finishes, filters, rows.

No SQL and no behaviour here; the classes that take and return these are in the modules named ``*_store``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from orchord.events import ErrorInfo, Event
from orchord.runs import Attempt, AttemptStatus, Run, RunStatus
from orchord.snapshot import LocationSnapshot
from orchord.ticks import TickStatus
from orchord.wire import ticks_queue


class Claim(msgspec.Struct, frozen=True):
    """A wish to execute one attempt at one step. ``token`` is the fence: new for every claim, never reused.

    With ``pool`` the attempt needs a free slot of it; ``in_place``: without one this process waits and claims again.
    """

    run_id: str
    step_key: str
    attempt: int
    token: str
    worker_id: str
    at: datetime
    retry_number: int = 0
    process_id: int = 0
    pool: str | None = None
    in_place: bool = False


class ClaimResult(msgspec.Struct, frozen=True):
    """The answer to a claim.

    ``run_status`` is None when there is no such run. ``existing`` is the status of the row that stands in the way:
    this attempt's own, else the step's other attempt. ``run`` is given when it was asked for and the claim won.
    ``waits_for_pool`` is set when only a slot was missing: the step is then among the pool's waiters, and is called.
    """

    claimed: bool
    run_status: RunStatus | None
    existing: AttemptStatus | None = None
    run: Run | None = None
    waits_for_pool: str | None = None


class Skip(msgspec.Struct, frozen=True):
    """A step that does not run: SKIPPED, UPSTREAM_FAILED, or CANCELED. ``attempt`` is the first that would have run."""

    step_key: str
    status: AttemptStatus
    reason: str = ""
    attempt: int = 1


class Finish(msgspec.Struct, frozen=True):
    """The end of one attempt: what it wrote, what it skips, whether the run ends with it, and what is claimed next.

    Set ``ends_run`` only when every other step of the run has ended and that is committed. ``then_claim`` claims an
    attempt at another step of the same run in the same statement, so that a chain costs one round trip a step.
    """

    run_id: str
    step_key: str
    attempt: int
    token: str
    status: AttemptStatus
    at: datetime
    outputs: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    error: ErrorInfo | None = None
    retry_at: datetime | None = None
    skips: tuple[Skip, ...] = ()
    ends_run: bool = False
    then_claim: Claim | None = None


class FinishResult(msgspec.Struct, frozen=True):
    """The answer to a finish. ``accepted`` is False when the token no longer holds the attempt: nothing was written.

    ``run_status`` is the run's terminal status when this finish ended it; ``then_claimed`` tells whether the claim
    that was asked for has been won.
    """

    accepted: bool
    run_status: RunStatus | None = None
    then_claimed: bool = False


class WorkStanding(msgspec.Struct, frozen=True):
    """How the work of one worker on one run stands: the run's status, and the tokens of its RUNNING attempts there."""

    status: RunStatus
    tokens: frozenset[str] = frozenset()


class TakenOver(msgspec.Struct, frozen=True):
    """A reserved attempt that its container holds from now on, and its run. ``attempt.token`` is the new token."""

    attempt: Attempt
    run: Run


class LaunchKey(msgspec.Struct, frozen=True):
    """What a container was started for. Of a container that carries a whole run out, ``step_key`` is empty."""

    run_id: str
    step_key: str = ""
    attempt: int = 0


class LaunchStanding(msgspec.Struct, frozen=True):
    """How what a container was started for stands. ``attempt`` None: there is no such attempt."""

    run_status: RunStatus
    attempt: Attempt | None = None


class PoolState(msgspec.Struct, frozen=True):
    """A pool: ``limit`` None is no limit; ``is_default``: nobody has set one. ``running`` steps hold slots."""

    name: str
    limit: int | None
    is_default: bool
    running: int
    waiting: int


class PoolHolder(msgspec.Struct, frozen=True):
    """A RUNNING attempt that holds a slot of a pool."""

    run_id: str
    step_key: str
    attempt: int
    worker_id: str
    process_id: int
    since: datetime | None


class PoolWaiter(msgspec.Struct, frozen=True):
    """A step that waits for a slot since its first claim. ``worker_id`` is set when a process waits in place for it."""

    run_id: str
    step_key: str
    pool: str
    attempt: int
    retry_number: int
    since: datetime
    called_at: datetime | None = None
    worker_id: str | None = None


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs a page holds; every field that is set must fit. ``tags`` are compared for equality.

    ``run_ids`` names the runs themselves: None for any, and an empty one for none.
    """

    job_name: str | None = None
    location: str | None = None
    statuses: Collection[RunStatus] = ()
    tags: Mapping[str, str] = {}
    created_after: datetime | None = None
    created_before: datetime | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    run_ids: Collection[str] | None = None


class LocationRow(msgspec.Struct, frozen=True):
    """A code location as its worker published it.

    ``error`` is what loading it gave last, if it failed; ``snapshot`` is then of the last code that worked, if any.
    """

    name: str
    snapshot_id: str
    loaded_at: datetime
    snapshot: LocationSnapshot | None = None
    error: ErrorInfo | None = None


class WorkerRow(msgspec.Struct, frozen=True):
    """One worker as it last reported itself."""

    worker_id: str
    hostname: str
    pid: int
    location: str
    queues: tuple[str, ...]
    started_at: datetime
    last_seen_at: datetime

    @property
    def takes_steps(self) -> bool:
        """Whether it consumes a queue of steps: a process that carries out a run of its own consumes none."""
        return any(name.startswith("steps.") for name in self.queues)

    @property
    def takes_ticks(self) -> bool:
        """Whether it evaluates schedules and sensors."""
        return ticks_queue(self.location) in self.queues


class TickEnd(msgspec.Struct, frozen=True):
    """The end of one evaluation: what came of it, and the runs and asset events that it makes.

    ``runs`` are stored with their first events, each once by its idempotency key. ``cursor`` is what the tick left;
    it is written to the sensor only when ``keeps_cursor`` is False and the tick has not failed.
    """

    tick_id: int
    token: str
    status: TickStatus
    at: datetime
    runs: Sequence[tuple[Run, Sequence[Event]]] = ()
    events: Sequence[Event] = ()
    skip_reason: str | None = None
    error: ErrorInfo | None = None
    cursor: str | None = None
    keeps_cursor: bool = True
    data: Mapping[str, Any] = {}


class TickFinished(msgspec.Struct, frozen=True):
    """The answer to the end of a tick. ``accepted`` is False when the token no longer holds it: nothing was written.

    ``created`` are the ids of runs that are new; ``existing`` maps the run keys ("" without one) of runs that were
    there already to these runs' ids. ``status`` is what the tick ended as: SKIPPED instead of SUCCESS when all its runs
    were there already.
    """

    accepted: bool
    created: tuple[str, ...] = ()
    existing: Mapping[str, str] = {}
    status: TickStatus | None = None


class Lease(msgspec.Struct, frozen=True):
    """Who holds a lease. ``term`` grows with every new holder; times are the database's."""

    name: str
    holder: str
    term: int
    expires_at: datetime


class DaemonRow(msgspec.Struct, frozen=True):
    """One daemon as it last reported itself. ``errors``: what went wrong in its loops last, by loop."""

    daemon_id: str
    hostname: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    is_leader: bool = False
    errors: Mapping[str, str] = {}


class RunChange(msgspec.Struct, frozen=True):
    """A status that a run has come to, and that not everybody has been told of."""

    id: int
    run_id: str
    status: RunStatus
    at: datetime
