"""What storage is asked and what it answers, beside runs, attempts and events: claims, finishes, filters, rows.

No SQL and no behaviour here; the classes that take and return these are in the modules named ``*_store``.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from orchord.events import ErrorInfo, Event
from orchord.runs import AttemptStatus, Run, RunStatus


class Claim(msgspec.Struct, frozen=True):
    """A wish to execute one attempt at one step. ``token`` is the fence: new for every claim, never reused."""

    run_id: str
    step_key: str
    attempt: int
    token: str
    worker_id: str
    at: datetime
    retry_number: int = 0


class ClaimResult(msgspec.Struct, frozen=True):
    """The answer to a claim.

    ``run_status`` is None when there is no such run. ``existing`` is the status of the row that stands in the way:
    this attempt's own, else the step's other attempt. ``run`` is given when it was asked for and the claim won.
    """

    claimed: bool
    run_status: RunStatus | None
    existing: AttemptStatus | None = None
    run: Run | None = None


class Skip(msgspec.Struct, frozen=True):
    """A step that does not run. ``status`` is SKIPPED or UPSTREAM_FAILED."""

    step_key: str
    status: AttemptStatus
    reason: str = ""


class Finish(msgspec.Struct, frozen=True):
    """The end of one attempt: what it wrote, what it skips, and whether the run ends with it.

    Set ``ends_run`` only when every other step of the run has ended and that is committed.
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


class FinishResult(msgspec.Struct, frozen=True):
    """The answer to a finish. ``accepted`` is False when the token no longer holds the attempt: nothing was written.

    ``run_status`` is the run's terminal status when this finish ended it.
    """

    accepted: bool
    run_status: RunStatus | None = None


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs a page holds; every field that is set must fit. ``tags`` are compared for equality."""

    job_name: str | None = None
    location: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    tags: dict[str, str] = {}
    created_after: datetime | None = None
    created_before: datetime | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None


class LocationRow(msgspec.Struct, frozen=True):
    """A code location as its worker published it: the encoded snapshot, or the error that loading it gave."""

    name: str
    snapshot_id: str
    loaded_at: datetime
    payload: bytes | None = None
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
