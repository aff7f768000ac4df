"""What is remembered of schedules and sensors between ticks: started or stopped, how far planned, their cursor.

What they are is in their location's snapshot; their ticks are in tick_store.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, clean_text
from orchord.storage.schema import instigators, locations
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus

_KEY_COLUMNS = ["location", "kind", "name"]


class InstigatorStore:
    """The states of one database's schedules and sensors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def states(self, location: str | None = None) -> dict[InstigatorKey, InstigatorState]:
        """Return what is remembered, of one location or of all; who never did anything is left out."""
        query = sa.select(instigators)
        if location is not None:
            query = query.where(instigators.c.location == location)
        states = [_state_of(row) for row in self._database.rows(query.order_by(*_KEY_COLUMNS))]
        return {state.key: state for state in states}

    def state(self, key: InstigatorKey) -> InstigatorState:
        """Return what is remembered of one; an empty state when nothing is."""
        rows = self._database.rows(sa.select(instigators).where(*_is(key)))
        return _state_of(rows[0]) if rows else InstigatorState(key)

    def set_status(self, key: InstigatorKey, status: InstigatorStatus | None, at: datetime) -> InstigatorState:
        """Start or stop a schedule or sensor, or let the code's default hold again (None); return its new state.

        A schedule that is started goes on from ``at``: the planned times that it missed while it was stopped are not
        made up for. Starting what is started already changes nothing.
        """
        wanted = None if status is None else status.value

        def work(connection: sa.Connection) -> InstigatorState:
            row = _locked(connection, key)
            if row.status != wanted or row.version == 0:
                values: dict[str, Any] = {"status": wanted, "version": row.version + 1}
                if status is not InstigatorStatus.STOPPED:
                    values["started_at"] = at
                    if key.kind is InstigatorKind.SCHEDULE:
                        planned = as_utc(row.planned_until)
                        values["planned_until"] = at if planned is None else max(planned, at)
                connection.execute(sa.update(instigators).where(*_is(key)).values(values))
            return _state_of(connection.execute(sa.select(instigators).where(*_is(key))).one())

        return self._database.transact(work)

    def set_cursor(self, key: InstigatorKey, cursor: str | None) -> InstigatorState:
        """Set a sensor's cursor, or take it away; return its new state."""
        text = None if cursor is None else clean_text(cursor)

        def work(connection: sa.Connection) -> InstigatorState:
            row = _locked(connection, key)
            changed = sa.update(instigators).where(*_is(key)).values(cursor=text, version=row.version + 1)
            connection.execute(changed)
            return _state_of(connection.execute(sa.select(instigators).where(*_is(key))).one())

        return self._database.transact(work)

    def forget(self, key: InstigatorKey) -> None:
        """Forget all of a schedule or sensor but its ticks: it is as if it had just been written."""
        empty = dict.fromkeys(("status", "started_at", "planned_until", "last_tick_ended_at", "last_run_key", "cursor"))
        # The row stays, so that the sum of versions only ever grows.
        forgotten = sa.update(instigators).where(*_is(key)).values(**empty, version=instigators.c.version + 1)
        self._database.transact(lambda connection: connection.execute(forgotten))

    def stamp(self) -> tuple[object, ...]:
        """Return a value that is another one as soon as a status, a cursor set by hand, or a location has changed."""
        versions = sa.select(sa.func.coalesce(sa.func.sum(instigators.c.version), 0)).scalar_subquery()
        loaded = sa.select(locations.c.name, locations.c.snapshot_id, locations.c.loaded_at, versions.label("versions"))
        rows = self._database.rows(loaded.order_by(locations.c.name))
        if not rows:
            rows = self._database.rows(sa.select(versions))
        return tuple(tuple(row) for row in rows)


def upsert_states(connection: sa.Connection, states: Sequence[tuple[InstigatorKey, Mapping[str, Any]]]) -> None:
    """Write, within a transaction, some columns of states, the later of one state over the earlier.

    The clock is not told.
    """
    merged: dict[InstigatorKey, dict[str, Any]] = {}
    for key, values in states:
        merged.setdefault(key, {}).update(values)
    # In the order of the keys, as everywhere: their rows are locked by it. One statement for those alike in columns.
    for columns, keys in groupby(sorted(merged), lambda key: sorted(merged[key])):
        insert = _insert(connection)
        changed = {name: insert.excluded[name] for name in columns}
        upsert = insert.on_conflict_do_update(index_elements=_KEY_COLUMNS, set_=changed)
        # The answer is not looked at: it makes SQLAlchemy send many rows in one statement.
        rows = [{**_key_values(key), **merged[key]} for key in keys]
        connection.execute(upsert.returning(instigators.c.name), rows)


def plan_until(connection: sa.Connection, planned: Mapping[InstigatorKey, datetime]) -> None:
    """Note, within a transaction, up to which planned times ticks have been made. They never go backwards."""
    if not planned:
        return
    rows = [{**_key_values(key), "planned_until": planned[key]} for key in sorted(planned)]
    insert = _insert(connection)
    later = sa.or_(instigators.c.planned_until.is_(None), instigators.c.planned_until < insert.excluded.planned_until)
    upsert = insert.on_conflict_do_update(
        index_elements=_KEY_COLUMNS, set_={"planned_until": insert.excluded.planned_until}, where=later
    )
    # The answer is not looked at: it makes SQLAlchemy send many rows in one statement.
    connection.execute(upsert.returning(instigators.c.name), rows)


def _insert(connection: sa.Connection) -> Any:
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(instigators)


def _locked(connection: sa.Connection, key: InstigatorKey) -> sa.Row[Any]:
    """Return a state's row, made if need be, that nobody else changes before this transaction ends."""
    connection.execute(_insert(connection).values(_key_values(key)).on_conflict_do_nothing())
    return connection.execute(sa.select(instigators).where(*_is(key)).with_for_update()).one()


def _key_values(key: InstigatorKey) -> dict[str, str]:
    return {"location": key.location, "kind": key.kind.value, "name": key.name}


def _is(key: InstigatorKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        instigators.c.location == key.location,
        instigators.c.kind == key.kind.value,
        instigators.c.name == key.name,
    )


def _state_of(row: Any) -> InstigatorState:
    return InstigatorState(
        key=InstigatorKey(row.location, InstigatorKind(row.kind), row.name),
        status=None if row.status is None else InstigatorStatus(row.status),
        started_at=as_utc(row.started_at),
        planned_until=as_utc(row.planned_until),
        last_tick_ended_at=as_utc(row.last_tick_ended_at),
        last_run_key=row.last_run_key,
        cursor=row.cursor,
        version=row.version,
    )
