"""Ends of attempts whose process was ended from outside: worded here, stored with the dead process's own token.

Attempts that were merely lost, and run again, are the mender's (mending.py); ends by the user's code, step.py's.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from orchord.spi import (
    Attempt,
    AttemptStatus,
    ErrorInfo,
    Event,
    EventType,
    Finish,
    RunMachine,
    Step,
    StepMessage,
    StepResult,
    StepTimeoutError,
    retry_delay_seconds,
    timeout_message,
    utc_now,
)
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.persistence import finish_patiently
from orchord_workers.step_runner import StepRunner, Work, failed_result


def timed_out_result(step: Step, retry_number: int) -> StepResult:
    """Return the result of an attempt whose process was ended because its step did not stop at its time limit."""
    message = timeout_message(step.key, step.timeout_seconds or 0.0)
    message += " It did not stop when it was told to, so its process was ended; its worker's log shows where it stood."
    error = ErrorInfo(StepTimeoutError.__name__, message)
    delay = retry_delay_seconds(StepTimeoutError(message), step.retry, retry_number)
    if delay is None:
        return failed_result(step.key, error, utc_now())
    event = Event(
        EventType.STEP_UP_FOR_RETRY,
        utc_now(),
        f"Step '{step.key}' is tried again {f'in {delay:.3g} s' if delay else 'at once'}: {error.message}",
        step.key,
        logging.WARNING,
        {"error": {"cls_name": error.cls_name, "message": message}, "seconds_to_wait": delay},
    )
    return StepResult(AttemptStatus.UP_FOR_RETRY, (), (event,), error, retry_delay_seconds=delay)


def end_attempt(runner: StepRunner, context: RunContext, attempt: Attempt, result: StepResult) -> None:
    """Store how an attempt ended whose process is gone, and what follows from it."""
    message = StepMessage(attempt.run_id, attempt.step_key, attempt.attempt, attempt.retry_number)
    attempts = runner.instance.storage.attempts.of_run(attempt.run_id)
    machine, _ = RunMachine.resume(context.plan, context.run.inherited, ends_of(latest_attempts(attempts).values()))
    parts = tuple(machine.parts_for(attempt.step_key).values())
    runner.finish(context, Work(message, parts, attempt.token), result)


def end_attempt_alone(runner: StepRunner, attempt: Attempt, result: StepResult) -> None:
    """Store how an attempt ended in a run that is one unit of work: whoever takes the run over goes on from there."""
    now = utc_now()
    retries = result.status is AttemptStatus.UP_FOR_RETRY
    finish = Finish(
        run_id=attempt.run_id,
        step_key=attempt.step_key,
        attempt=attempt.attempt,
        token=attempt.token,
        status=result.status,
        at=now,
        events=result.events,
        error=result.error,
        retry_at=now + timedelta(seconds=result.retry_delay_seconds or 0.0) if retries else None,
    )
    finish_patiently(runner.instance.storage, finish)
