"""Pools: limits that people set, slots granted to claims, and the steps that wait for one.

A slot is a RUNNING attempt that names its pool, so it is free in the moment the attempt ends, however that comes.
Unpooled claims are on the hot paths; who sends messages to waiters that are called is orchord_workers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from orchord.events import Event, EventType, utc_now
from orchord.plan.gates import RUN_POOL_PREFIX
from orchord.runs import RunStatus
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc
from orchord.storage.event_store import insert_events
from orchord.storage.hot_path import HotPath
from orchord.storage.schema import attempts, pool_waiters, pools, runs, workers
from orchord.storage.values import Claim, ClaimResult, PoolHolder, PoolState, PoolWaiter

# One lock class for pools: 'POOL'. The second number is the pool's hash.
_POOL_CLASS = 0x504F4F4C
_LIVE = ("STARTING", "STARTED")
_RUNNING = attempts.c.status == sa.literal_column("'RUNNING'")
# Those of runs that have ended hold no place in line until they are taken away.
_OF_LIVE_RUN = sa.and_(runs.c.run_id == pool_waiters.c.run_id, runs.c.status.in_(_LIVE))
_COUNT_LIVE_WAITERS = sa.select(sa.func.count()).select_from(pool_waiters.join(runs, _OF_LIVE_RUN))

# Steps that wait for a limit of their own run are launch_store.py's to call.
_OF_POOL = sa.not_(pool_waiters.c.pool.like(f"{RUN_POOL_PREFIX}%"))

# A waiter that was called keeps its slot free for this long. Then others go first, and it is called again after them:
# its message may be lost, or no worker may be there to take it.
RESERVED_FOR = timedelta(seconds=10)
# Where others never cease to come, it is called after this long all the same, with no slot kept for it: when it claims,
# it stands in line where it stood. Only so many in one look, as nobody may take their messages.
REMINDED_AFTER = timedelta(seconds=60)
_REMINDED_AT_ONCE = 20


class PoolRules(msgspec.Struct, frozen=True):
    """What the instance file says of pools.

    ``default_limit``: slots of a pool without a limit of its own; None: no limit. ``per_run``: limits count runs, in
    the run queue, and steps need no slots.
    """

    default_limit: int | None = None
    per_run: bool = False


class PoolStore:
    """The pools of one database. ``rules`` are set by the instance that opened it."""

    def __init__(self, database: Database, hot_path: HotPath) -> None:
        self._database = database
        self._hot_path = hot_path
        self.rules = PoolRules()

    def claim(self, claim: Claim, want_run: bool = False) -> ClaimResult:
        """Take an attempt together with a slot of its pool, or put its step among the pool's waiters.

        A step that waits already keeps its place. No newcomer of its rank goes before a waiter.
        """
        pool = claim.pool
        assert pool is not None

        def work(connection: sa.Connection) -> ClaimResult:
            return self.claim_within(connection, claim, want_run)

        result = self._database.transact(work)
        # On SQLite nobody can have come between, by the write lock.
        if result.waits_for_pool is not None and self._database.is_postgres and self._came_free(pool):
            return self._database.transact(work)
        return result

    def claim_within(self, connection: sa.Connection, claim: Claim, want_run: bool) -> ClaimResult:
        """Do what ``claim`` does as a part of a transaction: that which keeps a run's own limits (launch_store.py)."""
        pool = claim.pool
        assert pool is not None
        self._lock(connection, pool)
        facts = connection.execute(_FACTS, _keys(claim) | {"pool": pool}).one()
        is_open = facts.status in _LIVE and not facts.standing
        if is_open and not self._has_room(connection, claim, facts):
            self._wait(connection, claim, facts)
            return ClaimResult(False, RunStatus(facts.status), waits_for_pool=pool)
        result = self._hot_path.claim_within(connection, claim, want_run)
        if result.claimed:
            # Here and not on the hot path: claims without a pool pay nothing for it.
            own = (attempts.c.run_id == claim.run_id, attempts.c.step_key == claim.step_key)
            this = sa.update(attempts).where(*own, attempts.c.attempt == claim.attempt)
            connection.execute(this.values(pool=pool))
        if facts.since is not None:
            connection.execute(_FORGET, _keys(claim))
        return result

    def call_waiters(self, pool: str) -> list[PoolWaiter]:
        """Give free slots of a pool to those who wait longest, and return them: their messages are to be sent now.

        A waiter ``in_place`` needs no message: its process looks for itself.
        """
        if self.rules.per_run or not self._database.rows(_ANY_WAITER, {"pool": pool}):
            return []
        return self._database.transact(lambda connection: self._call(connection, pool))

    def call_all(self) -> list[PoolWaiter]:
        """Call the waiters of every pool that has a free slot, also those who were called in vain."""
        called: list[PoolWaiter] = []
        for row in self._database.rows(sa.select(pool_waiters.c.pool).where(_OF_POOL).distinct()):
            called += self._database.transact(partial(self._call, pool=row.pool))
        return called

    def has_waiters(self) -> bool:
        """Return whether any step waits for a slot."""
        return bool(self._database.rows(sa.select(pool_waiters.c.pool).limit(1)))

    def waiters_of_run(self, run_id: str) -> list[PoolWaiter]:
        """Return the steps of a run that wait for slots."""
        query = _WAITERS.where(pool_waiters.c.run_id == run_id).order_by(pool_waiters.c.since)
        return [waiter_of(row) for row in self._database.rows(query)]

    def forget_process(self, worker_id: str, process_id: int) -> None:
        """Take away what a process that has died waited for in place."""
        gone = (pool_waiters.c.worker_id == worker_id, pool_waiters.c.process_id == process_id)
        self._database.transact(lambda connection: connection.execute(sa.delete(pool_waiters).where(*gone)))

    def forget(self, run_id: str, step_key: str) -> None:
        """Take away one waiter."""
        keys = {"run_id": run_id, "step_key": step_key}
        self._database.transact(lambda connection: connection.execute(_FORGET, keys))

    def forget_silent(self, last_seen_before: datetime) -> None:
        """Take away those who wait in place and whose worker has not been seen since, or is not known."""
        seen = sa.select(workers.c.worker_id).where(
            workers.c.worker_id == pool_waiters.c.worker_id, workers.c.last_seen_at >= last_seen_before
        )
        gone = (pool_waiters.c.worker_id.is_not(None), pool_waiters.c.since < last_seen_before, ~seen.exists())
        self._database.transact(lambda connection: connection.execute(sa.delete(pool_waiters).where(*gone)))

    def forget_dead(self) -> int:
        """Take away waiters of runs that have ended or are gone; return how many there were."""
        live = sa.select(runs.c.run_id).where(_OF_LIVE_RUN)
        statement = sa.delete(pool_waiters).where(~live.exists())
        if not self._database.rows(sa.select(pool_waiters.c.run_id).where(~live.exists()).limit(1)):
            return 0
        return self._database.transact(lambda connection: int(connection.execute(statement).rowcount))

    def limits(self) -> dict[str, int]:
        """Return the limits that were set, by pool."""
        rows = self._database.rows(sa.select(pools).where(pools.c.slot_limit.is_not(None)))
        return {row.name: row.slot_limit for row in rows}

    def set_limit(self, pool: str, limit: int) -> None:
        """Set how many slots a pool has. Steps that run beyond a lower limit keep their slots until they end."""

        def work(connection: sa.Connection) -> None:
            self._lock(connection, pool)
            moved = connection.execute(sa.update(pools).where(pools.c.name == pool).values(slot_limit=limit)).rowcount
            if not moved:
                connection.execute(sa.insert(pools).values(name=pool, slot_limit=limit))

        self._database.transact(work)

    def delete_limit(self, pool: str) -> bool:
        """Give a pool the default limit again; return whether it had one of its own."""
        gone = sa.delete(pools).where(pools.c.name == pool)
        return self._database.transact(lambda connection: bool(connection.execute(gone).rowcount))

    def all(self) -> list[PoolState]:
        """Return all pools that have a limit, a running step or a waiter, by name."""
        limits = self.limits()
        counts = self._counts()
        return [
            PoolState(
                name=name,
                limit=limits.get(name, self.rules.default_limit),
                is_default=name not in limits,
                running=counts.get(name, (0, 0))[0],
                waiting=counts.get(name, (0, 0))[1],
            )
            for name in sorted(limits.keys() | counts.keys())
        ]

    def holders(self, pool: str) -> list[PoolHolder]:
        """Return the attempts that hold slots of a pool, those that began first in front."""
        query = sa.select(attempts).where(_RUNNING, attempts.c.pool == pool).order_by(attempts.c.started_at)
        return [
            PoolHolder(row.run_id, row.step_key, row.attempt, row.worker_id, row.process_id, as_utc(row.started_at))
            for row in self._database.rows(query)
        ]

    def waiters(self, pool: str, limit: int = 100) -> list[PoolWaiter]:
        """Return those who wait for a slot of a pool, in the order in which they get one."""
        query = _WAITERS.where(pool_waiters.c.pool == pool).order_by(pool_waiters.c.rank, pool_waiters.c.since)
        return [waiter_of(row) for row in self._database.rows(query.limit(limit))]

    def _counts(self) -> dict[str, tuple[int, int]]:
        total = sa.func.count().label("total")
        running = sa.select(attempts.c.pool, total).where(_RUNNING, attempts.c.pool.is_not(None))
        waiting = sa.select(pool_waiters.c.pool, total).where(_OF_POOL).group_by(pool_waiters.c.pool)
        held = {row.pool: row.total for row in self._database.rows(running.group_by(attempts.c.pool))}
        wait = {row.pool: row.total for row in self._database.rows(waiting)}
        return {name: (held.get(name, 0), wait.get(name, 0)) for name in held.keys() | wait.keys()}

    def _lock(self, connection: sa.Connection, pool: str) -> None:
        """Let one transaction at a time decide about a pool. On SQLite the write lock does that."""
        if self._database.is_postgres:
            number = zlib.crc32(pool.encode("utf-8", "replace")) - 2**31
            lock = sa.text("SELECT pg_advisory_xact_lock(:lock_class, :number)")
            connection.execute(lock, {"lock_class": _POOL_CLASS, "number": number})

    def _came_free(self, pool: str) -> bool:
        """Return whether a slot has come free while a claim put its step among the waiters.

        Whoever freed it did not see the waiter, which was not committed, and called nobody.
        """
        facts = self._database.rows(_OCCUPANCY, {"pool": pool, "reserved_after": utc_now() - RESERVED_FOR})[0]
        limit = self._limit_of(facts)
        return limit is None or facts.running < limit

    def _limit_of(self, facts: sa.Row[Any]) -> int | None:
        return facts.slot_limit if facts.slot_limit is not None else self.rules.default_limit

    def _has_room(self, connection: sa.Connection, claim: Claim, facts: sa.Row[Any]) -> bool:
        limit = self._limit_of(facts)
        if limit is None:
            return True
        free = int(limit - facts.running)
        if free <= 0 or not facts.others:
            return free > 0
        rank, since = _place(claim, facts)
        waits = pool_waiters.c
        before = sa.or_(waits.rank < rank, sa.and_(waits.rank == rank, waits.since < since))
        counts = sa.or_(waits.called_at.is_(None), waits.called_at > claim.at - RESERVED_FOR)
        other = sa.or_(waits.run_id != claim.run_id, waits.step_key != claim.step_key)
        query = _COUNT_LIVE_WAITERS.where(waits.pool == claim.pool, other, before, counts)
        ahead: int = connection.execute(query).scalar_one()
        return free > ahead

    def _wait(self, connection: sa.Connection, claim: Claim, facts: sa.Row[Any]) -> None:
        rank, since = _place(claim, facts)
        values = {
            "pool": claim.pool,
            "attempt": claim.attempt,
            "retry_number": claim.retry_number,
            "rank": rank,
            "since": since,
            "called_at": None,
            "worker_id": claim.worker_id if claim.in_place else None,
            "process_id": claim.process_id if claim.in_place else None,
        }
        if facts.since is not None:
            own = (pool_waiters.c.run_id == claim.run_id, pool_waiters.c.step_key == claim.step_key)
            connection.execute(sa.update(pool_waiters).where(*own).values(values))
            return
        connection.execute(sa.insert(pool_waiters).values(run_id=claim.run_id, step_key=claim.step_key, **values))
        data = {"pool": claim.pool, "attempt": claim.attempt}
        text = f"Step waits for a free slot of pool '{claim.pool}'."
        insert_events(
            connection, claim.run_id, [Event(EventType.ENGINE_EVENT, claim.at, text, claim.step_key, data=data)]
        )

    def _call(self, connection: sa.Connection, pool: str) -> list[PoolWaiter]:
        self._lock(connection, pool)
        at = utc_now()
        facts = connection.execute(_OCCUPANCY, {"pool": pool, "reserved_after": at - RESERVED_FOR}).one()
        limit = self._limit_of(facts)
        free = None if limit is None else max(0, limit - facts.running - facts.reserved)
        waits = pool_waiters.c
        may_go = sa.or_(waits.called_at.is_(None), waits.called_at <= at - RESERVED_FOR)
        in_turn = (waits.called_at.asc().nulls_first(), waits.rank, waits.since)
        called = _call_some(connection, pool, may_go, in_turn, limit=free, called_at=at)
        in_vain = waits.called_at <= at - REMINDED_AFTER
        # Called so long ago, it has no slot kept for it.
        return called + _call_some(
            connection, pool, in_vain, (waits.called_at,), limit=_REMINDED_AT_ONCE, called_at=at - RESERVED_FOR
        )


