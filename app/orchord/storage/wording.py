"""The messages of the events that storage itself writes: a run's start and end, a step's start and skip."""

from __future__ import annotations

from orchord.events import EventType
from orchord.runs import RunStatus

RUN_START = "Run started."
STEP_START = "Step started."
STEP_RESTARTED = "Step started again."
RUN_CLOSED_ATTEMPT = "Canceled, as the run ended."

END_EVENTS = {
    RunStatus.SUCCESS: (EventType.RUN_SUCCESS, 20, "Run succeeded."),
    RunStatus.FAILURE: (EventType.RUN_FAILURE, 40, "Run failed."),
    RunStatus.CANCELED: (EventType.RUN_CANCELED, 30, "Run canceled."),
}
