"""The end of a tick: its runs, asset events, row and cursor in one transaction, once, by whoever holds its token.

How a tick is claimed is tick_store.py; how it is evaluated is the tick workers'.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from orchord.storage.asset_store import insert_asset_events
from orchord.storage.encoding import as_utc, clean_text, encode_error, json_text
from orchord.storage.instigator_store import upsert_state
from orchord.storage.run_rows import ids_by_idempotency_key, insert_runs, stored_key
from orchord.storage.schema import ticks
from orchord.storage.tick_rows import tick_of
from orchord.storage.values import TickEnd, TickFinished
from orchord.ticks import Tick, TickStatus


def end_tick(connection: sa.Connection, end: TickEnd) -> TickFinished:
    """End a tick within a transaction, or do nothing when the token no longer holds it."""
    tick = _locked(connection, end.tick_id)
    if tick is None or tick.token != end.token:
        return TickFinished(False)
    if tick.status is not TickStatus.STARTED:
        ours = tick.status.is_final and tick.ended_at == as_utc(end.at)
        # The answer to the first try was lost with its connection.
        return _finished(connection, end, tick.status, tick.run_ids) if ours else TickFinished(False)
    if tick.is_dry_run:
        _write_tick(connection, end, TickFinished(True, status=end.status))
        return TickFinished(True, status=end.status)
    new = insert_runs(connection, end.runs)
    insert_asset_events(connection, "", end.events)
    result = _finished(connection, end, end.status, tuple(run.run_id for run, _ in end.runs if run.run_id in new))
    _write_tick(connection, end, result)
    upsert_state(connection, tick.key, _remembered(end))
    return result


def _locked(connection: sa.Connection, tick_id: int) -> Tick | None:
    row = connection.execute(sa.select(ticks).where(ticks.c.tick_id == tick_id).with_for_update()).first()
    return None if row is None else tick_of(row)


def _finished(connection: sa.Connection, end: TickEnd, status: TickStatus, created: tuple[str, ...]) -> TickFinished:
    left_out = [run for run, _ in end.runs if run.run_id not in created]
    keys = {run.run_id: key for run in left_out if (key := stored_key(run)) is not None}
    ids = ids_by_idempotency_key(connection, sorted(set(keys.values())))
    existing = {run.run_key or "": ids[keys[run.run_id]] for run in left_out if keys.get(run.run_id) in ids}
    if status is TickStatus.SUCCESS and existing and not created and not end.events:
        status = TickStatus.SKIPPED
    return TickFinished(True, created, existing, status)


def _write_tick(connection: sa.Connection, end: TickEnd, result: TickFinished) -> None:
    data = dict(end.data)
    if result.existing:
        data["deduplicated"] = sorted(result.existing)
    reason = end.skip_reason
    if reason is None and result.status is TickStatus.SKIPPED and result.existing:
        reason = "Every run that was asked for was made by an earlier tick."
    values: dict[str, Any] = {
        "status": (result.status or end.status).value,
        "ended_at": end.at,
        "run_ids": json_text(result.created) if result.created else None,
        "skip_reason": None if reason is None else clean_text(reason),
        "cursor": None if end.cursor is None else clean_text(end.cursor),
        "error": encode_error(end.error),
        "data": json_text(data) if data else None,
    }
    connection.execute(sa.update(ticks).where(ticks.c.tick_id == end.tick_id).values(values))


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