def _call_some(
    connection: sa.Connection,
    pool: str,
    which: sa.ColumnElement[bool],
    order: Sequence[sa.ColumnElement[Any]],
    *,
    limit: int | None,
    called_at: datetime,
) -> list[PoolWaiter]:
    if limit == 0:
        return []
    waits = pool_waiters.c
    query = _WAITERS.join(runs, _OF_LIVE_RUN).where(waits.pool == pool, which).order_by(*order).limit(limit)
    if connection.dialect.name == "postgresql":
        # Nobody waits here, with the lock of the pool in hand, for a row that somebody else is taking away.
        query = query.with_for_update(of=pool_waiters, skip_locked=True)
    called = [waiter_of(row) for row in connection.execute(query).all()]
    for waiter in called:
        key = (waits.run_id == waiter.run_id, waits.step_key == waiter.step_key)
        connection.execute(sa.update(pool_waiters).where(*key).values(called_at=called_at))
    return called


def _keys(claim: Claim) -> dict[str, Any]:
    return {"run_id": claim.run_id, "step_key": claim.step_key, "attempt": claim.attempt}


def _place(claim: Claim, facts: sa.Row[Any]) -> tuple[int, datetime]:
    """Return where a claim stands in line: by its run's rank, then by when its step first asked."""
    since = as_utc(facts.since)
    return facts.rank, since if since is not None else claim.at


