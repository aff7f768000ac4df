"""Events: what happened in a run, as values. Stored one row each, shown in the console, streamed over SSE.

Here live the event types and the Event struct. Who writes them: execution/ (step events), storage/ (run events).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec


class EventType(StrEnum):
    """The field's names for what can happen. A log record of user code is ``LOG``."""

    RUN_ENQUEUED = "RUN_ENQUEUED"
    RUN_DEQUEUED = "RUN_DEQUEUED"
    RUN_STARTING = "RUN_STARTING"
    RUN_START = "RUN_START"
    RUN_SUCCESS = "RUN_SUCCESS"
    RUN_FAILURE = "RUN_FAILURE"
    RUN_CANCELING = "RUN_CANCELING"
    RUN_CANCELED = "RUN_CANCELED"
    STEP_WORKER_STARTING = "STEP_WORKER_STARTING"
    STEP_WORKER_STARTED = "STEP_WORKER_STARTED"
    STEP_START = "STEP_START"
    STEP_INPUT = "STEP_INPUT"
    STEP_OUTPUT = "STEP_OUTPUT"
    STEP_SUCCESS = "STEP_SUCCESS"
    STEP_FAILURE = "STEP_FAILURE"
    STEP_SKIPPED = "STEP_SKIPPED"
    STEP_UP_FOR_RETRY = "STEP_UP_FOR_RETRY"
    STEP_RESTARTED = "STEP_RESTARTED"
    STEP_EXPECTATION_RESULT = "STEP_EXPECTATION_RESULT"
    RESOURCE_INIT_STARTED = "RESOURCE_INIT_STARTED"
    RESOURCE_INIT_SUCCESS = "RESOURCE_INIT_SUCCESS"
    RESOURCE_INIT_FAILURE = "RESOURCE_INIT_FAILURE"
    LOADED_INPUT = "LOADED_INPUT"
    HANDLED_OUTPUT = "HANDLED_OUTPUT"
    ASSET_MATERIALIZATION = "ASSET_MATERIALIZATION"
    ASSET_MATERIALIZATION_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
    ASSET_OBSERVATION = "ASSET_OBSERVATION"
    HOOK_COMPLETED = "HOOK_COMPLETED"
    HOOK_ERRORED = "HOOK_ERRORED"
    HOOK_SKIPPED = "HOOK_SKIPPED"
    ENGINE_EVENT = "ENGINE_EVENT"
    LOGS_CAPTURED = "LOGS_CAPTURED"
    LOG = "LOG"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened.

    ``data`` is JSON-able and already free of secrets. ``asset_key`` is set on asset events: the key's parts joined
    by ``/`` (``AssetKey.to_user_string()``). ``timestamp`` is aware UTC.
    """

    type: str
    timestamp: datetime
    message: str = ""
    step_key: str | None = None
    level: int = logging.INFO
    data: dict[str, Any] = {}
    asset_key: str | None = None
    partition: str | None = None


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: its class, its message, the user's traceback as text, and the error it came from."""

    cls_name: str
    message: str
    stack: str = ""
    cause: ErrorInfo | None = None

    def to_string(self) -> str:
        """Return the traceback as Python would print it."""
        text = self.stack or f"{self.cls_name}: {self.message}\n"
        if self.cause is not None:
            text = f"{self.cause.to_string()}\nThe above caused:\n\n{text}"
        return text


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as storage returns it: with its id (grows with time) and its run."""

    id: int
    run_id: str
    event: Event


def utc_now() -> datetime:
    """Return the time now, aware, in UTC. The one place that the product asks the clock for a date."""
    return datetime.now(UTC)
