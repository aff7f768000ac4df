"""Attempts at steps: claimed once, finished by who holds the token, marked lost when their worker is gone.

The rules of the fence are in the hot paths and, last of all, in the unique index of schema.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from orchord.events import ErrorInfo, Event, EventType
from orchord.runs import Attempt, AttemptStatus, RunStatus
from orchord.storage.database import Database
from orchord.storage.encoding import attempt_of, encode_error
from orchord.storage.event_store import insert_events
from orchord.storage.hot_path import HotPath
from orchord.storage.pool_store import PoolStore
from orchord.storage.schema import attempts, runs, workers
from orchord.storage.schema import events as event_rows
from orchord.storage.values import Claim, ClaimResult, Finish, FinishResult, Skip, WorkStanding

_OF_RUN = (
    sa.select(attempts)
    .where(attempts.c.run_id == sa.bindparam("run_id"))
    .order_by(attempts.c.started_at.asc().nulls_last(), attempts.c.step_key, attempts.c.attempt)
)


class AttemptStore:
    """The attempts of one database."""

    def __init__(self, database: Database, hot_path: HotPath, pools: PoolStore) -> None:
        self._database = database
        self._hot_path = hot_path
        self._pools = pools

    def claim(self, claim: Claim, want_run: bool = False) -> ClaimResult:
        """Take an attempt, unless its run does not go on, or it or its step is taken, skipped or done.

        The first claim of a run moves it from STARTING to STARTED. A claim that is sent again with its own token,
        after a lost connection, is told that it has won. With a pool, a slot of it is needed too (pool_store.py).
        """
        if claim.pool is not None and not self._pools.rules.per_run:
            return self._pools.claim(claim, want_run)
        return self._hot_path.claim(claim, want_run)

    def finish(self, finish: Finish, again: bool = False) -> FinishResult:
        """End an attempt and write all that came of it, or nothing at all when the token no longer holds it.

        ``again``: this very finish was sent before and raised StorageUnavailableError, so that it may have taken
        place. If it has, the answer is that of the first time.
        """
        return self._hot_path.finish(finish, again)

    def record_skips(
        self, run_id: str, skips: Sequence[Skip], at: datetime, ends_run: bool = False
    ) -> RunStatus | None:
        """Record steps that do not run; those that have a row already are left alone.

        Returns:
            The run's terminal status when ``ends_run`` is set and this call ended it.
        """
        return self._hot_path.skip(run_id, skips, at, ends_run)

    def of_run(self, run_id: str) -> list[Attempt]:
        """Return all attempts of a run, those that started first in front."""
        return [attempt_of(row) for row in self._database.rows(_OF_RUN, {"run_id": run_id})]

    def find(self, run_id: str, step_key: str, attempt: int) -> Attempt | None:
        """Return one attempt, or None."""
        key = (attempts.c.run_id == run_id, attempts.c.step_key == step_key, attempts.c.attempt == attempt)
        rows = self._database.rows(sa.select(attempts).where(*key))
        return attempt_of(rows[0]) if rows else None

    def mark_lost(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        at: datetime,
        reason: str,
        *,
        final: bool = False,
        kind: str = "AttemptLost",
        token: str | None = None,
        retry_at: datetime | None = None,
    ) -> bool:
        """Take a RUNNING attempt from its worker: LOST, so that a further attempt may run; ``final``: FAILURE.

        ``kind`` is the class name of its error; ``retry_at``, when the further attempt is due. Its worker's late finish
        is refused from now on. Returns whether the attempt was still running, and held by ``token`` if one is given:
        whoever has taken it over since that was read keeps it.
        """
        status = AttemptStatus.FAILURE if final else AttemptStatus.LOST
        error = ErrorInfo(kind, reason)
        statement = (
            sa.update(attempts)
            .where(
                attempts.c.run_id == run_id,
                attempts.c.step_key == step_key,
                attempts.c.attempt == attempt,
                attempts.c.status == AttemptStatus.RUNNING.value,
                sa.true() if token is None else attempts.c.token == token,
            )
            .values(status=status.value, ended_at=at, error=encode_error(error), retry_at=retry_at)
        )
        event_type, level = (EventType.STEP_FAILURE, 40) if final else (EventType.ENGINE_EVENT, 30)
        data = {"attempt": attempt, "lost": True}
        event = Event(event_type, at, f"Attempt {attempt} was lost: {reason}", step_key, level, data)

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(statement).rowcount:
                return False
            insert_events(connection, run_id, [event])
            return True

        return self._database.transact(work)

    def running_of_dead_workers(self, last_seen_before: datetime) -> list[Attempt]:
        """Return RUNNING attempts whose worker has not been seen since, or is not known, in runs that go on.

        An attempt that itself began later is left out: its worker may not have reported itself yet.
        """
        query = (
            sa.select(attempts)
            .join(runs, runs.c.run_id == attempts.c.run_id)
            .outerjoin(workers, workers.c.worker_id == attempts.c.worker_id)
            .where(
                attempts.c.status == sa.literal_column("'RUNNING'"),
                attempts.c.started_at < last_seen_before,
                sa.or_(workers.c.worker_id.is_(None), workers.c.last_seen_at < last_seen_before),
                runs.c.status.in_(["STARTING", "STARTED", "CANCELING"]),
            )
            .order_by(attempts.c.started_at)
        )
        return [attempt_of(row) for row in self._database.rows(query)]

    def running_of_worker(self, worker_id: str) -> list[Attempt]:
        """Return the RUNNING attempts that all processes of one worker hold."""
        query = sa.select(attempts).where(
            attempts.c.status == sa.literal_column("'RUNNING'"), attempts.c.worker_id == worker_id
        )
        return [attempt_of(row) for row in self._database.rows(query)]

    def running_of_process(self, worker_id: str, process_id: int) -> list[Attempt]:
        """Return the RUNNING attempts that one process of a worker holds."""
        query = sa.select(attempts).where(
            attempts.c.status == sa.literal_column("'RUNNING'"),
            attempts.c.worker_id == worker_id,
            attempts.c.process_id == process_id,
        )
        return [attempt_of(row) for row in self._database.rows(query)]

    def standing(self, worker_id: str, run_ids: Sequence[str]) -> dict[str, WorkStanding]:
        """Return how a worker's work on these runs stands; runs that are not there are left out."""
        held = sa.and_(
            attempts.c.run_id == runs.c.run_id,
            attempts.c.status == sa.literal_column("'RUNNING'"),
            attempts.c.worker_id == worker_id,
        )
        query = (
            sa.select(runs.c.run_id, runs.c.status, attempts.c.token)
            .select_from(runs)
            .outerjoin(attempts, held)
            .where(runs.c.run_id.in_(list(run_ids)))
        )
        found: dict[str, WorkStanding] = {}
        for row in self._database.rows(query):
            tokens = found[row.run_id].tokens if row.run_id in found else frozenset()
            own = tokens if row.token is None else tokens | {row.token}
            found[row.run_id] = WorkStanding(RunStatus(row.status), own)
        return found

    def append_live(
        self, run_id: str, step_key: str, attempt: int, token: str, events: Sequence[Event], *, again: bool = False
    ) -> bool:
        """Add events of an attempt that runs, and that the token holds. Returns whether it does.

        ``again``: these very events were sent before and raised StorageUnavailableError, so that they may be stored.
        """
        held = sa.select(sa.literal(1)).where(
            attempts.c.run_id == run_id,
            attempts.c.step_key == step_key,
            attempts.c.attempt == attempt,
            attempts.c.token == token,
            attempts.c.status == sa.literal_column("'RUNNING'"),
        )
        if not self._database.rows(held):
            return False
        if again:
            first = events[0]
            stored = sa.select(sa.literal(1)).where(
                event_rows.c.run_id == run_id,
                event_rows.c.step_key == first.step_key,
                event_rows.c.timestamp == first.timestamp,
                event_rows.c.type == str(first.type),
            )
            if self._database.rows(stored):
                return True
        self._hot_path.append(run_id, events)
        return True

    def append_events(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events to a run outside a finish: live logs, notes of the engine."""
        if events:
            self._hot_path.append(run_id, events)