def waiter_of(row: sa.Row[Any]) -> PoolWaiter:
    """Return a waiter of its row."""
    since = as_utc(row.since)
    assert since is not None
    return PoolWaiter(
        run_id=row.run_id,
        step_key=row.step_key,
        pool=row.pool,
        attempt=row.attempt,
        retry_number=row.retry_number,
        since=since,
        called_at=as_utc(row.called_at),
        worker_id=row.worker_id,
    )


def _limit_of_pool() -> sa.ScalarSelect[Any]:
    return sa.select(pools.c.slot_limit).where(pools.c.name == sa.bindparam("pool")).scalar_subquery()


def _running_in_pool() -> sa.ScalarSelect[Any]:
    counted = sa.select(sa.func.count()).select_from(attempts).where(_RUNNING, attempts.c.pool == sa.bindparam("pool"))
    return counted.scalar_subquery()


def _statements() -> Sequence[sa.Executable]:
    run_id: sa.BindParameter[str] = sa.bindparam("run_id")
    step_key: sa.BindParameter[str] = sa.bindparam("step_key")
    pool: sa.BindParameter[str] = sa.bindparam("pool")
    own = pool_waiters.alias("own")
    waits = pool_waiters.c
    standing = sa.select(attempts.c.attempt).where(
        attempts.c.run_id == run_id,
        attempts.c.step_key == step_key,
        sa.or_(attempts.c.status.not_in(("UP_FOR_RETRY", "LOST")), attempts.c.attempt == sa.bindparam("attempt")),
    )
    others = sa.select(waits.run_id).where(
        waits.pool == pool, sa.or_(waits.run_id != run_id, waits.step_key != step_key)
    )
    one = sa.select(sa.literal_column("1").label("one")).subquery("one")
    facts = sa.select(
        runs.c.status,
        # A waiter keeps the rank that it came with.
        sa.func.coalesce(own.c.rank, runs.c.rank).label("rank"),
        own.c.since,
        standing.exists().label("standing"),
        others.exists().label("others"),
        _limit_of_pool().label("slot_limit"),
        _running_in_pool().label("running"),
    ).select_from(
        one.outerjoin(runs, runs.c.run_id == run_id).outerjoin(
            own, sa.and_(own.c.run_id == run_id, own.c.step_key == step_key)
        )
    )
    reserved = _COUNT_LIVE_WAITERS.where(
        waits.pool == pool, waits.called_at > sa.bindparam("reserved_after", type_=waits.called_at.type)
    ).scalar_subquery()
    occupancy = sa.select(
        _limit_of_pool().label("slot_limit"), _running_in_pool().label("running"), reserved.label("reserved")
    )
    forget = sa.delete(pool_waiters).where(waits.run_id == run_id, waits.step_key == step_key)
    any_waiter = sa.select(waits.run_id).where(waits.pool == pool).limit(1)
    return facts, occupancy, forget, any_waiter


_FACTS, _OCCUPANCY, _FORGET, _ANY_WAITER = _statements()
_WAITERS = sa.select(pool_waiters)
