"""Ends of attempts whose process was ended from outside: worded here, stored with the dead process's own token.

Attempts that were merely lost, and run again, are the mender's (mending.py); ends by the user's code, step.py's.
"""

from __future__ import annotations

import logging
import signal
from datetime import timedelta

import msgspec

from orchord.spi import (
    Attempt,
    AttemptStatus,
    ErrorInfo,
    Event,
    EventType,
    Finish,
    Run,
    RunMachine,
    Step,
    StepMessage,
    StepResult,
    StepTimeoutError,
    executor_config,
    retries_enabled,
    retry_delay_seconds,
    timeout_message,
    utc_now,
)
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.persistence import finish_patiently
from orchord_workers.step_runner import StepRunner, Work, failed_result

# What the errors of attempts are called whose process or container is gone.
OUT_OF_MEMORY = "StepOutOfMemoryError"
CRASHED = "StepCrashedError"


def as_retried_in(run: Run, step: Step) -> Step:
    """Return a step with the retry policy that counts in a run: none where its executor is told to disable retries."""
    return step if retries_enabled(executor_config(run)) else msgspec.structs.replace(step, retry=None)


def timed_out_result(step: Step, retry_number: int) -> StepResult:
    """Return the result of an attempt whose process was ended because its step did not stop at its time limit."""
    message = timeout_message(step.key, step.timeout_seconds or 0.0)
    message += " It did not stop when it was told to, so its process was ended; its worker's log shows where it stood."
    return failed_or_retried(step, retry_number, ErrorInfo(StepTimeoutError.__name__, message))


def killed_for_memory_result(step: Step, retry_number: int, limit_bytes: int | None = None) -> StepResult:
    """Return the result of an attempt whose process or container the kernel killed for its memory."""
    limit = "" if limit_bytes is None else f" (limit {limit_bytes / 2**20:,.0f} MiB)"
    message = (
        f"Step '{step.key}' was killed by the kernel for its memory{limit}. Give its container more memory, or have "
        "the step hold less at once."
    )
    return failed_or_retried(step, retry_number, ErrorInfo(OUT_OF_MEMORY, message))


def crashed_result(
    step: Step, retry_number: int, *, exit_code: int | None, reason: str = "", tail: str = ""
) -> StepResult:
    """Return the result of an attempt whose process or container ended without storing an end.

    Args:
        step: The step.
        retry_number: How many retries it has had.
        exit_code: The exit code; negative: the signal that ended it; None: not known.
        reason: The platform's words, if it has any.
        tail: The last lines that it wrote, if they can be had.
    """
    how = _how_it_ended(exit_code) + (f" ({reason})" if reason else "")
    message = f"The process of step '{step.key}' {how} before the step had ended."
    if tail.strip():
        message += f" Its last lines:\n{tail.strip()[-4000:]}"
    return failed_or_retried(step, retry_number, ErrorInfo(CRASHED, message))


def failed_or_retried(step: Step, retry_number: int, error: ErrorInfo) -> StepResult:
    """Return the result of an attempt that failed from outside: its retry policy counts as for the user's code."""
    delay = retry_delay_seconds(RuntimeError(error.message), step.retry, retry_number)
    if delay is None:
        return failed_result(step.key, error, utc_now())
    first_line = error.message.partition("\n")[0]
    event = Event(
        EventType.STEP_UP_FOR_RETRY,
        utc_now(),
        f"Step '{step.key}' is tried again {f'in {delay:.3g} s' if delay else 'at once'}: {first_line}",
        step.key,
        logging.WARNING,
        {"error": {"cls_name": error.cls_name, "message": error.message}, "seconds_to_wait": delay},
    )
    return StepResult(AttemptStatus.UP_FOR_RETRY, (), (event,), error, retry_delay_seconds=delay)


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended"
    if exit_code < 0:
        try:
            return f"was ended by {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"was ended by signal {-exit_code}"
    return f"exited with code {exit_code}"


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
