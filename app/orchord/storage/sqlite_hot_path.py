"""The hot path on SQLite: the same rules as on PostgreSQL, as small statements under the one write lock.

The lock is taken when the transaction begins, so what is read first still holds when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchord.events import Event, EventType
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.storage import wording
from orchord.storage.database import Database
from orchord.storage.encoding import (
    clean_text,
    decode_error,
    encode_error,
    encode_outputs,
    indexed_tags,
    json_text,
    run_body,
    run_of,
)
from orchord.storage.hot_path import FAILED, RETRIABLE
from orchord.storage.schema import stamp
from orchord.storage.values import Claim, ClaimResult, Finish, FinishResult, Skip

_INSERT_EVENT = """INSERT INTO events (run_id, step_key, type, timestamp, level, message, data, asset_key, partition)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_ASSET_EVENT = """INSERT INTO asset_events
    (id, asset_key, type, run_id, step_key, timestamp, message, data, partition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_LATEST: dict[str, str] = {
    EventType.ASSET_MATERIALIZATION: """INSERT INTO assets (asset_key, materialization_id) VALUES (?, ?)
        ON CONFLICT (asset_key) DO UPDATE SET materialization_id = excluded.materialization_id""",
    EventType.ASSET_OBSERVATION: """INSERT INTO assets (asset_key, observation_id) VALUES (?, ?)
        ON CONFLICT (asset_key) DO UPDATE SET observation_id = excluded.observation_id""",
}
_INSERT_CHANGE = "INSERT INTO run_changes (run_id, status, at) VALUES (?, ?, ?)"
_INSERT_SKIP = """INSERT INTO attempts
    (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, ended_at)
    SELECT ?1, ?2, ?3, ?4, 0, '', '', 0, ?5
    WHERE NOT EXISTS (SELECT 1 FROM attempts
        WHERE run_id = ?1 AND step_key = ?2 AND status NOT IN ('UP_FOR_RETRY', 'LOST'))
    ON CONFLICT DO NOTHING"""
_UNFINISHED_STEP = """SELECT 1 FROM attempts AS a WHERE a.run_id = ? AND (a.status = 'RUNNING'
    OR a.status IN ('UP_FOR_RETRY', 'LOST') AND NOT EXISTS (SELECT 1 FROM attempts AS b
        WHERE b.run_id = a.run_id AND b.step_key = a.step_key AND b.attempt > a.attempt)) LIMIT 1"""


class SqliteHotPath:
    """The port HotPath over short transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, run: Run, events: Sequence[Event]) -> bool:
        """Insert a run with its tags and events."""
        times = [
            None if moment is None else stamp(moment)
            for moment in (run.created_at, run.started_at, run.ended_at, run.updated_at)
        ]
        row = (
            *(run.run_id, run.job_name, run.location, run.status.value),
            *times,
            *(run.parent_run_id, run.root_run_id, run.idempotency_key, run_body(run), encode_error(run.error)),
            -run.priority,
        )

        def work(connection: sa.Connection) -> bool:
            inserted = connection.exec_driver_sql(
                """INSERT INTO runs (run_id, job_name, location, status, created_at, started_at, ended_at, updated_at,
                    parent_run_id, root_run_id, idempotency_key, body, error, rank)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
                row,
            )
            if not inserted.rowcount:
                return False
            connection.exec_driver_sql(_INSERT_CHANGE, (run.run_id, run.status.value, stamp(run.created_at)))
            if found_by := indexed_tags(run):
                tags = [(run.run_id, clean_text(key), clean_text(value)) for key, value in found_by.items()]
                connection.exec_driver_sql("INSERT INTO run_tags (run_id, key, value) VALUES (?, ?, ?)", tags)
            _write_events(connection, run.run_id, events)
            return True

        return self._database.transact(work)

    def claim(self, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt as RUNNING when nothing forbids it."""
        return self._database.transact(lambda connection: _claim(connection, claim, want_run))

    def claim_within(self, connection: sa.Connection, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt as a part of a transaction."""
        return _claim(connection, claim, want_run)

    def finish(self, finish: Finish, again: bool) -> FinishResult:
        """End the attempt that the token holds. Here a finish that raised has surely not taken place."""

        def work(connection: sa.Connection) -> FinishResult:
            ended = connection.exec_driver_sql(
                """UPDATE attempts SET status = ?, outputs = ?, error = ?, retry_at = ?, ended_at = ?
                WHERE run_id = ? AND step_key = ? AND attempt = ? AND token = ? AND status = 'RUNNING'""",
                (
                    *(finish.status.value, encode_outputs(finish.outputs), encode_error(finish.error)),
                    *(None if finish.retry_at is None else stamp(finish.retry_at), stamp(finish.at)),
                    *(finish.run_id, finish.step_key, finish.attempt, finish.token),
                ),
            )
            if not ended.rowcount:
                return FinishResult(False)
            _write_events(connection, finish.run_id, finish.events)
            _write_skips(connection, finish.run_id, finish.skips, finish.at)
            next_ = None if finish.then_claim is None else _claim(connection, finish.then_claim, want_run=False)
            status = _end(connection, finish.run_id, finish.at) if finish.ends_run else None
            return FinishResult(True, status, next_ is not None and next_.claimed)

        return self._database.transact(work)

    def skip(self, run_id: str, skips: Sequence[Skip], at: datetime, ends_run: bool) -> RunStatus | None:
        """Record steps that do not run."""

        def work(connection: sa.Connection) -> RunStatus | None:
            if _status(connection, run_id) not in ("STARTING", "STARTED", "CANCELING"):
                return None
            _write_skips(connection, run_id, skips, at)
            return _end(connection, run_id, at) if ends_run else None

        return self._database.transact(work)

    def end(self, run_id: str, at: datetime) -> RunStatus | None:
        """End the run by what its attempts say."""
        return self._database.transact(lambda connection: _end(connection, run_id, at))

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events to a run."""
        self._database.transact(lambda connection: _write_events(connection, run_id, events))


def _status(connection: sa.Connection, run_id: str) -> str | None:
    found = connection.exec_driver_sql("SELECT status FROM runs WHERE run_id = ?", (run_id,)).scalar()
    return None if found is None else str(found)


def _claim(connection: sa.Connection, claim: Claim, want_run: bool) -> ClaimResult:
    status = _status(connection, claim.run_id)
    if status is None:
        return ClaimResult(False, None)
    rows = connection.exec_driver_sql(
        "SELECT attempt, status, token FROM attempts WHERE run_id = ? AND step_key = ? ORDER BY attempt DESC",
        (claim.run_id, claim.step_key),
    ).all()
    own = [row for row in rows if row.attempt == claim.attempt]
    standing = own[0] if own else rows[0] if rows else None
    existing = None if standing is None else AttemptStatus(standing.status)
    if own and own[0].token == claim.token and existing is AttemptStatus.RUNNING:
        return ClaimResult(True, RunStatus(status), None, _run(connection, claim.run_id) if want_run else None)
    if own or status not in ("STARTING", "STARTED") or any(row.status not in RETRIABLE for row in rows):
        return ClaimResult(False, RunStatus(status), existing)
    at = stamp(claim.at)
    if status == "STARTING":
        connection.exec_driver_sql(
            "UPDATE runs SET status = 'STARTED', started_at = ?, updated_at = ? WHERE run_id = ?",
            (at, at, claim.run_id),
        )
        connection.exec_driver_sql(_INSERT_CHANGE, (claim.run_id, "STARTED", at))
        _write_event(connection, claim.run_id, Event(EventType.RUN_START, claim.at, wording.RUN_START))
    connection.exec_driver_sql(
        """INSERT INTO attempts
        (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, started_at)
        VALUES (?, ?, ?, 'RUNNING', ?, ?, ?, ?, ?)""",
        (
            *(claim.run_id, claim.step_key, claim.attempt, claim.retry_number, claim.token),
            *(claim.worker_id, claim.process_id, at),
        ),
    )
    kind, text = wording.step_start(claim.attempt)
    _write_event(connection, claim.run_id, Event(kind, claim.at, text, claim.step_key))
    return ClaimResult(True, RunStatus.STARTED, None, _run(connection, claim.run_id) if want_run else None)


def _run(connection: sa.Connection, run_id: str) -> Run:
    row = connection.exec_driver_sql(
        "SELECT body, status, started_at, ended_at, updated_at, error FROM runs WHERE run_id = ?", (run_id,)
    ).one()
    return run_of(*row)


def _end(connection: sa.Connection, run_id: str, at: datetime) -> RunStatus | None:
    row = connection.exec_driver_sql("SELECT status, error FROM runs WHERE run_id = ?", (run_id,)).first()
    if row is None or row.status not in ("STARTING", "STARTED", "CANCELING"):
        return None
    error = decode_error(row.error)
    if row.status == "CANCELING":
        final = RunStatus.CANCELED if error is None else RunStatus.FAILURE
    elif connection.exec_driver_sql(_UNFINISHED_STEP, (run_id,)).first() is not None:
        return None
    else:
        failed = connection.exec_driver_sql(
            "SELECT 1 FROM attempts WHERE run_id = ? AND status IN (?, ?) LIMIT 1",
            (run_id, *(status.value for status in FAILED)),
        ).first()
        final = RunStatus.FAILURE if failed is not None else RunStatus.SUCCESS
    moment = stamp(at)
    connection.exec_driver_sql(
        "UPDATE runs SET status = ?, ended_at = ?, updated_at = ? WHERE run_id = ?",
        (final.value, moment, moment, run_id),
    )
    connection.exec_driver_sql(
        "UPDATE attempts SET status = 'CANCELED', ended_at = ? WHERE run_id = ? AND status = 'RUNNING'",
        (moment, run_id),
    )
    connection.exec_driver_sql(_INSERT_CHANGE, (run_id, final.value, moment))
    _write_event(connection, run_id, wording.end_event(final, error, at))
    return final


def _write_skips(connection: sa.Connection, run_id: str, skips: Sequence[Skip], at: datetime) -> None:
    for skip in skips:
        row = (run_id, skip.step_key, skip.attempt, skip.status.value, stamp(at))
        if connection.exec_driver_sql(_INSERT_SKIP, row).rowcount:
            data = {"status": skip.status.value}
            event = Event(EventType.STEP_SKIPPED, at, skip.reason, skip.step_key, data=data)
            _write_event(connection, run_id, event)


def _write_events(connection: sa.Connection, run_id: str, events: Sequence[Event]) -> None:
    plain = [event for event in events if event.asset_key is None]
    if len(plain) == len(events):
        if plain:
            connection.exec_driver_sql(_INSERT_EVENT, [_event_row(run_id, event) for event in plain])
        return
    for event in events:
        _write_event(connection, run_id, event)


def _write_event(connection: sa.Connection, run_id: str, event: Event) -> None:
    row = _event_row(run_id, event)
    event_id = connection.exec_driver_sql(_INSERT_EVENT, row).lastrowid
    latest = None if event.asset_key is None else _LATEST.get(event.type)
    if latest is not None:
        _, step_key, kind, at, _, message, data, asset_key, partition = row
        copy = (event_id, asset_key, kind, run_id, step_key, at, message, data, partition)
        connection.exec_driver_sql(_INSERT_ASSET_EVENT, copy)
        connection.exec_driver_sql(latest, (asset_key, event_id))


def _event_row(run_id: str, event: Event) -> tuple[Any, ...]:
    return (
        run_id,
        event.step_key,
        str(event.type),
        stamp(event.timestamp),
        event.level,
        clean_text(event.message),
        json_text(event.data) if event.data else None,
        event.asset_key,
        event.partition,
    )
