"""The end of ticks: their runs, asset events, rows and cursors in one transaction, once, by whoever holds their token.

Many ticks end by as many statements as one does. How a tick is claimed is tick_store.py; how it is evaluated is the
tick workers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from orchord.storage.asset_store import insert_asset_events
from orchord.storage.encoding import as_utc, clean_text, encode_error, json_text
from orchord.storage.instigator_store import upsert_states
from orchord.storage.run_rows import ids_by_idempotency_key, insert_runs, stored_key
from orchord.storage.schema import ticks
from orchord.storage.tick_rows import tick_of
from orchord.storage.values import TickEnd, TickFinished
from orchord.ticks import Tick, TickStatus


def end_ticks(connection: sa.Connection, ends: Sequence[TickEnd]) -> list[TickFinished]:
    """End ticks within a transaction, but for those that their token no longer holds; answer in the order given."""
    held = _locked(connection, ends)
    ending = [end for end in ends if (tick := held.get(end.tick_id)) is not None and _holds(tick, end)]
    real = [end for end in ending if not held[end.tick_id].is_dry_run]
    new = insert_runs(connection, [run for end in real for run in end.runs])
    insert_asset_events(connection, "", [event for end in real for event in end.events])
    # Those that ended already by this very end: the answer to the first try was lost with its connection.
    before = [end for end in ends if (tick := held.get(end.tick_id)) is not None and _has_ended_by(tick, end)]
    created = {end.tick_id: tuple(run.run_id for run, _ in end.runs if run.run_id in new) for end in real}
    created |= {end.tick_id: held[end.tick_id].run_ids for end in before}
    statuses = {end.tick_id: end.status for end in real} | {end.tick_id: held[end.tick_id].status for end in before}
    made_before = _made_before(connection, [*real, *before], created)
    results = {end.tick_id: TickFinished(True, status=end.status) for end in ending}
    for end in (*real, *before):
        results[end.tick_id] = _finished(end, statuses[end.tick_id], created[end.tick_id], made_before)
    _write_ticks(connection, [_row(end, results[end.tick_id]) for end in ending])
    upsert_states(connection, [(held[end.tick_id].key, _remembered(end)) for end in real])
    return [results.get(end.tick_id, TickFinished(False)) for end in ends]


def _locked(connection: sa.Connection, ends: Sequence[TickEnd]) -> dict[int, Tick]:
    """Return the ticks by id, locked in their order, so that nobody waits in a circle."""
    numbers = sorted({end.tick_id for end in ends})
    query = sa.select(ticks).where(ticks.c.tick_id.in_(numbers)).order_by(ticks.c.tick_id).with_for_update()
    return {row.tick_id: tick_of(row) for row in connection.execute(query)}


def _holds(tick: Tick, end: TickEnd) -> bool:
    return tick.token == end.token and tick.status is TickStatus.STARTED


def _has_ended_by(tick: Tick, end: TickEnd) -> bool:
    return tick.token == end.token and tick.status.is_final and tick.ended_at == as_utc(end.at)


def _made_before(
    connection: sa.Connection, ends: Sequence[TickEnd], created: dict[int, tuple[str, ...]]
) -> dict[str, str]:
    """Return the run ids of the keys whose runs were not created by these ends."""
    left_out = [run for end in ends for run, _ in end.runs if run.run_id not in created[end.tick_id]]
    return ids_by_idempotency_key(connection, sorted({key for run in left_out if (key := stored_key(run)) is not None}))


def _finished(end: TickEnd, status: TickStatus, created: tuple[str, ...], made_before: dict[str, str]) -> TickFinished:
    left_out = [run for run, _ in end.runs if run.run_id not in created]
    keys = {run.run_id: key for run in left_out if (key := stored_key(run)) is not None}
    existing = {
        run.run_key or "": made_before[keys[run.run_id]] for run in left_out if keys.get(run.run_id) in made_before
    }
    if status is TickStatus.SUCCESS and existing and not created and not end.events:
        status = TickStatus.SKIPPED
    return TickFinished(True, created, existing, status)


def _row(end: TickEnd, result: TickFinished) -> dict[str, Any]:
    data = dict(end.data)
    if result.existing:
        data["deduplicated"] = sorted(result.existing)
    reason = end.skip_reason
    if reason is None and result.status is TickStatus.SKIPPED and result.existing:
        reason = "Every run that was asked for was made by an earlier tick."
    return {
        "id": end.tick_id,
        "status": (result.status or end.status).value,
        "ended_at": end.at,
        "run_ids": json_text(result.created) if result.created else None,
        "skip_reason": None if reason is None else clean_text(reason),
        "cursor": None if end.cursor is None else clean_text(end.cursor),
        "error": encode_error(end.error),
        "data": json_text(data) if data else None,
    }


_WRITTEN = ("status", "ended_at", "run_ids", "skip_reason", "cursor", "error", "data")

_WRITE_ONE = (
    sa.update(ticks)
    .where(ticks.c.tick_id == sa.bindparam("id"))
    .values({name: sa.bindparam(name) for name in _WRITTEN})
)

# On PostgreSQL many updates by one statement: a round trip for each is what they would cost.
_WRITE_MANY = sa.text(
    "UPDATE ticks SET status = e.status, ended_at = e.ended_at, run_ids = e.run_ids, skip_reason = e.skip_reason, "
    "cursor = e.cursor, error = e.error, data = e.data "
    "FROM unnest(CAST(:id AS bigint[]), CAST(:status AS text[]), CAST(:ended_at AS timestamptz[]), "
    "CAST(:run_ids AS text[]), CAST(:skip_reason AS text[]), CAST(:cursor AS text[]), CAST(:error AS text[]), "
    "CAST(:data AS text[])) AS e(id, status, ended_at, run_ids, skip_reason, cursor, error, data) "
    "WHERE ticks.tick_id = e.id"
)


def _write_ticks(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_WRITE_MANY, {name: [row[name] for row in rows] for name in ("id", *_WRITTEN)})
    else:
        connection.execute(_WRITE_ONE, rows)


def _remembered(end: TickEnd) -> dict[str, Any]:
    values: dict[str, Any] = {"last_tick_ended_at": end.at}
    if end.status is TickStatus.FAILURE:
        return values
    if not end.keeps_cursor:
        values["cursor"] = None if end.cursor is None else clean_text(end.cursor)
    run_keys = [run.run_key for run, _ in end.runs if run.run_key is not None]
    if run_keys:
        values["last_run_key"] = clean_text(run_keys[-1])
    return values
