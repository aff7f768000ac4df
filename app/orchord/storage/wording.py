"""The messages of the events that storage itself writes: a run's start and end, a step's start.

What steps themselves say is worded in execution/.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchord.events import ErrorInfo, Event, EventType
from orchord.runs import RunStatus

RUN_START = "Run started."
RUN_FAILED_BY = "Run failed: "
STEP_START = "Step started."
STEP_RESTARTED = "Step started again."

END_EVENTS = {
    RunStatus.SUCCESS: (EventType.RUN_SUCCESS, 20, "Run succeeded."),
    RunStatus.FAILURE: (EventType.RUN_FAILURE, 40, "Run failed."),
    RunStatus.CANCELED: (EventType.RUN_CANCELED, 30, "Run canceled."),
}


def end_event(status: RunStatus, error: ErrorInfo | None, at: datetime) -> Event:
    """Return the event with which a run ends; a failed run's names the error that it failed by, if there is one."""
    kind, level, text = END_EVENTS[status]
    if error is None or status is not RunStatus.FAILURE:
        return Event(kind, at, text, level=level)
    return Event(kind, at, RUN_FAILED_BY + error.message, level=level, data={"error": error_data(error)})


def error_data(error: ErrorInfo) -> dict[str, Any]:
    """Return an error as an event's data holds it."""
    cause = None if error.cause is None else error_data(error.cause)
    return {"cls_name": error.cls_name, "message": error.message, "stack": error.stack, "cause": cause}


def step_start(attempt: int) -> tuple[str, str]:
    """Return the event type and message with which an attempt at a step begins."""
    if attempt == 1:
        return EventType.STEP_START.value, STEP_START
    return EventType.STEP_RESTARTED.value, STEP_RESTARTED
