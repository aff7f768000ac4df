"""A run that is one unit of work: all its steps in one process, each claimed and finished as any other step.

So a run whose process has died is taken over where it stopped, and its steps are fenced like those of chords.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from orchord.spi import (
    STEP_END_STATUSES,
    Attempt,
    AttemptStatus,
    ErrorInfo,
    Finish,
    FinishResult,
    Progress,
    RunStatus,
    Skip,
    SkipStep,
    StoredSink,
    run_in_process,
    utc_now,
)
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.persistence import patiently
from orchord_workers.step_runner import StepRunner, failed_result, run_or_none

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
    sink = WorkerSink(runner, run_id, attempts)
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
    if sink.run_status is None and runner.instance.storage.runs.get(run_id).status is RunStatus.CANCELING:
        cancel_rest(runner, context)


class WorkerSink(StoredSink):
    """Writes a run in a pool child down, and tells of its end."""

    def __init__(self, runner: StepRunner, run_id: str, attempts: Sequence[Attempt]) -> None:
        super().__init__(
            runner.instance.storage,
            run_id,
            worker_id=runner.holder.worker_id,
            process_id=runner.holder.process_id,
            retries={key: retry + 1 for key, (_, retry) in progress_of(attempts).attempts.items()},
        )
        self._notify_end = runner.notify_end

    def store(self, finish: Finish) -> FinishResult:
        """Send one finish to storage, however long that takes."""
        return patiently(lambda: self.storage.attempts.finish(finish))

    def note_end(self, status: RunStatus | None) -> None:
        """Take note of the run's end, and tell those who wait for it."""
        super().note_end(status)
        if status is not None:
            self._notify_end(self.run_id, status)


def progress_of(attempts: Sequence[Attempt]) -> Progress:
    """Return where a run stands by its stored attempts. An attempt that was lost is no retry."""
    latest = latest_attempts(attempts)
    open_attempts = {
        key: (attempt.attempt, attempt.retry_number - (attempt.status is AttemptStatus.LOST))
        for key, attempt in latest.items()
        if attempt.status not in STEP_END_STATUSES
    }
    return Progress(ends_of(latest.values()), open_attempts)


def fail_first_step(context: RunContext, sink: WorkerSink, fault: ErrorInfo) -> None:
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
