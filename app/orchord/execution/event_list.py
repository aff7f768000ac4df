"""A sink for in-process runs that keeps what happened in lists, for a result in this process.

The worker's sink, which writes to storage, is orchord_workers'.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.execution.in_process import RunEnd, RunRecorder
from orchord.execution.request import StepResult
from orchord.plan.machine import SkipStep
from orchord.plan.model import Step
from orchord.runs import AttemptStatus, Run, RunStatus

_RUN_END_EVENTS = {
    RunStatus.SUCCESS: (EventType.RUN_SUCCESS, "succeeded", logging.INFO),
    RunStatus.FAILURE: (EventType.RUN_FAILURE, "failed", logging.ERROR),
    RunStatus.CANCELED: (EventType.RUN_CANCELED, "was canceled", logging.ERROR),
}


class EventList:
    """Keeps the events and values of one run, and tells a second sink if there is one.

    Attributes:
        events: everything that happened, in order.
        values: the value of each output, by step key and output name.
    """

    def __init__(self, run: Run, recorder: RunRecorder | None = None) -> None:
        self.run = run
        self.recorder = recorder
        self.values: dict[tuple[str, str], Any] = {}
        self.events: list[Event] = [
            Event(EventType.RUN_START, utc_now(), f"Started execution of run for '{run.job_name}'")
        ]
        self._failed: list[str] = []
        self._error: ErrorInfo | None = None

    def claim(self, step: Step, attempt: int) -> bool:
        """Note that an attempt starts."""
        if self.recorder is not None and not self.recorder.claim(step, attempt):
            return False
        type_, verb = (EventType.STEP_START, "Started") if attempt == 1 else (EventType.STEP_RESTARTED, "Restarted")
        message = f"{verb} execution of step '{step.key}'" + (f" (attempt {attempt})" if attempt > 1 else "")
        self.events.append(Event(type_, utc_now(), message, step.key, data={"attempt": attempt}))
        return True

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Note how an attempt ended."""
        self.events += result.events
        if result.status in (AttemptStatus.FAILURE, AttemptStatus.CANCELED):
            self._failed.append(step.key)
            self._error = self._error or result.error
        for name in result.outputs:
            if name in result.values:
                self.values[step.key, name] = result.values[name]
        self._note(skips)
        if self.recorder is not None:
            self.recorder.finish(step, attempt, result, skips, ends_run)

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Note steps that are skipped."""
        self._note(skips)
        if self.recorder is not None:
            self.recorder.skip(skips, ends_run)

    def _note(self, skips: Sequence[SkipStep]) -> None:
        for skip in skips:
            data = {"status": str(skip.status)}
            message = f"Step '{skip.step_key}' was {skip.reason}"
            self.events.append(Event(EventType.STEP_SKIPPED, utc_now(), message, skip.step_key, data=data))

    def ended(self, end: RunEnd) -> Run:
        """Note the end of the run, and return the run as it ended."""
        if self.recorder is not None:
            self.recorder.close(end)
        status = end.status or RunStatus.CANCELED
        self.events += end.events
        type_, verb, level = _RUN_END_EVENTS[status]
        message = f"Run for '{self.run.job_name}' {verb}"
        if self._failed:
            message += f". Steps that failed: {', '.join(self._failed)}"
        now = utc_now()
        self.events.append(Event(type_, now, message, level=level))
        return msgspec.structs.replace(self.run, status=status, ended_at=now, error=self._error)
