"""Runs as rows: many new ones in one transaction, with their tags, first events and what is told of them.

One run alone is created by the hot paths; what happens to it later is run_store.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.events import Event
from orchord.runs import Run
from orchord.storage.encoding import clean_text, indexed_tags, run_values
from orchord.storage.event_store import event_values
from orchord.storage.schema import events, run_changes, run_tags, runs

_KEYS_AT_ONCE = 500


def insert_runs(connection: sa.Connection, new: Sequence[tuple[Run, Sequence[Event]]]) -> set[str]:
    """Insert runs within a transaction; return the ids of those that are new.

    One whose idempotency key has made a run already, or comes a second time, is left out with all that is its own.
    """
    if not new:
        return set()
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(runs)
    # In the order of the keys, so that two transactions with the same keys never wait for each other in a circle.
    rows = sorted(
        ({**run_values(run), "idempotency_key": stored_key(run)} for run, _ in new),
        key=lambda row: row["idempotency_key"] or "",
    )
    created = {row.run_id for row in connection.execute(insert.on_conflict_do_nothing().returning(runs.c.run_id), rows)}
    ours = [(run, first) for run, first in new if run.run_id in created]
    _insert_many(connection, run_changes, [_change(run) for run, _ in ours])
    tags = [_tag(run, key, value) for run, _ in ours for key, value in indexed_tags(run).items()]
    _insert_many(connection, run_tags, tags)
    # No gate is needed: nobody can have asked for the events of a run that did not exist.
    _insert_many(connection, events, [event_values(run.run_id, event) for run, first in ours for event in first])
    return created


def stored_key(run: Run) -> str | None:
    """Return a run's idempotency key as it is stored: sensors' run keys are in it, and may hold anything."""
    return None if run.idempotency_key is None else clean_text(run.idempotency_key)


def ids_by_idempotency_key(connection: sa.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the run ids that idempotency keys have made."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        query = sa.select(runs.c.idempotency_key, runs.c.run_id).where(runs.c.idempotency_key.in_(some))
        found |= {row.idempotency_key: row.run_id for row in connection.execute(query)}
    return found


def _insert_many(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = sa.insert(table)
    if connection.dialect.name == "postgresql":
        # The answer is not looked at: it makes SQLAlchemy send many rows in one statement.
        statement = statement.returning(sa.literal(1))
    connection.execute(statement, rows)


def _change(run: Run) -> dict[str, Any]:
    return {"run_id": run.run_id, "status": run.status.value, "at": run.created_at}


def _tag(run: Run, key: str, value: str) -> dict[str, str]:
    return {"run_id": run.run_id, "key": clean_text(key), "value": clean_text(value)}
