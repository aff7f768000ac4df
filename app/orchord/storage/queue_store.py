"""The run queue in the database: taking runs out of it under one lock, and noting why the others wait.

Which runs may go is asked of a ``Chooser`` (orchord.instance.run_limits); what is full is left out by the statements
themselves, so that a long queue of runs that cannot go costs little.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import psycopg2
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.events import Event, EventType, utc_now
from orchord.runs import Run, RunStatus
from orchord.storage.change_store import insert_change
from orchord.storage.database import Database
from orchord.storage.encoding import POOL_TAG, run_of
from orchord.storage.event_store import insert_events
from orchord.storage.postgres_hot_path import gate_of
from orchord.storage.postgres_queue import take_quickly
from orchord.storage.postgres_statements import GATE_CLASS
from orchord.storage.schema import attempts, pool_waiters, pools, run_tags, runs

logger = logging.getLogger(__name__)

# One lock class for the queue: 'QUEU'. The second number: 1 takes runs out, 2 says why they wait.
_QUEUE_CLASS = 0x51554555
_TAKING, _EXPLAINING = 1, 2
_PAGE = 100
_IDS_AT_ONCE = 500
UNDER_WAY = ("STARTING", "STARTED", "CANCELING")


class PoolUse(msgspec.Struct, frozen=True):
    """How full a pool is. ``used`` counts steps that run, that wait, and those that runs just let go will begin with.

    ``limit`` is the one that people set, if any.
    """

    used: int = 0
    limit: int | None = None


class UnderWay(msgspec.Struct, frozen=True):
    """What runs now. ``tags`` counts runs by tag and value."""

    total: int
    tags: Mapping[tuple[str, str], int] = {}


class PoolsUnderWay(msgspec.Struct, frozen=True):
    """How full the pools are, counted by ``runs`` and by ``steps``."""

    runs: Mapping[str, int] = {}
    steps: Mapping[str, PoolUse] = {}


class Full(msgspec.Struct, frozen=True):
    """A limit that is reached: runs with this row among their tags wait, for this reason. ``value`` None: any value."""

    key: str
    value: str | None
    reason: str


class Chooser(Protocol):
    """Decides which of the queued runs go. One object for one look."""

    @property
    def tag_keys(self) -> Collection[str]:
        """The tags by which there are limits."""

    @property
    def looks_at_pools(self) -> bool:
        """Whether full pools hold runs back."""

    def begin(self, under_way: UnderWay) -> None:
        """Take note of what runs now. Called first, once."""

    def learn_pools(self, pools: PoolsUnderWay) -> None:
        """Take note of how full the pools are. Called once, before a run with pools is to be admitted."""

    @property
    def room(self) -> int | None:
        """How many more runs may go whatever their tags are; None: any number."""

    @property
    def full(self) -> Sequence[Full]:
        """The limits that are reached so far."""

    def admit(self, run: Run) -> bool:
        """Count the run in and return True, or return False."""


class QueueStore:
    """The run queue of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, chooser: Chooser, limit: int = 100, *, waits: bool = True) -> list[Run] | None:
        """Take runs out of the queue, highest priority and then oldest first: they are STARTING from now on.

        Args:
            chooser: decides.
            limit: at most so many runs.
            waits: whether to wait for another process that is just doing the same (PostgreSQL).

        Returns:
            The runs to launch; None when another process is at it, and this one was not to wait.
        """

        def work(connection: sa.Connection) -> list[Run] | None:
            if not self._locked(connection, _TAKING, waits=waits):
                return None
            chooser.begin(self._under_way(connection, chooser))
            chosen = self._choose(connection, chooser, limit)
            return self._start(connection, chosen, utc_now()) if chosen else []

        return self._database.transact(work)

    def take_quickly(self, chooser: Chooser, limit: int) -> list[Run] | None:
        """Take runs out of the queue in as few round trips as can be, if the first in line may go.

        Returns:
            The runs to launch, or None: it takes another look, with a new chooser, or another process is looking.
        """
        if not self._database.is_postgres:
            return None
        try:
            return take_quickly(self._database, chooser, UnderWay, _MOVE, (_QUEUE_CLASS, _TAKING), limit)
        except (StorageUnavailableError, psycopg2.Error) as error:
            # A connection that was dead, or a run that is just being canceled. Had it been the very last answer that
            # was lost, the runs would be STARTING, and the monitor would send their steps.
            logger.info("The queue is looked at again: %s", error)
            return None

    def has_runs(self) -> bool:
        """Return whether any run is queued."""
        return bool(self._database.rows(_ANY_QUEUED))

    def depth(self) -> int:
        """Return how many runs are queued."""
        return int(self._database.rows(sa.select(sa.func.count()).where(_IS_QUEUED))[0][0])

    def explain(self, full: Sequence[Full], otherwise: str | None) -> int:
        """Note for each queued run why it waits; only what has changed is written.

        Args:
            full: the limits that are reached: the first that fits a run is its reason.
            otherwise: the reason of all other runs; None: they are about to go.

        Returns:
            How many runs have another reason than before.
        """

        def work(connection: sa.Connection) -> int:
            if not self._locked(connection, _EXPLAINING, waits=False):
                return 0
            changed = self._changed_reasons(connection, full, otherwise)
            for reason, run_ids in changed.items():
                for start in range(0, len(run_ids), _IDS_AT_ONCE):
                    some = runs.c.run_id.in_(sorted(run_ids[start : start + _IDS_AT_ONCE]))
                    connection.execute(sa.update(runs).where(some, _IS_QUEUED).values(waits_for=reason))
            return sum(map(len, changed.values()))

        return self._database.transact(work)

    def explain_one(self, run_id: str, reason: str | None) -> None:
        """Note why one queued run waits."""
        own = sa.update(runs).where(runs.c.run_id == run_id, _IS_QUEUED).values(waits_for=reason)
        self._database.transact(lambda connection: connection.execute(own))

    def _changed_reasons(
        self, connection: sa.Connection, full: Sequence[Full], otherwise: str | None
    ) -> dict[str | None, list[str]]:
        tagged = sa.and_(run_tags.c.run_id == runs.c.run_id, run_tags.c.key.in_({item.key for item in full}))
        query = sa.select(runs.c.run_id, runs.c.waits_for, run_tags.c.key, run_tags.c.value).where(_IS_QUEUED)
        order = {(item.key, item.value): place for place, item in enumerate(full)}
        known: dict[str, str | None] = {}
        places: dict[str, int] = {}
        for row in connection.execute(query.select_from(runs.outerjoin(run_tags, tagged))):
            known[row.run_id] = row.waits_for
            fits = [order[key] for key in ((row.key, row.value), (row.key, None)) if key in order]
            if fits:
                places[row.run_id] = min(*fits, places.get(row.run_id, len(full)))
        changed: dict[str | None, list[str]] = {}
        for run_id, noted in known.items():
            reason = full[places[run_id]].reason if run_id in places else otherwise
            if reason != noted:
                changed.setdefault(reason, []).append(run_id)
        return changed

    def _locked(self, connection: sa.Connection, what: int, *, waits: bool) -> bool:
        if not self._database.is_postgres:
            return True
        numbers = {"lock_class": _QUEUE_CLASS, "what": what}
        if waits:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock_class, :what)"), numbers)
            return True
        return bool(
            connection.execute(sa.text("SELECT pg_try_advisory_xact_lock(:lock_class, :what)"), numbers).scalar()
        )

    def _under_way(self, connection: sa.Connection, chooser: Chooser) -> UnderWay:
        total = int(connection.execute(_COUNT_UNDER_WAY).scalar_one())
        if not chooser.tag_keys or not total:
            return UnderWay(total)
        rows = connection.execute(_TAGS_UNDER_WAY.where(run_tags.c.key.in_(chooser.tag_keys)))
        return UnderWay(total, {(row.key, row.value): row.total for row in rows})

    def _pools_under_way(self, connection: sa.Connection) -> PoolsUnderWay:
        rows = connection.execute(_TAGS_UNDER_WAY.where(_TELLS_POOL))
        by_run = {row.key.removeprefix(POOL_TAG): row.total for row in rows}
        return PoolsUnderWay(by_run, self._pool_uses(connection))

    def _pool_uses(self, connection: sa.Connection) -> dict[str, PoolUse]:
        used: dict[str, int] = {}
        for query in (_RUNNING_IN_POOLS, _WAITING_IN_POOLS):
            for row in connection.execute(query):
                used[row.pool] = used.get(row.pool, 0) + row.total
        # Runs that were let go just now have claimed nothing yet.
        for row in connection.execute(_STARTING_BODIES):
            for pool in _run_of(row).blocking_pools:
                used[pool] = used.get(pool, 0) + 1
        limits = {row.name: row.slot_limit for row in connection.execute(sa.select(pools))}
        return {name: PoolUse(used.get(name, 0), limits.get(name)) for name in used.keys() | limits.keys()}

    def _choose(self, connection: sa.Connection, chooser: Chooser, limit: int) -> list[Run]:
        chosen: list[Run] = []
        after: tuple[int, datetime, str] | None = None
        knows_pools = not chooser.looks_at_pools
        while len(chosen) < limit and (chooser.room is None or chooser.room > 0):
            wanted = limit - len(chosen) if chooser.room is None else min(limit - len(chosen), chooser.room)
            # A few more than can go, as some of them may be held back by a limit that is not known to be reached yet.
            size = min(_PAGE, wanted + 10)
            rows = connection.execute(_page(chooser.full, after, size)).all()
            for row in rows:
                run = _run_of(row)
                if run.pools and not knows_pools:
                    chooser.learn_pools(self._pools_under_way(connection))
                    knows_pools = True
                if len(chosen) < limit and chooser.room != 0 and chooser.admit(run):
                    chosen.append(run)
                after = (row.rank, run.created_at, run.run_id)
            if len(rows) < size:
                break
        return chosen

    def _start(self, connection: sa.Connection, chosen: Sequence[Run], at: datetime) -> list[Run]:
        if self._database.is_postgres:
            parameters = {
                "run_ids": [run.run_id for run in chosen],
                "gates": [gate_of(run.run_id) for run in chosen],
                "at": at,
                "gate_class": GATE_CLASS,
            }
            moved = {row.run_id for row in connection.exec_driver_sql(f"{_MOVE} SELECT run_id FROM moved", parameters)}
        else:
            moved = set()
            for run in chosen:
                own = sa.update(runs).where(runs.c.run_id == run.run_id, _IS_QUEUED)
                values = {"status": "STARTING", "updated_at": at, "waits_for": None}
                if connection.execute(own.values(values)).rowcount:
                    moved.add(run.run_id)
                    insert_events(connection, run.run_id, [Event(kind, at, text) for kind, text in _LEAVING])
                    insert_change(connection, run.run_id, RunStatus.STARTING, at)
        changes = {"status": RunStatus.STARTING, "updated_at": at, "waits_for": None}
        return [msgspec.structs.replace(run, **changes) for run in chosen if run.run_id in moved]


