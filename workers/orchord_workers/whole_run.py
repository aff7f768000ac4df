"""A run that is one unit of work: all its steps in one process, each claimed and finished as any other step.

So a run whose process has died is taken over where it stopped, and its steps are fenced like those of chords.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence

from orchord.spi import (
    STEP_END_STATUSES,
    Attempt,
    AttemptStatus,
    Claim,
    ErrorInfo,
    Finish,
    Progress,
    RunStatus,
    Skip,
    SkipStep,
    Step,
    StepResult,
    run_in_process,
    utc_now,
)
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.persistence import patiently
from orchord_workers.step_runner import StepRunner, as_skips, failed_result, run_or_none

logger = logging.getLogger(__name__)


def run_whole(runner: StepRunner, run_id: str) -> None:
    """Carry out a run, or what is left of it, in this process."""
    run = run_or_none(runner.instance, run_id)
    if run is None or run.status.is_terminal:
        return
    context = runner.contexts.of(run)
    attempts = runner.instance.storage.attempts.of_run(run_id)
    if any(attempt.status is AttemptStatus.RUNNING for attempt in attempts):
        logger.info("Ignored a second copy of run %s: another process works on it", run_id)
        return
    if run.status is RunStatus.CANCELING:
        cancel_rest(runner, context)
        return
    sink = StorageSink(runner, context, attempts)
    if context.job is None or context.resolved is None:
        fail_first_step(context, sink, context.fault or ErrorInfo("JobNotFoundError", "the job cannot be loaded"))
        return
    with runner.interrupts.accepted(run_id):
        run_in_process(
            context.job,
            run,
            context.plan,
            context.resolved,
            runner.instance,
            sink,
            compute_logs=runner.instance.compute_log_manager,
            progress=progress_of(attempts),
        )
    if not sink.has_ended and runner.instance.storage.runs.get(run_id).status is RunStatus.CANCELING:
        cancel_rest(runner, context)


class StorageSink:
    """Writes a run in process down, step by step."""

    def __init__(self, runner: StepRunner, context: RunContext, attempts: Sequence[Attempt]) -> None:
        self._runner = runner
        self._run_id = context.run.run_id
        self._storage = runner.instance.storage
        self._token = ""
        self._retries = {key: retry for key, (_, retry) in progress_of(attempts).attempts.items()}
        self.has_ended = False

    def claim(self, step: Step, attempt: int) -> bool:
        """Claim an attempt; False when the run does not go on, or another process has the step."""
        self._token = secrets.token_hex(8)
        claim = Claim(
            run_id=self._run_id,
            step_key=step.key,
            attempt=attempt,
            retry_number=self._retries.get(step.key, -1) + 1,
            token=self._token,
            worker_id=self._runner.holder.worker_id,
            process_id=self._runner.holder.process_id,
            at=utc_now(),
        )
        return self._storage.attempts.claim(claim, want_run=False).claimed

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store how an attempt ended."""
        if result.status is AttemptStatus.UP_FOR_RETRY:
            self._retries[step.key] = self._retries.get(step.key, -1) + 1
        finish = Finish(
            run_id=self._run_id,
            step_key=step.key,
            attempt=attempt,
            token=self._token,
            status=result.status,
            at=utc_now(),
            outputs=result.outputs,
            events=result.events,
            error=result.error,
            skips=as_skips(skips),
            ends_run=ends_run,
        )
        stored = patiently(lambda: self._storage.attempts.finish(finish))
        self._note(stored.run_status)

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store steps that do not run."""
        ended = self._storage.attempts.record_skips(self._run_id, as_skips(skips), utc_now(), ends_run=ends_run)
        self._note(ended)

    def _note(self, status: RunStatus | None) -> None:
        if status is not None:
            self.has_ended = True
            self._runner.notify_end(self._run_id, status)


def progress_of(attempts: Sequence[Attempt]) -> Progress:
    """Return where a run stands by its stored attempts. An attempt that was lost is no retry."""
    latest = latest_attempts(attempts)
    open_attempts = {
        key: (attempt.attempt, attempt.retry_number - (attempt.status is AttemptStatus.LOST))
        for key, attempt in latest.items()
        if attempt.status not in STEP_END_STATUSES
    }
    return Progress(ends_of(latest.values()), open_attempts)


def fail_first_step(context: RunContext, sink: StorageSink, fault: ErrorInfo) -> None:
    """Fail a run that this worker's code cannot carry out, at its first step."""
    first, *others = context.plan.steps
    if sink.claim(first, 1):
        rest = tuple(
            SkipStep(step.key, AttemptStatus.UPSTREAM_FAILED, "not run, as the run could not begin") for step in others
        )
        sink.finish(first, 1, failed_result(first.key, fault, utc_now()), rest, ends_run=True)


def cancel_rest(runner: StepRunner, context: RunContext) -> None:
    """End a run that is being canceled: every step that has not ended will not run."""
    run_id = context.run.run_id
    attempts = runner.instance.storage.attempts.of_run(run_id)
    latest = latest_attempts(attempts)
    skips = []
    for step in context.plan.steps:
        attempt = latest.get(step.key)
        if attempt is None or attempt.status not in STEP_END_STATUSES:
            number = 1 if attempt is None else attempt.attempt + 1
            skips.append(Skip(step.key, AttemptStatus.CANCELED, "not run, as the run was canceled", number))
    ended = runner.instance.storage.attempts.record_skips(run_id, skips, utc_now(), ends_run=True)
    if ended is not None:
        runner.notify_end(run_id, ended)
