"""The messages of the events that storage itself writes: a run's start and end, a step's start.

What steps themselves say is worded in execution/.
"""

from __future__ import annotations

from orchord.events import EventType
from orchord.runs import RunStatus

RUN_START = "Run started."
STEP_START = "Step started."
STEP_RESTARTED = "Step started again."

END_EVENTS = {
    RunStatus.SUCCESS: (EventType.RUN_SUCCESS, 20, "Run succeeded."),
    RunStatus.FAILURE: (EventType.RUN_FAILURE, 40, "Run failed."),
    RunStatus.CANCELED: (EventType.RUN_CANCELED, 30, "Run canceled."),
}


def step_start(attempt: int) -> tuple[str, str]:
    """Return the event type and message with which an attempt at a step begins."""
    if attempt == 1:
        return EventType.STEP_START.value, STEP_START
    return EventType.STEP_RESTARTED.value, STEP_RESTARTED