_IS_QUEUED = runs.c.status == sa.literal_column("'QUEUED'")
_ANY_QUEUED = sa.select(sa.literal(1)).where(_IS_QUEUED).limit(1)
_RUN_COLUMNS = (runs.c.body, runs.c.status, runs.c.started_at, runs.c.ended_at, runs.c.updated_at, runs.c.error)
_COUNT_UNDER_WAY = sa.select(sa.func.count()).select_from(runs).where(runs.c.status.in_(UNDER_WAY))
_IN_POOL = sa.and_(attempts.c.status == sa.literal_column("'RUNNING'"), attempts.c.pool.is_not(None))
_TOTAL = sa.func.count().label("total")
_RUNNING_IN_POOLS = sa.select(attempts.c.pool, _TOTAL).where(_IN_POOL).group_by(attempts.c.pool)
_WAITING_IN_POOLS = sa.select(pool_waiters.c.pool, _TOTAL).group_by(pool_waiters.c.pool)
_TELLS_POOL = run_tags.c.key.startswith(POOL_TAG, autoescape=True)
_TAGS_UNDER_WAY = (
    sa.select(run_tags.c.key, run_tags.c.value, _TOTAL)
    .select_from(runs.join(run_tags, run_tags.c.run_id == runs.c.run_id))
    .where(runs.c.status.in_(UNDER_WAY))
    .group_by(run_tags.c.key, run_tags.c.value)
)
_STARTING_BODIES = sa.select(*_RUN_COLUMNS).where(
    runs.c.status == "STARTING",
    sa.select(run_tags.c.run_id).where(run_tags.c.run_id == runs.c.run_id, _TELLS_POOL).exists(),
    ~sa.select(pool_waiters.c.run_id).where(pool_waiters.c.run_id == runs.c.run_id).exists(),
)
_LEAVING = (
    (EventType.RUN_DEQUEUED, "Run left the queue."),
    (EventType.RUN_STARTING, "Run is handed to the run launcher."),
)
# Rows that somebody else holds are left out, so that this never waits with locks in hand; a row that is not moved
# stays queued for the next look. Rows come first, then gates, as for a cancel.
_MOVE = f"""
WITH free AS MATERIALIZED (
    SELECT runs.run_id, given.gate FROM unnest(%(run_ids)s::text[], %(gates)s::int[]) AS given(run_id, gate)
    JOIN runs ON runs.run_id = given.run_id
    WHERE runs.status = 'QUEUED' FOR UPDATE OF runs SKIP LOCKED
), moved AS (
    UPDATE runs SET status = 'STARTING', updated_at = %(at)s, waits_for = NULL FROM free WHERE runs.run_id = free.run_id
    RETURNING runs.run_id
), gates AS MATERIALIZED (
    SELECT moved.run_id, pg_advisory_xact_lock_shared(%(gate_class)s, free.gate) FROM moved JOIN free USING (run_id)
), noted AS (
    INSERT INTO events (run_id, type, timestamp, level, message)
    SELECT gates.run_id, said.type, %(at)s, 20, said.message
    FROM gates, (VALUES (1, '{_LEAVING[0][0]}', '{_LEAVING[0][1]}'), (2, '{_LEAVING[1][0]}', '{_LEAVING[1][1]}'))
        AS said(place, type, message)
    ORDER BY gates.run_id, said.place
), told AS (
    INSERT INTO run_changes (run_id, status, at) SELECT run_id, 'STARTING', %(at)s FROM moved
)"""


