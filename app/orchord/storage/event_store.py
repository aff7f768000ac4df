"""The event log of runs: pages by id that a follower can trust, and inserts for what is not on the hot path.

Asset events are copied for asset_store.py by whoever inserts. The gate that makes pages trustworthy on PostgreSQL
is explained in postgres_statements.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from orchord.events import Event, StoredEvent
from orchord.storage.database import Database
from orchord.storage.encoding import clean_text, json_text, stored_event_of
from orchord.storage.postgres_hot_path import gate_of
from orchord.storage.postgres_statements import GATE_CLASS
from orchord.storage.schema import events as table


class EventStore:
    """The events of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        run_id: str,
        after_id: int = 0,
        limit: int = 1000,
        types: Collection[str] | None = None,
        step_key: str | None = None,
    ) -> list[StoredEvent]:
        """Return a run's events in order, at most ``limit``; for the next page give the last event's id.

        No event with a smaller id appears later, so a follower that goes on from its last id misses none.
        """
        query = sa.select(table).where(table.c.run_id == run_id, table.c.id > after_id)
        if types is not None:
            query = query.where(table.c.type.in_([str(kind) for kind in types]))
        if step_key is not None:
            query = query.where(table.c.step_key == step_key)
        query = query.order_by(table.c.id).limit(limit)
        if not self._database.is_postgres:
            return [stored_event_of(row) for row in self._database.rows(query)]

        def gated(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
            lock = sa.text("SELECT pg_advisory_xact_lock(:gate_class, :gate)")
            connection.execute(lock, {"gate_class": GATE_CLASS, "gate": gate_of(run_id)})
            return connection.execute(query).all()

        return [stored_event_of(row) for row in self._database.transact(gated)]


def insert_events(connection: sa.Connection, run_id: str, events: Sequence[Event]) -> None:
    """Insert events without assets within a transaction, through the run's gate."""
    if connection.dialect.name == "postgresql":
        lock = sa.text("SELECT pg_advisory_xact_lock_shared(:gate_class, :gate)")
        connection.execute(lock, {"gate_class": GATE_CLASS, "gate": gate_of(run_id)})
    connection.execute(sa.insert(table), [event_values(run_id, event) for event in events])


def event_values(run_id: str, event: Event) -> dict[str, Any]:
    """Return an event as a row of its table."""
    return {
        "run_id": run_id,
        "step_key": event.step_key,
        "type": str(event.type),
        "timestamp": event.timestamp,
        "level": event.level,
        "message": clean_text(event.message),
        "data": json_text(event.data) if event.data else None,
        "asset_key": event.asset_key,
        "partition": event.partition,
    }
