"""What an executing process is asked to do, and what it answers: one attempt at one step, as values.

Carrying it out is step.py; who asks is a Celery task, an in-process run or a step container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchord.events import ErrorInfo, Event
from orchord.plan.model import OutputRef, Step
from orchord.runs import AttemptStatus, Run


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One attempt at one step.

    Attributes:
        run: the run that the step belongs to.
        step: the step.
        attempt: counts from 1.
        retry_number: counts the retries alone, from 0; what the user's code sees.
        missing: sources of fan-in inputs that were not yielded, and are left out of the list.
        may_retry: False makes a failure final, whatever the step's retry policy and code ask for.
    """

    run: Run
    step: Step
    attempt: int
    retry_number: int
    missing: tuple[OutputRef, ...] = ()
    may_retry: bool = True


@dataclass(frozen=True, slots=True)
class StepResult:
    """How an attempt ended.

    Attributes:
        status: SUCCESS, FAILURE, UP_FOR_RETRY or CANCELED.
        outputs: the names of the outputs that were yielded, in order.
        events: everything that happened, in order, without STEP_START.
        error: the error of a failed attempt, as data.
        retry_delay_seconds: how long to wait before the next attempt; set with UP_FOR_RETRY.
        exception: the user's own exception, for callers in this process.
        values: the values of the outputs, for callers in this process.
    """

    status: AttemptStatus
    outputs: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    error: ErrorInfo | None = None
    retry_delay_seconds: float | None = None
    exception: BaseException | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
