"""Attempts that are claimed before they run: reserved by a launcher worker, taken over by the container it starts.

Plain claims and ends are attempt_store.py; slots of pools, which a reservation needs too, are pool_store.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchord.events import Event, EventType, utc_now
from orchord.plan.gates import RunGate, run_pool
from orchord.runs import Attempt, AttemptStatus, RunStatus
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, attempt_of, run_of
from orchord.storage.event_store import insert_events
from orchord.storage.hot_path import HotPath
from orchord.storage.pool_store import RESERVED_FOR, PoolStore, waiter_of
from orchord.storage.schema import attempts, pool_waiters, runs, workers
from orchord.storage.values import Claim, ClaimResult, LaunchKey, LaunchStanding, PoolWaiter, TakenOver

# One lock class for the limits of a run: 'RUNG'. The second number is the run's hash.
_RUN_CLASS = 0x52554E47
_LIVE = ("STARTING", "STARTED")
_UNFINISHED = (*_LIVE, "CANCELING")
_RUNNING = attempts.c.status == sa.literal_column("'RUNNING'")
# A launcher worker claims as no process: whoever runs the step has one, and says so when it takes the attempt over.
NO_PROCESS = 0


class LaunchStore:
    """The reserved attempts of one database."""

    def __init__(self, database: Database, hot_path: HotPath, pools: PoolStore) -> None:
        self._database = database
        self._hot_path = hot_path
        self._pools = pools

    def reserve(self, claim: Claim, gates: Sequence[RunGate] = (), want_run: bool = False) -> ClaimResult:
        """Claim an attempt that is started elsewhere, when its run's own limits and its pool have room.

        Else its step is put among those that wait, and the answer's ``waits_for_pool`` names what for: the pool, or
        ``$run/<run id>`` for a limit of the run. The claim's ``process_id`` is to be 0. Sent again with its own token,
        it is told that it has won.
        """
        if claim.pool is not None and self._pools.rules.per_run:
            claim = _without_pool(claim)
        if not gates:
            return self._pools.claim(claim, want_run) if claim.pool else self._hot_path.claim(claim, want_run)

        def work(connection: sa.Connection) -> ClaimResult:
            self._lock(connection, claim.run_id)
            status = connection.execute(_STATUS, {"run_id": claim.run_id}).scalar()
            standing = connection.execute(_STANDING, _keys(claim)).first()
            shut = None if status not in _LIVE or standing else self._shut_gate(connection, claim, gates)
            if shut is not None:
                self._wait(connection, claim, shut)
                return ClaimResult(False, RunStatus(str(status)), waits_for_pool=run_pool(claim.run_id))
            if claim.pool is not None:
                return self._pools.claim_within(connection, claim, want_run)
            result = self._hot_path.claim_within(connection, claim, want_run)
            if result.claimed:
                connection.execute(_FORGET, _keys(claim))
            return result

        result = self._database.transact(work)
        # A slot may have come free while the step was put among the waiters: who freed it did not see the waiter, and
        # called nobody. On SQLite nobody can come between, by the write lock.
        if result.waits_for_pool is not None and self._database.is_postgres:
            result = self._database.transact(work)
        return result

    def call_waiters(self, run_id: str, gates: Sequence[RunGate]) -> list[PoolWaiter]:
        """Return the steps that wait for the run's own limits and have room now: their messages are to be sent.

        Each keeps its place free for a while, so that no newcomer takes it.
        """
        if not self._database.rows(_ANY_WAITER, {"pool": run_pool(run_id)}):
            return []

        def work(connection: sa.Connection) -> list[PoolWaiter]:
            self._lock(connection, run_id)
            at = utc_now()
            running = self._running(connection, run_id)
            waiting = [waiter_of(row) for row in connection.execute(_LINE, {"pool": run_pool(run_id)})]
            running += [one.step_key for one in waiting if _is_called(one, at)]
            called: list[PoolWaiter] = []
            for one in waiting:
                if not _is_called(one, at) and all(gate.has_room(one.step_key, running) for gate in gates):
                    running.append(one.step_key)
                    called.append(one)
                    own = (pool_waiters.c.run_id == run_id, pool_waiters.c.step_key == one.step_key)
                    connection.execute(sa.update(pool_waiters).where(*own).values(called_at=at))
            return called

        return self._database.transact(work)

    def runs_with_waiters(self) -> list[str]:
        """Return the runs with steps that wait for a limit of their run, oldest waiters first."""
        return [row.run_id for row in self._database.rows(_WAITING_RUNS)]

    def take_over(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        launch_token: str,
        new_token: str,
        worker_id: str,
        process_id: int,
    ) -> TakenOver | None:
        """Move a reserved attempt to the process that runs it; from then on only ``new_token`` holds it.

        Safe to send again. None: the attempt is not held by ``launch_token`` any more; somebody else has it, or it or
        its run has ended. A run that is being canceled is handed over too: its ``status`` says so.
        """
        keys = {"run_id": run_id, "step_key": step_key, "attempt": attempt}
        live = sa.select(runs.c.run_id).where(runs.c.run_id == run_id, runs.c.status.in_(_UNFINISHED))
        move = (
            sa.update(attempts)
            .where(*_is(keys), _RUNNING, attempts.c.token.in_([launch_token, new_token]), live.exists())
            .values(token=new_token, worker_id=worker_id, process_id=process_id)
        )

        def work(connection: sa.Connection) -> TakenOver | None:
            if not connection.execute(move).rowcount:
                return None
            held = connection.execute(sa.select(attempts).where(*_is(keys))).one()
            row = connection.execute(_RUN, {"run_id": run_id}).one()
            return TakenOver(attempt_of(held), run_of(*row))

        return self._database.transact(work)

    def adopt(self, reserved: Iterable[Attempt], worker_id: str) -> list[Attempt]:
        """Move attempts from a launcher worker that has died to another, as far as they are as they were read."""

        def work(connection: sa.Connection) -> list[Attempt]:
            adopted = []
            for one in reserved:
                keys = {"run_id": one.run_id, "step_key": one.step_key, "attempt": one.attempt}
                same = (attempts.c.token == one.token, attempts.c.worker_id == one.worker_id)
                move = sa.update(attempts).where(*_is(keys), _RUNNING, *same).values(worker_id=worker_id)
                if connection.execute(move).rowcount:
                    adopted.append(one)
            return adopted

        return self._database.transact(work)

    def reserved_of_dead(self, last_seen_before: datetime) -> list[Attempt]:
        """Return attempts that nobody has taken over and whose launcher worker has not been seen since, or is unknown.

        One that itself began later is left out: its launcher worker may not have reported itself yet.
        """
        query = (
            sa.select(attempts)
            .outerjoin(workers, workers.c.worker_id == attempts.c.worker_id)
            .where(
                _RUNNING,
                attempts.c.process_id == NO_PROCESS,
                attempts.c.started_at < last_seen_before,
                sa.or_(workers.c.worker_id.is_(None), workers.c.last_seen_at < last_seen_before),
            )
            .order_by(attempts.c.started_at)
        )
        return [attempt_of(row) for row in self._database.rows(query)]

    def standings(self, keys: Iterable[LaunchKey]) -> dict[LaunchKey, LaunchStanding]:
        """Return how the attempts of containers stand, and their runs. Keys whose run is gone are left out.

        A key whose ``step_key`` is empty is that of a run's own container: its standing has no attempt.
        """
        wanted = set(keys)
        run_ids = sorted({key.run_id for key in wanted})
        found: dict[LaunchKey, LaunchStanding] = {}
        for start in range(0, len(run_ids), 500):
            some = run_ids[start : start + 500]
            query = sa.select(runs.c.run_id, runs.c.status).where(runs.c.run_id.in_(some))
            status = {row.run_id: RunStatus(row.status) for row in self._database.rows(query)}
            held = {
                LaunchKey(row.run_id, row.step_key, row.attempt): attempt_of(row)
                for row in self._database.rows(sa.select(attempts).where(attempts.c.run_id.in_(some)))
            }
            for key in wanted:
                if key.run_id in status:
                    found[key] = LaunchStanding(status[key.run_id], held.get(key))
        return found

    def _lock(self, connection: sa.Connection, run_id: str) -> None:
        """Let one transaction at a time decide about a run's limits. On SQLite the write lock does that."""
        if self._database.is_postgres:
            number = zlib.crc32(run_id.encode()) - 2**31
            lock = sa.text("SELECT pg_advisory_xact_lock(:lock_class, :number)")
            connection.execute(lock, {"lock_class": _RUN_CLASS, "number": number})

    def _running(self, connection: sa.Connection, run_id: str) -> list[str]:
        return [row.step_key for row in connection.execute(_RUNNING_KEYS, {"run_id": run_id})]

    def _shut_gate(self, connection: sa.Connection, claim: Claim, gates: Sequence[RunGate]) -> RunGate | None:
        """Return the first limit that has no room for a step, counting those whose turn it is; None: all have."""
        running = self._running(connection, claim.run_id)
        for row in connection.execute(_LINE, {"pool": run_pool(claim.run_id)}):
            one = waiter_of(row)
            if one.step_key != claim.step_key and _is_called(one, claim.at):
                running.append(one.step_key)
        return next((gate for gate in gates if not gate.has_room(claim.step_key, running)), None)

    def _wait(self, connection: sa.Connection, claim: Claim, gate: RunGate) -> None:
        values = {
            "pool": run_pool(claim.run_id),
            "attempt": claim.attempt,
            "retry_number": claim.retry_number,
            "called_at": None,
            "worker_id": None,
            "process_id": None,
        }
        own = (pool_waiters.c.run_id == claim.run_id, pool_waiters.c.step_key == claim.step_key)
        if connection.execute(sa.update(pool_waiters).where(*own).values(values)).rowcount:
            return
        rank = connection.execute(sa.select(runs.c.rank).where(runs.c.run_id == claim.run_id)).scalar_one()
        row = values | {"run_id": claim.run_id, "step_key": claim.step_key, "rank": rank, "since": claim.at}
        connection.execute(sa.insert(pool_waiters).values(row))
        text = f"Step waits: its executor lets {gate.limit} run at once ({gate.name})."
        data = {"gate": gate.name, "limit": gate.limit, "attempt": claim.attempt}
        event = Event(EventType.ENGINE_EVENT, claim.at, text, claim.step_key, data=data)
        insert_events(connection, claim.run_id, [event])


