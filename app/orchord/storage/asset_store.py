"""What happened to assets: the latest materialization of each, its history, and reports from outside of runs.

Events of runs come here by the hot paths; the asset graph itself is in code locations' snapshots.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.errors import InvariantViolationError
from orchord.events import Event, EventType, StoredEvent
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, decode_data
from orchord.storage.event_store import event_values
from orchord.storage.failures import is_lock_timeout
from orchord.storage.postgres_hot_path import asset_gates, asset_gates_of
from orchord.storage.postgres_statements import ASSET_GATE_CLASS
from orchord.storage.schema import asset_events, assets, events

_KINDS = (EventType.ASSET_MATERIALIZATION, EventType.ASSET_OBSERVATION)


class AssetStore:
    """The asset events of one database. Keys are user strings: parts joined by ``/``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def latest(
        self, keys: Collection[str] | None = None, kind: EventType = EventType.ASSET_MATERIALIZATION
    ) -> dict[str, StoredEvent]:
        """Return the newest event of this kind for each key that has one; without keys, for every asset."""
        newest = assets.c.materialization_id if kind is EventType.ASSET_MATERIALIZATION else assets.c.observation_id
        query = sa.select(asset_events).join(assets, newest == asset_events.c.id)
        if keys is not None:
            query = query.where(assets.c.asset_key.in_(list(keys)))
        return {row.asset_key: _stored(row) for row in self._database.rows(query)}

    def history(
        self,
        key: str,
        limit: int = 100,
        before_id: int | None = None,
        kinds: Collection[EventType] = (EventType.ASSET_MATERIALIZATION,),
    ) -> list[StoredEvent]:
        """Return an asset's events, newest first, at most ``limit``; for the next page give the last event's id."""
        query = sa.select(asset_events).where(
            asset_events.c.asset_key == key, asset_events.c.type.in_([kind.value for kind in kinds])
        )
        if before_id is not None:
            query = query.where(asset_events.c.id < before_id)
        rows = self._database.rows(query.order_by(asset_events.c.id.desc()).limit(limit))
        return [_stored(row) for row in rows]

    def after(
        self,
        keys: Collection[str],
        after_id: int = 0,
        limit: int = 100,
        kinds: Collection[EventType] = (EventType.ASSET_MATERIALIZATION,),
    ) -> list[StoredEvent]:
        """Return events of some assets in order, at most ``limit``; go on from the last one's id.

        No event of these assets with a smaller id appears later, so a cursor that goes on from its last id misses
        none and sees none twice. While a transaction that writes such events does not end, the answer is empty.
        """
        query = (
            sa.select(asset_events)
            .where(
                asset_events.c.asset_key.in_(sorted(set(keys))),
                asset_events.c.type.in_([kind.value for kind in kinds]),
                asset_events.c.id > after_id,
            )
            .order_by(asset_events.c.id)
            .limit(limit)
        )
        if not self._database.is_postgres:
            return [_stored(row) for row in self._database.rows(query)]
        return [_stored(row) for row in self._database.transact(lambda connection: _gated(connection, query, keys))]

    def known_keys(self) -> list[str]:
        """Return the keys of all assets that something has happened to, sorted."""
        query = sa.select(assets.c.asset_key).order_by(assets.c.asset_key)
        return [row.asset_key for row in self._database.rows(query)]

    def has(self, key: str) -> bool:
        """Return whether anything has happened to an asset."""
        return bool(self._database.rows(sa.select(assets.c.asset_key).where(assets.c.asset_key == key)))

    def report(self, event: Event) -> StoredEvent:
        """Store a materialization or observation that no run made; return it with its id. Its run id is empty."""
        if event.asset_key is None or event.type not in _KINDS:
            raise InvariantViolationError(
                f"An event of type {event.type} for asset {event.asset_key!r} cannot be reported. "
                "Report an ASSET_MATERIALIZATION or ASSET_OBSERVATION with its asset key."
            )
        (event_id,) = self._database.transact(lambda connection: insert_asset_events(connection, "", [event]))
        return StoredEvent(event_id, "", event)


def insert_asset_events(connection: sa.Connection, run_id: str, happened: Sequence[Event]) -> list[int]:
    """Insert materializations and observations of no run, or of one, within a transaction; return their ids."""
    if not happened:
        return []
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    if connection.dialect.name == "postgresql":
        connection.execute(_PASS_GATES, {"gate_class": ASSET_GATE_CLASS, "gates": asset_gates_of(happened)})
    ids = []
    newest: dict[tuple[str, str], int] = {}
    for event in happened:
        values = event_values(run_id, event)
        event_id = int(connection.execute(sa.insert(events).values(values).returning(events.c.id)).scalar_one())
        copied = {name: value for name, value in values.items() if name in asset_events.c}
        connection.execute(sa.insert(asset_events).values({**copied, "id": event_id}))
        column = "materialization_id" if event.type == EventType.ASSET_MATERIALIZATION else "observation_id"
        newest[(values["asset_key"], column)] = event_id
        ids.append(event_id)
    # In the order of the keys, as everywhere: rows of assets are locked by it.
    for (key, column), event_id in sorted(newest.items()):
        upsert = insert(assets).values({"asset_key": key, column: event_id})
        latest = {column: upsert.excluded[column]}
        newer = sa.or_(assets.c[column].is_(None), assets.c[column] < upsert.excluded[column])
        connection.execute(upsert.on_conflict_do_update(index_elements=["asset_key"], set_=latest, where=newer))
    return ids


_PASS_GATES = sa.text("SELECT count(pg_advisory_xact_lock_shared(:gate_class, g)) FROM unnest(:gates) AS g")
_CLOSE_GATES = sa.text("SELECT count(pg_advisory_xact_lock(:gate_class, g)) FROM unnest(:gates) AS g")
# Writers wait behind a reader that waits, so it does not wait long for one that hangs.
_GATE_TIMEOUT = sa.text("SET LOCAL lock_timeout = '1s'")


def _gated(connection: sa.Connection, query: sa.Select[Any], keys: Collection[str]) -> Sequence[sa.Row[Any]]:
    """Read when nobody is between having got an event's id and its commit; why is in postgres_statements.py."""
    connection.execute(_GATE_TIMEOUT)
    try:
        connection.execute(_CLOSE_GATES, {"gate_class": ASSET_GATE_CLASS, "gates": asset_gates(keys)})
    except sa.exc.OperationalError as error:
        if not is_lock_timeout(error):
            raise
        return []
    return connection.execute(query).all()


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredEvent:
    moment = as_utc(row.timestamp)
    assert moment is not None
    data = decode_data(row.data)
    event = Event(
        row.type, moment, row.message, row.step_key, data=data, asset_key=row.asset_key, partition=row.partition
    )
    return StoredEvent(row.id, row.run_id, event)
