"""Runs, attempts and parts as value types: what storage stores, what the engine passes, what the API shows.

No behaviour beyond small derivations; how runs move between these states is in plan/machine.py.
"""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from orchord.events import ErrorInfo


class RunStatus(StrEnum):
    """The statuses of a run, as Dagster's users know them."""

    QUEUED = "QUEUED"
    NOT_STARTED = "NOT_STARTED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        """Whether a run never leaves this status."""
        return self in TERMINAL_RUN_STATUSES


TERMINAL_RUN_STATUSES = frozenset({RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED})


class AttemptStatus(StrEnum):
    """The statuses of one attempt at one step. All but RUNNING are ends.

    SKIPPED: an optional output that the step needs was not yielded. UPSTREAM_FAILED: a step that it needs failed.
    UP_FOR_RETRY and LOST are followed by a further attempt. CANCELED: the run was canceled.
    """

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    SKIPPED = "SKIPPED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    UP_FOR_RETRY = "UP_FOR_RETRY"
    LOST = "LOST"
    CANCELED = "CANCELED"


STEP_END_STATUSES = frozenset(
    {
        AttemptStatus.SUCCESS,
        AttemptStatus.FAILURE,
        AttemptStatus.SKIPPED,
        AttemptStatus.UPSTREAM_FAILED,
        AttemptStatus.CANCELED,
    }
)


class Inherited(msgspec.Struct, frozen=True):
    """A step that this run does not run, because an earlier run of the same chain did: where its outputs lie."""

    run_id: str
    outputs: tuple[str, ...]


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run. Times are aware UTC; ``tags`` include the system's (``orchord/...``).

    ``step_keys`` is the selection that runs (None: the whole plan). ``asset_selection`` holds user strings of keys.
    ``inherited`` maps step keys outside the selection to the earlier run that holds their outputs. Of queued runs
    those of higher ``priority`` go first. ``pools`` are all pools of the plan; ``blocking_pools`` those of its first
    steps, if every first step has one. ``waits_for`` says why the run is still QUEUED. ``launcher`` names one of the
    instance's further run launchers; empty: the instance's own. ``unit_place`` is where that launcher
    carries out a run that is one unit of work (orchord.plan.places). ``executor_config`` is what the job's code fixed
    of its executor's config; empty: run config says it all.
    """

    run_id: str
    job_name: str
    location: str
    status: RunStatus
    job_snapshot_id: str
    created_at: datetime
    run_config: dict[str, Any] = {}
    tags: dict[str, str] = {}
    executor: str = "celery_executor"
    step_keys: tuple[str, ...] | None = None
    asset_selection: tuple[str, ...] | None = None
    inherited: dict[str, Inherited] = {}
    parent_run_id: str | None = None
    root_run_id: str | None = None
    idempotency_key: str | None = None
    run_key: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    error: ErrorInfo | None = None
    priority: int = 0
    pools: tuple[str, ...] = ()
    blocking_pools: tuple[str, ...] = ()
    waits_for: str | None = None
    launcher: str = ""
    unit_place: str = "worker"
    executor_config: dict[str, Any] = {}

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.status.is_terminal

    @property
    def is_success(self) -> bool:
        """Whether the run succeeded."""
        return self.status is RunStatus.SUCCESS

    @property
    def is_failure(self) -> bool:
        """Whether the run failed."""
        return self.status is RunStatus.FAILURE

    @property
    def is_cancelable(self) -> bool:
        """Whether the run can still be canceled."""
        return not self.status.is_terminal and self.status is not RunStatus.CANCELING


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt at one step. ``attempt`` counts from 1; ``retry_number`` counts only retries (from 0).

    ``outputs`` names the outputs that were yielded. ``token`` is the fence: only the holder may end the attempt.
    ``worker_id`` and ``process_id`` name the process that holds it. ``pool`` is the pool that it has a slot of while it
    runs.
    """

    run_id: str
    step_key: str
    attempt: int
    status: AttemptStatus
    retry_number: int = 0
    token: str = ""
    worker_id: str = ""
    process_id: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    outputs: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    pool: str | None = None


class PartStatus(StrEnum):
    """What a step that has ended tells a step that waits on it."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One part of a join: how one upstream step ended, and which of its outputs were not yielded."""

    status: PartStatus
    missing: tuple[str, ...] = ()


_last_millisecond_and_sequence = (0, 0)


def new_run_id() -> str:
    """Return a UUID (version 7, RFC 9562) whose text sorts by time, also within one millisecond of this process."""
    global _last_millisecond_and_sequence
    milliseconds = time.time_ns() // 1_000_000
    last, sequence = _last_millisecond_and_sequence
    sequence = secrets.randbelow(1 << 10) if milliseconds > last else sequence + 1
    milliseconds = max(milliseconds, last)
    if sequence >= 1 << 12:
        milliseconds, sequence = milliseconds + 1, 0
    _last_millisecond_and_sequence = (milliseconds, sequence)
    value = milliseconds << 80 | 0x7 << 76 | sequence << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