def _without_pool(claim: Claim) -> Claim:
    return Claim(
        run_id=claim.run_id,
        step_key=claim.step_key,
        attempt=claim.attempt,
        token=claim.token,
        worker_id=claim.worker_id,
        at=claim.at,
        retry_number=claim.retry_number,
        process_id=claim.process_id,
    )


def _is_called(waiter: PoolWaiter, at: datetime) -> bool:
    called = as_utc(waiter.called_at)
    return called is not None and called > at - RESERVED_FOR


def _keys(claim: Claim) -> dict[str, Any]:
    return {"run_id": claim.run_id, "step_key": claim.step_key, "attempt": claim.attempt}


def _is(keys: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [attempts.c[name] == value for name, value in keys.items()]


_STATUS = sa.select(runs.c.status).where(runs.c.run_id == sa.bindparam("run_id"))
_RUN = sa.select(runs.c.body, runs.c.status, runs.c.started_at, runs.c.ended_at, runs.c.updated_at, runs.c.error).where(
    runs.c.run_id == sa.bindparam("run_id")
)
_RETRIABLE = (AttemptStatus.UP_FOR_RETRY.value, AttemptStatus.LOST.value)
# What stands in the way of a claim whatever the limits say: the claim then says what.
_STANDING = sa.select(attempts.c.attempt).where(
    attempts.c.run_id == sa.bindparam("run_id"),
    attempts.c.step_key == sa.bindparam("step_key"),
    sa.or_(attempts.c.status.not_in(_RETRIABLE), attempts.c.attempt == sa.bindparam("attempt")),
)
_RUNNING_KEYS = sa.select(attempts.c.step_key).where(attempts.c.run_id == sa.bindparam("run_id"), _RUNNING)
_OF_POOL = pool_waiters.c.pool == sa.bindparam("pool")
_ANY_WAITER = sa.select(pool_waiters.c.run_id).where(_OF_POOL).limit(1)
_LINE = sa.select(pool_waiters).where(_OF_POOL).order_by(pool_waiters.c.since, pool_waiters.c.step_key)
_FORGET = sa.delete(pool_waiters).where(
    pool_waiters.c.run_id == sa.bindparam("run_id"), pool_waiters.c.step_key == sa.bindparam("step_key")
)
_WAITING_RUNS = (
    sa.select(pool_waiters.c.run_id)
    .where(pool_waiters.c.pool.like("$run/%"))
    .group_by(pool_waiters.c.run_id)
    .order_by(sa.func.min(pool_waiters.c.since))
)
