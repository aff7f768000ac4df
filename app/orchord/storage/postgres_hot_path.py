"""The hot path on PostgreSQL: parameters in, one statement, values out; and what a lost connection leaves to check.

The SQL is in postgres_statements.py, its rules too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchord.events import Event
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.storage import postgres_statements as sql
from orchord.storage import wording
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, encode_error, encode_outputs, indexed_tags, json_text, run_of, run_values
from orchord.storage.hot_path import RETRIABLE, plain_skips
from orchord.storage.schema import attempts, runs
from orchord.storage.values import Claim, ClaimResult, Finish, FinishResult, Skip


def gate_of(run_id: str) -> int:
    """Return the number of a run's gate. Runs that share one only wait for each other's readers for a moment."""
    return zlib.crc32(run_id.encode()) - 2**31


# Any number of assets shares these, so that nobody ever holds more locks. Writers do not wait for each other.
_ASSET_GATES = 64


def asset_gates_of(events: Iterable[Event]) -> list[int]:
    """Return the numbers of the gates of the assets that events are about, in the order in which they are taken."""
    return asset_gates(event.asset_key for event in events if event.asset_key is not None)


def asset_gates(keys: Iterable[str]) -> list[int]:
    """Return the numbers of assets' gates, each once, in the order in which they are taken."""
    return sorted({zlib.crc32(key.encode()) % _ASSET_GATES for key in keys})


# Sends a statement; the flag tells that an earlier try may have happened.
_Once = Callable[[str, Mapping[str, Any]], tuple[tuple[Any, ...] | None, bool]]