def _run_of(row: sa.Row[Any]) -> Run:
    return run_of(row.body, row.status, row.started_at, row.ended_at, row.updated_at, row.error)


def _page(full: Sequence[Full], after: tuple[int, datetime, str] | None, size: int) -> sa.Select[Any]:
    """Return the query for queued runs that no limit is known to hold back, in the order in which they go."""
    query = sa.select(*_RUN_COLUMNS, runs.c.rank).where(_IS_QUEUED)
    pairs = [(item.key, item.value) for item in full if item.value is not None]
    keys = [item.key for item in full if item.value is None]
    if pairs or keys:
        fits: list[sa.ColumnElement[bool]] = []
        if keys:
            fits.append(run_tags.c.key.in_(keys))
        if pairs:
            fits.append(sa.tuple_(run_tags.c.key, run_tags.c.value).in_(pairs))
        held = sa.select(run_tags.c.run_id).where(run_tags.c.run_id == runs.c.run_id, sa.or_(*fits))
        query = query.where(~held.exists())
    if after is not None:
        rank, created_at, run_id = after
        moment = sa.literal(created_at, runs.c.created_at.type)
        query = query.where(sa.tuple_(runs.c.rank, runs.c.created_at, runs.c.run_id) > sa.tuple_(rank, moment, run_id))
    return query.order_by(runs.c.rank, runs.c.created_at, runs.c.run_id).limit(size)
