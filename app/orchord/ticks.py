"""Ticks as value types: one evaluation of a schedule or sensor, and what is remembered of either between ticks.

What schedules and sensors are is in definitions/ and, as data, in a location's snapshot; how a tick is evaluated is
definitions/tick.py and the tick workers'.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from orchord.events import ErrorInfo


class InstigatorKind(StrEnum):
    """What asks for runs by itself."""

    SCHEDULE = "SCHEDULE"
    SENSOR = "SENSOR"


class InstigatorStatus(StrEnum):
    """Whether a schedule or sensor is on."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class TickStatus(StrEnum):
    """The statuses of a tick. PENDING: recorded, and waiting to be evaluated; the last three are final."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    SKIPPED = "SKIPPED"
    FAILURE = "FAILURE"

    @property
    def is_final(self) -> bool:
        """Whether a tick never leaves this status."""
        return self in FINAL_TICK_STATUSES


FINAL_TICK_STATUSES = frozenset({TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE})


class InstigatorKey(msgspec.Struct, frozen=True, order=True):
    """Names one schedule or sensor."""

    location: str
    kind: InstigatorKind
    name: str


class InstigatorState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of a schedule or sensor.

    ``status`` is None as long as nobody has started or stopped it: the code's default holds. ``planned_until`` is the
    planned time of the newest tick that was made. ``version`` grows with every change that the clock must see.
    """

    key: InstigatorKey
    status: InstigatorStatus | None = None
    started_at: datetime | None = None
    planned_until: datetime | None = None
    last_tick_ended_at: datetime | None = None
    last_run_key: str | None = None
    cursor: str | None = None
    version: int = 0


class NewTick(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tick to be made. ``tick_key`` is what makes it happen once; ``lane``: one after another with its like.

    ``payload`` is what the evaluation is given beside the state: a push's JSON body, or a run and its new status. A
    sensor's dry run is given ``cursor`` in place of the one that is remembered, unless it is None.
    """

    key: InstigatorKey
    tick_key: str
    planned_at: datetime
    time_limit_seconds: float
    lane: str | None = None
    payload: dict[str, Any] | None = None
    is_dry_run: bool = False
    cursor: str | None = None


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tick as it is stored.

    ``run_ids`` are the runs that it made. ``data`` may hold ``log`` (records of ``context.log``), ``requested`` (how
    many runs were asked for), ``deduplicated`` (run keys that had their run already) and, of a dry run, ``requests``.
    """

    tick_id: int
    key: InstigatorKey
    tick_key: str
    status: TickStatus
    planned_at: datetime
    time_limit_seconds: float
    lane: str | None = None
    is_dry_run: bool = False
    sent_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tries: int = 0
    token: str | None = None
    worker_id: str | None = None
    payload: dict[str, Any] | None = None
    run_ids: tuple[str, ...] = ()
    skip_reason: str | None = None
    cursor: str | None = None
    error: ErrorInfo | None = None
    data: dict[str, Any] = {}
