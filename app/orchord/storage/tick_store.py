"""Ticks: made once, claimed by one, ended with all that they bring about, looked through.

Their rows are tick_rows.py; the end of a tick is tick_end.py; what stays between ticks is instigator_store.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchord.events import ErrorInfo
from orchord.storage.database import Database
from orchord.storage.encoding import encode_error
from orchord.storage.failures import is_unique_violation
from orchord.storage.instigator_store import plan_until, upsert_states
from orchord.storage.schema import ticks
from orchord.storage.tick_end import end_ticks
from orchord.storage.tick_rows import insert_ticks, is_open, tick_of
from orchord.storage.values import TickEnd, TickFinished
from orchord.ticks import FINAL_TICK_STATUSES, InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus

_PENDING = ticks.c.status == sa.literal_column("'PENDING'")
_STARTED = ticks.c.status == sa.literal_column("'STARTED'")
_OPEN = is_open(ticks)
_FREE = {"status": TickStatus.PENDING.value, "token": None, "worker_id": None, "started_at": None, "sent_at": None}


class TickStore:
    """The ticks of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, new: Sequence[NewTick], planned_until: Mapping[InstigatorKey, datetime] | None = None) -> list[Tick]:
        """Record ticks as PENDING and how far their schedules are planned by that, in one transaction.

        A tick is made once by its key, whoever asks how often. One by the clock (``due:``) is not made while its lane
        has another such tick that has not ended.

        Args:
            new: The ticks.
            planned_until: The newest planned time by schedule or sensor; an older one than is stored changes nothing.

        Returns:
            The ticks that are new, in the order given.
        """

        def work(connection: sa.Connection) -> list[Tick]:
            made = insert_ticks(connection, new)
            plan_until(connection, planned_until or {})
            return made

        return self._database.transact(work)

    def claim(self, tick_id: int, token: str, worker_id: str, at: datetime) -> Tick | None:
        """Take a PENDING tick for evaluation: it is STARTED, and this token alone may end it.

        A claim that is sent again with its own token is told that it has won.

        Returns:
            The tick as it is now; None when it is not PENDING or another tick of its lane is under way.
        """
        this = ticks.c.tick_id == tick_id
        return self._claimed(this, this, token, worker_id, at)

    def claim_many(self, tick_ids: Sequence[int], token: str, worker_id: str, at: datetime) -> list[Tick]:
        """Take those of these ticks that are PENDING and in no lane, in one round trip, all by the same token.

        Returns:
            What was taken, in the order given. Sent again with its own token, a claim is told of all that it holds.
        """
        these = sa.and_(ticks.c.tick_id.in_(list(tick_ids)), ticks.c.lane.is_(None))
        values = {"status": TickStatus.STARTED.value, "token": token, "worker_id": worker_id, "started_at": at}
        taken = sa.update(ticks).where(these, _PENDING).values(**values, tries=ticks.c.tries + 1)
        rows = self._database.rows(taken.returning(*ticks.c)) if tick_ids else []
        if len(rows) < len(tick_ids):
            rows = self._database.rows(sa.select(ticks).where(these, _STARTED, ticks.c.token == token))
        by_id = {row.tick_id: tick_of(row) for row in rows}
        return [by_id[tick_id] for tick_id in dict.fromkeys(tick_ids) if tick_id in by_id]

    def renew(self, tick_ids: Collection[int], token: str, at: datetime) -> set[int]:
        """Let claimed ticks begin only now, as those claimed with them took their time; return which are still held."""
        held = sa.and_(ticks.c.tick_id.in_(sorted(tick_ids)), ticks.c.token == token, _STARTED)
        renewed = sa.update(ticks).where(held).values(started_at=at).returning(ticks.c.tick_id)
        return {row.tick_id for row in self._database.rows(renewed)} if tick_ids else set()

    def claim_next(self, location: str, lane: str, token: str, worker_id: str, at: datetime) -> Tick | None:
        """Take the oldest PENDING tick of a lane; None when there is none or the lane is busy."""
        waiting = ticks.alias()
        oldest = (
            sa.select(sa.func.min(waiting.c.tick_id))
            .where(
                waiting.c.status == sa.literal_column("'PENDING'"),
                is_open(waiting),
                waiting.c.location == location,
                waiting.c.lane == lane,
            )
            .scalar_subquery()
        )
        of_lane = sa.and_(ticks.c.location == location, ticks.c.lane == lane)
        return self._claimed(ticks.c.tick_id == oldest, of_lane, token, worker_id, at)

    def finish(self, end: TickEnd) -> TickFinished:
        """End a tick with all that came of it, or write nothing at all when the token no longer holds it.

        Runs, their events, asset events, the tick, and the cursor: one transaction. A dry run writes only the tick.
        An end that is sent again after a lost connection gets the answer of the first time.
        """
        (finished,) = self.finish_many([end])
        return finished

    def finish_many(self, ends: Sequence[TickEnd]) -> list[TickFinished]:
        """End ticks as ``finish`` does, all of them in one transaction, by as many statements as one takes.

        Returns:
            For each, in the order given, what came of it. One whose token no longer holds its tick writes nothing, and
            does not keep the others from their end.
        """
        return self._database.transact(lambda connection: end_ticks(connection, ends)) if ends else []

    def give_up(
        self, tick_id: int, error: ErrorInfo, at: datetime, *, tries_left: int = 0, token: str | None = None
    ) -> TickStatus | None:
        """End an open tick from outside: its time is over, or its worker is dead. Its late end is refused.

        Args:
            tick_id: The tick.
            error: Why.
            at: When.
            tries_left: How many further tries it may have: a tick that was tried no more often than this goes back
                to PENDING instead.
            token: The token that it was seen with; one that was claimed anew meanwhile is left alone.

        Returns:
            The tick's status from now on, or None when it was not open, or no longer held by this token.
        """
        is_it = (
            ticks.c.tick_id == tick_id if token is None else sa.and_(ticks.c.tick_id == tick_id, ticks.c.token == token)
        )
        may_try_again = sa.and_(_STARTED, ticks.c.tries <= tries_left)
        again = sa.update(ticks).where(is_it, may_try_again).values(_FREE)
        failed = {"status": TickStatus.FAILURE.value, "error": encode_error(error), "ended_at": at}
        over = sa.update(ticks).where(is_it, _OPEN).values(failed).returning(*ticks.c)

        def work(connection: sa.Connection) -> TickStatus | None:
            if connection.execute(again).rowcount:
                return TickStatus.PENDING
            row = connection.execute(over).first()
            if row is None:
                return None
            if not row.is_dry_run:
                upsert_states(connection, [(tick_of(row).key, {"last_tick_ended_at": at})])
            return TickStatus.FAILURE

        return self._database.transact(work)

    def release(self, tick_ids: Collection[int], token: str) -> int:
        """Give claimed ticks back, as if they had not been tried; return how many of them the token held."""
        held = sa.and_(ticks.c.tick_id.in_(sorted(tick_ids)), ticks.c.token == token, _STARTED)
        freed = sa.update(ticks).where(held).values(**_FREE, tries=ticks.c.tries - 1)
        return self._database.transact(lambda connection: connection.execute(freed).rowcount) if tick_ids else 0

    def open(self, limit: int, sent_before: datetime, locations: Collection[str] | None = None) -> list[Tick]:
        """Return open ticks to look after, oldest first: all STARTED ones, and PENDING ones not sent since a time.

        With ``locations``, of the PENDING ones only theirs.
        """
        unsent = sa.or_(ticks.c.sent_at.is_(None), ticks.c.sent_at < sent_before)
        if locations is not None:
            unsent = sa.and_(unsent, ticks.c.location.in_(sorted(locations)))
        looked_for = sa.and_(_OPEN, sa.or_(_STARTED, unsent))
        return self._read(sa.select(ticks).where(looked_for).order_by(ticks.c.planned_at, ticks.c.tick_id).limit(limit))

    def mark_sent(self, tick_ids: Collection[int], at: datetime) -> None:
        """Note that messages for these ticks have been sent."""
        numbers = sorted(tick_ids)
        if numbers:
            sent = sa.update(ticks).where(ticks.c.tick_id.in_(numbers), _PENDING).values(sent_at=at)
            self._database.transact(lambda connection: connection.execute(sent))

    def find(self, tick_id: int) -> Tick | None:
        """Return one tick, or None."""
        found = self._read(sa.select(ticks).where(ticks.c.tick_id == tick_id))
        return found[0] if found else None

    def find_by_key(self, key: InstigatorKey, tick_key: str) -> Tick | None:
        """Return the tick that has this key, or None: what an earlier request with the same key has made."""
        found = self._read(sa.select(ticks).where(*_of(key), ticks.c.tick_key == tick_key))
        return found[0] if found else None

    def page(
        self,
        key: InstigatorKey | None = None,
        limit: int = 50,
        before_id: int | None = None,
        statuses: Collection[TickStatus] = (),
        location: str | None = None,
    ) -> list[Tick]:
        """Return ticks, newest first, without dry runs; for the next page give the last tick's id."""
        query = sa.select(ticks).where(ticks.c.is_dry_run.is_(False))
        if key is not None:
            query = query.where(*_of(key))
        if location is not None:
            query = query.where(ticks.c.location == location)
        if statuses:
            query = query.where(ticks.c.status.in_([status.value for status in statuses]))
        if before_id is not None:
            query = query.where(ticks.c.tick_id < before_id)
        return self._read(query.order_by(ticks.c.tick_id.desc()).limit(limit))

    def delete(self, tick_id: int) -> bool:
        """Delete one tick, whatever its status; return whether there was one."""
        deleted = sa.delete(ticks).where(ticks.c.tick_id == tick_id)
        return self._database.transact(lambda connection: bool(connection.execute(deleted).rowcount))

    def purge(self, kind: InstigatorKind, status: TickStatus, ended_before: datetime, limit: int) -> int:
        """Delete old ticks of a final status, at most ``limit``, oldest first; return how many."""
        if status not in FINAL_TICK_STATUSES:
            return 0
        old = (
            sa.select(ticks.c.tick_id)
            .where(ticks.c.ended_at < ended_before, ticks.c.kind == kind.value, ticks.c.status == status.value)
            .order_by(ticks.c.ended_at)
            .limit(limit)
        )
        deleted = sa.delete(ticks).where(ticks.c.tick_id.in_(old.scalar_subquery()))
        return self._database.transact(lambda connection: connection.execute(deleted).rowcount)

    def held_by(self, token_prefix: str) -> list[Tick]:
        """Return the STARTED ticks whose token begins so, oldest first: a process's tokens begin with its name."""
        held = sa.and_(_OPEN, _STARTED, ticks.c.token.startswith(token_prefix, autoescape=True))
        return self._read(sa.select(ticks).where(held).order_by(ticks.c.tick_id))

    def _claimed(
        self,
        which: sa.ColumnElement[bool],
        among: sa.ColumnElement[bool],
        token: str,
        worker_id: str,
        at: datetime,
    ) -> Tick | None:
        other = ticks.alias()
        lane_is_busy = sa.exists().where(
            other.c.location == ticks.c.location,
            other.c.lane == ticks.c.lane,
            other.c.status == sa.literal_column("'STARTED'"),
        )
        values = {"status": TickStatus.STARTED.value, "token": token, "worker_id": worker_id, "started_at": at}
        taken = (
            sa.update(ticks)
            .where(which, _PENDING, sa.not_(lane_is_busy))
            .values(**values, tries=ticks.c.tries + 1)
            .returning(*ticks.c)
        )

        try:
            # One statement, so one round trip and no transaction around it. Sent again, it finds its own token.
            rows = self._database.rows(taken) or self._database.rows(
                sa.select(ticks).where(among, _STARTED, ticks.c.token == token)
            )
        except sa.exc.IntegrityError as error:
            if not is_unique_violation(error):
                raise
            return None  # Another tick of the lane was claimed in the same moment.
        return tick_of(rows[0]) if rows else None

    def _read(self, query: sa.Select[Any]) -> list[Tick]:
        return [tick_of(row) for row in self._database.rows(query)]


def _of(key: InstigatorKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (ticks.c.location == key.location, ticks.c.kind == key.kind.value, ticks.c.name == key.name)
