"""Ticks as rows: how they are made, many in one statement, and how a row becomes a Tick again.

What may happen to a tick afterwards is tick_store.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.storage.encoding import as_utc, clean_text, decode_data, decode_error, json_text
from orchord.storage.schema import ticks
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus

# Ticks that the clock makes for a sensor: never a second one while the first is not evaluated.
CLOCK_PREFIX = "due:"

# One lock for whoever makes such ticks on PostgreSQL: 'TICK'. Both of two leaders at once would see no open tick.
_MAKING = 0x5449434B & 0x7FFFFFFF

_run_ids_decoder = msgspec.json.Decoder(tuple[str, ...])


def insert_ticks(connection: sa.Connection, new: Sequence[NewTick]) -> list[Tick]:
    """Insert ticks within a transaction; return those that are new.

    A tick whose key is there already is left out, and so is one by the clock while its lane has an open one.
    """
    wanted = _without_open_lanes(connection, new)
    if not wanted:
        return []
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = dialect(ticks).on_conflict_do_nothing().returning(*ticks.c)
    # In the order of the key, so that two processes that make the same ticks never wait for each other in a circle.
    rows = sorted((_values(tick) for tick in wanted), key=_by_key)
    made = [tick_of(row) for row in connection.execute(statement, rows)]
    order = {(tick.key, tick.tick_key): number for number, tick in enumerate(wanted)}
    return sorted(made, key=lambda tick: order[(tick.key, tick.tick_key)])


def is_open(rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition for ticks that have not ended, in the very words of their index: SQLite compares words."""
    return rows.c.status.in_([sa.literal_column("'PENDING'"), sa.literal_column("'STARTED'")])


def _by_key(values: dict[str, Any]) -> tuple[str, ...]:
    return (values["location"], values["kind"], values["name"], values["tick_key"])


def _without_open_lanes(connection: sa.Connection, new: Sequence[NewTick]) -> Sequence[NewTick]:
    if not any(_is_by_clock(tick) for tick in new):
        return new
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MAKING})
    by_clock = ticks.c.tick_key.startswith(CLOCK_PREFIX)
    found = sa.select(ticks.c.location, ticks.c.lane).where(is_open(ticks), ticks.c.lane.is_not(None), by_clock)
    busy = {tuple(row) for row in connection.execute(found)}
    wanted = []
    for tick in new:
        lane = (tick.key.location, tick.lane)
        if _is_by_clock(tick):
            if lane in busy:
                continue
            busy.add(lane)
        wanted.append(tick)
    return wanted


def _is_by_clock(tick: NewTick) -> bool:
    return tick.lane is not None and tick.tick_key.startswith(CLOCK_PREFIX)


def _values(tick: NewTick) -> dict[str, Any]:
    return {
        "location": tick.key.location,
        "kind": tick.key.kind.value,
        "name": tick.key.name,
        "tick_key": tick.tick_key,
        "lane": tick.lane,
        "status": TickStatus.PENDING.value,
        "is_dry_run": tick.is_dry_run,
        "planned_at": tick.planned_at,
        "time_limit_seconds": tick.time_limit_seconds,
        "payload": None if tick.payload is None else json_text(tick.payload),
        "cursor": None if tick.cursor is None else clean_text(tick.cursor),
    }


def tick_of(row: Any) -> Tick:
    """Build a tick from a row of its table."""
    planned_at = as_utc(row.planned_at)
    assert planned_at is not None
    return Tick(
        tick_id=row.tick_id,
        key=InstigatorKey(row.location, InstigatorKind(row.kind), row.name),
        tick_key=row.tick_key,
        status=TickStatus(row.status),
        planned_at=planned_at,
        time_limit_seconds=row.time_limit_seconds,
        lane=row.lane,
        is_dry_run=bool(row.is_dry_run),
        sent_at=as_utc(row.sent_at),
        started_at=as_utc(row.started_at),
        ended_at=as_utc(row.ended_at),
        tries=row.tries,
        token=row.token,
        worker_id=row.worker_id,
        payload=None if row.payload is None else decode_data(row.payload),
        run_ids=_run_ids_decoder.decode(row.run_ids) if row.run_ids else (),
        skip_reason=row.skip_reason,
        cursor=row.cursor,
        error=decode_error(row.error),
        data=decode_data(row.data),
    )
