"""What each engine does in its own way because every step pays for it, as one port with two implementations.

PostgreSQL's is postgres_hot_path.py (one round trip each), SQLite's is sqlite_hot_path.py (one short write lock
each). The rules are the same; tests/contract holds both to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import sqlalchemy as sa

from orchord.events import Event
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.storage.values import Claim, ClaimResult, Finish, FinishResult, Skip

RETRIABLE = (AttemptStatus.UP_FOR_RETRY, AttemptStatus.LOST)
FAILED = (AttemptStatus.FAILURE, AttemptStatus.CANCELED)


class HotPath(Protocol):
    """The operations of a run's life that are counted in microseconds."""

    def create(self, run: Run, events: Sequence[Event]) -> bool:
        """Insert a run with its tags and events. False: a run with its id or idempotency key is stored already."""

    def claim(self, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt as RUNNING when nothing forbids it."""

    def claim_within(self, connection: sa.Connection, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt as a part of a transaction: that which grants a slot of a pool (pool_store.py)."""

    def finish(self, finish: Finish, again: bool) -> FinishResult:
        """End the attempt that the token holds. ``again``: it was sent before, and may have taken place."""

    def skip(self, run_id: str, skips: Sequence[Skip], at: datetime, ends_run: bool) -> RunStatus | None:
        """Record steps that do not run."""

    def end(self, run_id: str, at: datetime) -> RunStatus | None:
        """End the run by what its attempts say."""

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events to a run, or to no run when ``run_id`` is empty."""


class PlainSkip(msgspec.Struct, frozen=True):
    """A skip as it goes into a statement."""

    step_key: str
    status: str
    reason: str
    attempt: int


def plain_skips(skips: Sequence[Skip]) -> list[PlainSkip]:
    """Return skips in the order of their keys, so that two statements never wait for each other's rows."""
    ordered = sorted(skips, key=lambda skip: skip.step_key)
    return [PlainSkip(skip.step_key, skip.status.value, skip.reason, skip.attempt) for skip in ordered]
