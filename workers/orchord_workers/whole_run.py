"""A run that is one unit of work: all its steps in one process, each claimed and finished as any other step.

So a run whose process has died is taken over where it stopped, and its steps are fenced like those of chords.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from orchord.spi import (
    STEP_END_STATUSES,
    Attempt,
    AttemptStatus,
    ErrorInfo,
    ExecutionInterrupted,
    Executor,
    ExecutorFailedError,
    Finish,
    FinishResult,
    InProcessExecutor,
    Progress,
    RunStatus,
    RunSurroundings,
    SkipStep,
    Step,
    StepResult,
    StoredSink,
    error_info,
    executor_of,
    run_by_executor,
    run_in_process,
    utc_now,
)
from orchord_workers.canceling import cancel_rest
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.persistence import finish_patiently, patiently
from orchord_workers.step_runner import StepRunner, canceled_result, failed_result, longest_seconds, run_or_none

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


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
        end_canceled(runner, context)
        return
    sink = WorkerSink(runner, run_id, attempts)
    if context.job is None or context.resolved is None:
        fault = context.fault or ErrorInfo("JobNotFoundError", "the job cannot be loaded")
        fail_what_is_left(context, sink, fault, attempts)
        return
    try:
        executor = executor_of(context.job, run, context.plan, runner.instance)
    except Exception as error:  # noqa: BLE001 - an executor of the user's own is made by the user's code
        fail_what_is_left(context, sink, error_info(error), attempts)
        return
    within = RunSurroundings(
        job=context.job,
        run=run,
        plan=context.plan,
        resolved=context.resolved,
        instance=runner.instance,
        sink=sink,
        compute_logs=runner.instance.compute_log_manager,
        emit_live=sink.live.note,
        progress=progress_of(attempts),
        owner=runner.holder.worker_id,
    )
    try:
        _carry_out(runner, executor, within)
    except ExecutionInterrupted:
        # It struck outside the user's code, perhaps between a claim and its step: then nobody works on that any more.
        sink.release(lambda step_key: canceled_result(step_key, utc_now()))
    except ExecutorFailedError as error:
        info = error.info
        sink.release(lambda step_key: failed_result(step_key, info, utc_now()))
        sink.note_end(patiently(lambda: runner.instance.storage.runs.fail(run_id, info, utc_now())))
    except Exception as error:  # boundary: our own faults
        fault = ErrorInfo(type(error).__name__, f"Orchord itself failed: {error}", traceback.format_exc())
        sink.release(lambda step_key: failed_result(step_key, fault, utc_now()))
        raise
    finally:
        # Of attempts that were released, or left to others, no end went through the sink.
        sink.live.close()
    if sink.run_status is None and runner.instance.storage.runs.get(run_id).status is RunStatus.CANCELING:
        end_canceled(runner, context)


def _carry_out(runner: StepRunner, executor: Executor, within: RunSurroundings) -> None:
    """Have the steps carried out: one after another here, or as the executor says."""
    run_id = within.run.run_id
    if type(executor) is InProcessExecutor and executor.retries_enabled:
        with runner.interrupts.accepted(run_id):
            run_in_process(
                within.job,
                within.run,
                within.plan,
                within.resolved,
                within.instance,
                within.sink,
                compute_logs=within.compute_logs,
                emit_live=within.emit_live,
                progress=within.progress,
            )
        return
    starters = runner.starters
    assert starters is not None, "a process that has the run's code can start others"
    with runner.interrupts.noticed(run_id) as stop:
        run_by_executor(executor, within, starters.of, stop)


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
        self._board = runner.interrupts.board
        self._slots = runner.slots
        self._gives_up = runner.gives_up

    def store(self, finish: Finish) -> FinishResult:
        """Send one finish to storage, however long that takes."""
        return finish_patiently(self.storage, finish)

    def insist(self, act: Callable[[], Answer]) -> Answer:
        """Ask until storage answers: a claim whose answer was lost may stand, and only its own token is let through."""
        return patiently(act)

    def claim(self, step: Step, attempt: int) -> bool:
        """Claim an attempt for this very process, and say on the worker's board by when it is to be done."""
        claimed = super().claim(step, attempt)
        if claimed:
            self.note_inline(step)
        return claimed

    def note_inline(self, step: Step) -> None:
        """Say by when this process is to be done: should it be ended, it is known that its time limit did so."""
        self._board.limit(longest_seconds(step))

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Store how an attempt ended; its time limit is over."""
        self._board.limit(None)
        if self._gives_up(self.run_id, step.key, attempt, result.status):
            return
        super().finish(step, attempt, result, skips, ends_run)
        self._slots.freed(step.pool)

    def release(self, result_of: Callable[[str], StepResult]) -> None:
        """End the attempt that this process still holds, if any, when it stops working on the run."""
        for attempt in patiently(lambda: self.storage.attempts.of_run(self.run_id)):
            own = (attempt.worker_id, attempt.process_id) == (self.worker_id, self._process_id)
            if own and attempt.status is AttemptStatus.RUNNING:
                result = result_of(attempt.step_key)
                if self._gives_up(self.run_id, attempt.step_key, attempt.attempt, result.status):
                    continue
                finish = Finish(
                    run_id=self.run_id,
                    step_key=attempt.step_key,
                    attempt=attempt.attempt,
                    token=attempt.token,
                    status=result.status,
                    at=utc_now(),
                    events=result.events,
                    error=result.error,
                )
                self.store(finish)

    def note_end(self, status: RunStatus | None) -> None:
        """Take note of the run's end, and tell those who wait for it."""
        super().note_end(status)
        if status is not None:
            if not self._board.is_asked_to_stop():
                # Resources are torn down after this, however long that takes: of a run that has ended there is
                # nothing more to stop. One that was told to stop is still held to it.
                self._board.clear()
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


def fail_what_is_left(context: RunContext, sink: WorkerSink, fault: ErrorInfo, attempts: Sequence[Attempt]) -> None:
    """Fail a run that this worker's code cannot carry out: at the steps that were begun, else at the first."""
    latest = latest_attempts(attempts)
    ended = ends_of(latest.values())
    open_steps = [step for step in context.plan.steps if step.key not in ended]
    failing = [step for step in open_steps if step.key in latest] or open_steps[:1]
    rest = tuple(
        SkipStep(step.key, AttemptStatus.UPSTREAM_FAILED, "not run, as this worker's code cannot carry out the run")
        for step in open_steps
        if step not in failing
    )
    if not failing:
        sink.skip((), ends_run=True)
    for step in failing:
        number = latest[step.key].attempt + 1 if step.key in latest else 1
        is_last = step is failing[-1]
        if sink.claim(step, number):
            result = failed_result(step.key, fault, utc_now())
            sink.finish(step, number, result, rest if is_last else (), ends_run=is_last)


def end_canceled(runner: StepRunner, context: RunContext) -> None:
    """End a run that is being canceled, and tell those who wait for it."""
    ended = cancel_rest(runner.instance.storage, context.run.run_id, context.plan)
    if ended is not None:
        runner.notify_end(context.run.run_id, ended)
