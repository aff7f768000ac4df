"""How values become columns and come back: runs, attempts, events and errors, as JSON text by msgspec.

Shared by both engines' hot statements and by the stores. No SQL here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from orchord.events import ErrorInfo, Event, StoredEvent
from orchord.runs import Attempt, AttemptStatus, Run, RunStatus

_json = msgspec.json.Encoder()
_run_decoder = msgspec.json.Decoder(Run)
_error_decoder = msgspec.json.Decoder(ErrorInfo)
_outputs_decoder = msgspec.json.Decoder(tuple[str, ...])
_data_decoder = msgspec.json.Decoder(dict[str, Any])

# PostgreSQL's text holds no NUL, and rejects the whole statement for one; user code prints what it likes.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

# Rows among a run's tags that are not shown: a pool of its plan (its name follows), the pools of its first steps.
POOL_TAG = ".pool/"
FIRST_POOLS_TAG = ".first_pools"


def json_text(value: Any) -> str:
    """Encode a value as JSON text that every engine stores: NUL and lone surrogates become U+FFFD."""
    try:
        encoded = _json.encode(value)
    except UnicodeEncodeError:
        encoded = _json.encode(_without_surrogates(msgspec.to_builtins(value)))
    if b"\\u0000" in encoded:
        encoded = _ESCAPED_NUL.sub(rb"\1\\ufffd", encoded)
    return encoded.decode()


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_without_surrogates(item) for item in value]
    return value


def clean_text(text: str) -> str:
    """Return text without what PostgreSQL refuses."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def as_utc(value: datetime | str | None) -> datetime | None:
    """Return a stored time as aware UTC."""
    if value is None:
        return None
    return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


def encode_error(error: ErrorInfo | None) -> str | None:
    """Encode an error for its column."""
    return None if error is None else json_text(error)


def decode_error(text: str | None) -> ErrorInfo | None:
    """Decode an error's column."""
    return None if text is None else _error_decoder.decode(text)


def encode_outputs(outputs: Sequence[str]) -> str | None:
    """Encode the names of yielded outputs; the empty tuple is NULL."""
    return json_text(tuple(outputs)) if outputs else None


def indexed_tags(run: Run) -> dict[str, str]:
    """Return the tags by which a run is found: its own, and for the run queue what it has to do with pools."""
    if not run.pools:
        return run.tags
    first = {FIRST_POOLS_TAG: first_pools_value(run.blocking_pools)} if run.blocking_pools else {}
    return {**run.tags, **{POOL_TAG + pool: "" for pool in run.pools}, **first}


def first_pools_value(pools: Sequence[str]) -> str:
    """Return the value by which runs whose first steps need the same pools are found."""
    return json_text(tuple(pools))


def run_body(run: Run) -> str:
    """Encode what of a run never changes."""
    changing = {"error": None, "started_at": None, "ended_at": None, "updated_at": None, "waits_for": None}
    return json_text(msgspec.structs.replace(run, **changing))


def body_with_tags(body: str, tags: Mapping[str, str]) -> str:
    """Return a run's body with tags laid over its own."""
    run = _run_decoder.decode(body)
    return run_body(msgspec.structs.replace(run, tags={**run.tags, **tags}))


def run_values(run: Run) -> dict[str, Any]:
    """Return a new run as its row's columns."""
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "location": run.location,
        "status": run.status.value,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "updated_at": run.updated_at,
        "parent_run_id": run.parent_run_id,
        "root_run_id": run.root_run_id,
        "idempotency_key": run.idempotency_key,
        "body": run_body(run),
        "error": encode_error(run.error),
        "rank": -run.priority,
    }


def run_of(
    body: str,
    status: str,
    started_at: Any,
    ended_at: Any,
    updated_at: Any,
    error: str | None,
    waits_for: str | None = None,
) -> Run:
    """Build a run from its body and the columns that change."""
    return msgspec.structs.replace(
        _run_decoder.decode(body),
        status=RunStatus(status),
        started_at=as_utc(started_at),
        ended_at=as_utc(ended_at),
        updated_at=as_utc(updated_at),
        error=decode_error(error),
        waits_for=waits_for if status == RunStatus.QUEUED else None,
    )


def attempt_of(row: Any) -> Attempt:
    """Build an attempt from a row of its table."""
    return Attempt(
        run_id=row.run_id,
        step_key=row.step_key,
        attempt=row.attempt,
        status=AttemptStatus(row.status),
        retry_number=row.retry_number,
        token=row.token,
        worker_id=row.worker_id,
        process_id=row.process_id,
        started_at=as_utc(row.started_at),
        ended_at=as_utc(row.ended_at),
        retry_at=as_utc(row.retry_at),
        outputs=_outputs_decoder.decode(row.outputs) if row.outputs else (),
        error=decode_error(row.error),
        pool=row.pool,
    )


def decode_data(text: str | None) -> dict[str, Any]:
    """Decode an event's data."""
    return _data_decoder.decode(text) if text else {}


def stored_event_of(row: Any) -> StoredEvent:
    """Build a stored event from a row of the events table."""
    moment = as_utc(row.timestamp)
    assert moment is not None
    event = Event(
        type=row.type,
        timestamp=moment,
        message=row.message,
        step_key=row.step_key,
        level=row.level,
        data=decode_data(row.data),
        asset_key=row.asset_key,
        partition=row.partition,
    )
    return StoredEvent(row.id, row.run_id, event)