class PostgresHotPath:
    """The port HotPath over one-statement round trips."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, run: Run, events: Sequence[Event]) -> bool:
        """Insert a run; safe to send again, as its id then clashes with itself (``RunStore.create`` looks)."""
        parameters = {
            "gate": gate_of(run.run_id),
            **run_values(run),
            "tags": json_text(indexed_tags(run)),
            "events": json_text(events),
        }
        row, _ = self._database.once_or_again(sql.CREATE, parameters)
        return row is not None and row[0] == 1

    def claim(self, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt; sent again after a lost connection, a row with our own token counts as claimed."""
        return self._claim(claim, want_run, self._database.once_or_again)

    def claim_within(self, connection: sa.Connection, claim: Claim, want_run: bool) -> ClaimResult:
        """Insert the attempt as a part of a transaction."""

        def once(text: str, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...] | None, bool]:
            row = connection.exec_driver_sql(text, dict(parameters)).first()
            return (None if row is None else tuple(row)), False

        return self._claim(claim, want_run, once)

    def _claim(self, claim: Claim, want_run: bool, once: _Once) -> ClaimResult:
        parameters: dict[str, Any] = {
            "gate": gate_of(claim.run_id),
            "run_id": claim.run_id,
            "step_key": claim.step_key,
            "attempt": claim.attempt,
            "retry_number": claim.retry_number,
            "token": claim.token,
            "worker_id": claim.worker_id,
            "process_id": claim.process_id,
            "at": claim.at,
            "run_message": wording.RUN_START,
        }
        parameters["step_event"], parameters["step_message"] = wording.step_start(claim.attempt)
        text = sql.CLAIM_WITH_RUN if want_run else sql.CLAIM
        row, maybe_done = once(text, parameters)
        assert row is not None
        taken, started, status, existing, token = row[:5]
        if not taken and existing is None and status in ("STARTING", "STARTED"):
            # Another claim or the run's end was committed while this one waited for it: look at what stands now.
            row, _ = once(text, parameters)
            assert row is not None
            taken, started, status, existing, token = row[:5]
        claimed = bool(taken) or (existing == "RUNNING" and token == claim.token)
        if not claimed:
            return ClaimResult(False, _run_status(status), None if existing is None else AttemptStatus(existing))
        run = _started_run(row[5:], claim.at if started else None) if want_run else None
        return ClaimResult(True, RunStatus.STARTED if taken or maybe_done else _run_status(status), None, run)

    def finish(self, finish: Finish, again: bool) -> FinishResult:
        """End the attempt; sent again after a lost connection, a row that this finish wrote counts as accepted."""
        text = sql.finish_statement(
            with_events=bool(finish.events),
            with_assets=any(event.asset_key is not None for event in finish.events),
            with_skips=bool(finish.skips),
            ends_run=finish.ends_run,
            then_claims=finish.then_claim is not None,
        )
        parameters: dict[str, Any] = {
            "gate": gate_of(finish.run_id),
            "run_id": finish.run_id,
            "step_key": finish.step_key,
            "attempt": finish.attempt,
            "token": finish.token,
            "status": finish.status.value,
            "outputs": encode_outputs(finish.outputs),
            "error": encode_error(finish.error),
            "retry_at": finish.retry_at,
            "at": finish.at,
        }
        if finish.events:
            parameters |= {"events": json_text(finish.events), "asset_gates": asset_gates_of(finish.events)}
        if finish.skips:
            parameters["skips"] = json_text(plain_skips(finish.skips))
        if finish.then_claim is not None:
            parameters |= _next_parameters(finish.then_claim)
        row, maybe_done = self._database.once_or_again(text, parameters)
        assert row is not None
        if not row[0] and (maybe_done or again):
            return self._finished_before(finish)
        status = _run_status(row[1])
        if status is None and row[0] and finish.ends_run and finish.status not in RETRIABLE:
            # Other steps were ending in the same moment, unseen by this statement: it is asked again, of what stands.
            status = self.end(finish.run_id, finish.at)
        return FinishResult(bool(row[0]), status, bool(row[2]))

    def skip(self, run_id: str, skips: Sequence[Skip], at: datetime, ends_run: bool) -> RunStatus | None:
        """Record steps that do not run; sent again, the rows that stand are left alone."""
        parameters = {
            "gate": gate_of(run_id),
            "run_id": run_id,
            "at": at,
            "skips": json_text(plain_skips(skips)),
        }
        status = self._ending(sql.skip_statement(ends_run=ends_run), parameters, ends_run=ends_run)
        return self.end(run_id, at) if ends_run and status is None else status

    def end(self, run_id: str, at: datetime) -> RunStatus | None:
        """End the run; sent again after a lost connection, an end at this very time was ours."""
        return self._ending(sql.END, {"gate": gate_of(run_id), "run_id": run_id, "at": at}, ends_run=True)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add events. When a connection is lost in just this moment they can be stored twice, never not at all."""
        text = sql.append_statement(with_assets=any(event.asset_key is not None for event in events))
        parameters = {
            "gate": gate_of(run_id),
            "run_id": run_id,
            "events": json_text(events),
            "asset_gates": asset_gates_of(events),
        }
        self._database.once_or_again(text, parameters)

    def _ending(self, text: str, parameters: Mapping[str, Any], *, ends_run: bool) -> RunStatus | None:
        row, maybe_done = self._database.once_or_again(text, parameters)
        status = _run_status(row[0]) if row is not None else None
        if status is None and maybe_done and ends_run:
            return self._ended_before(parameters["run_id"], parameters["at"])
        return status

    def _ended_before(self, run_id: str, at: datetime) -> RunStatus | None:
        rows = self._database.rows(sa.select(runs.c.status, runs.c.ended_at).where(runs.c.run_id == run_id))
        return RunStatus(rows[0].status) if rows and rows[0].ended_at == at else None

    def _finished_before(self, finish: Finish) -> FinishResult:
        query = sa.select(attempts.c.token, attempts.c.status, attempts.c.ended_at).where(
            attempts.c.run_id == finish.run_id,
            attempts.c.step_key == finish.step_key,
            attempts.c.attempt == finish.attempt,
        )
        ours = (finish.token, finish.status.value, as_utc(finish.at))
        if tuple(tuple(row) for row in self._database.rows(query)) != (ours,):
            return FinishResult(False)
        status = None
        if finish.ends_run and finish.status not in RETRIABLE:
            status = self._ended_before(finish.run_id, finish.at) or self.end(finish.run_id, finish.at)
        return FinishResult(True, status, finish.then_claim is not None and self._holds(finish.then_claim))

    def _holds(self, claim: Claim) -> bool:
        query = sa.select(attempts.c.attempt).where(
            attempts.c.run_id == claim.run_id,
            attempts.c.step_key == claim.step_key,
            attempts.c.attempt == claim.attempt,
            attempts.c.token == claim.token,
            attempts.c.status == AttemptStatus.RUNNING.value,
        )
        return bool(self._database.rows(query))


def _next_parameters(claim: Claim) -> dict[str, Any]:
    event, message = wording.step_start(claim.attempt)
    return {
        "next_step_key": claim.step_key,
        "next_attempt": claim.attempt,
        "next_retry_number": claim.retry_number,
        "next_token": claim.token,
        "next_worker_id": claim.worker_id,
        "next_process_id": claim.process_id,
        "next_at": claim.at,
        "next_event": event,
        "next_message": message,
    }


def _run_status(text: str | None) -> RunStatus | None:
    return None if text is None else RunStatus(text)


def _started_run(columns: Sequence[Any], started_now_at: datetime | None) -> Run:
    body, started_at, ended_at, updated_at, error = columns
    moved_at = started_now_at or started_at
    return run_of(body, RunStatus.STARTED.value, moved_at, ended_at, started_now_at or updated_at, error)
