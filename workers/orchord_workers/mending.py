"""What brings a run on when a message, a worker or the broker was lost: the database says what is due, and it is sent.

Used by the worker (a pool child has died: ``attempt_lost``) and by the monitor (anything else: ``mend``). Every act
here may be done twice, or while the work goes on well after all: claims are fenced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchord.spi import (
    EXECUTED_BY_TAG,
    Attempt,
    AttemptStatus,
    EndRun,
    ErrorInfo,
    NotFoundError,
    Part,
    Run,
    RunMachine,
    RunStatus,
    SkipStep,
    StartStep,
    Step,
    StepMessage,
    StepResult,
    executor_config,
    follow,
    gates_of,
    joins_of,
    runs_as_unit,
    utc_now,
)
from orchord_workers.contexts import RunContext
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.outside_ends import as_retried_in, end_attempt, end_attempt_alone, timed_out_result
from orchord_workers.step_runner import STOPPED, StepRunner, Work, canceled_result, failed_result
from orchord_workers.whole_run import end_canceled

# A step that takes its worker down with it is tried this many times in all.
MOST_LOST_ATTEMPTS = 3
# What the errors of lost attempts are called: of the second kind no step is given up.
LOST = "AttemptLost"
RETRY_GRACE = timedelta(seconds=2)
UNDER_WAY = (RunStatus.STARTING, RunStatus.STARTED)


class ProcessEnd(StrEnum):
    """Why a pool child is gone, as its parent reports it."""

    DIED = "died"
    STOPPED = "stopped"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True)
class Mended:
    """What a look at a run came to: how many messages were sent, and when something last happened in the run."""

    sent: int
    newest: datetime | None


class Mender:
    """Sends again what was lost. Stands on a StepRunner, whose contexts may be without user code."""

    def __init__(self, runner: StepRunner) -> None:
        self.runner = runner
        self.storage = runner.instance.storage

    def process_lost(self, worker_id: str, process_id: int, run_id: str, why: ProcessEnd = ProcessEnd.DIED) -> None:
        """Take note that a pool child has died: every attempt that it held is ended, or lost and run again elsewhere.

        Args:
            worker_id: The child's worker.
            process_id: The child.
            run_id: The run of the message that the child worked on, which it may not have claimed yet.
            why: What ended it, as far as its parent knows.
        """
        held = self.storage.attempts.running_of_process(worker_id, process_id)
        self.storage.pools.forget_process(worker_id, process_id)
        self.end_or_give_up(held, why)
        for held_run in dict.fromkeys(attempt.run_id for attempt in held):
            self.mend_run(held_run)
        if run_id not in {attempt.run_id for attempt in held}:
            self.mend_run(run_id)

    def attempts_lost(self, attempts: Sequence[Attempt], reason: str, *, counts: bool = True) -> None:
        """Take note that the processes that held these attempts have died, and have their steps run again.

        ``counts``: whether the step could be what killed them; it is given up after some such losses.
        """
        self.give_up(attempts, reason, counts=counts)
        for run_id in dict.fromkeys(attempt.run_id for attempt in attempts):
            self.mend_run(run_id)

    def give_up(self, attempts: Sequence[Attempt], reason: str, *, counts: bool = True) -> None:
        """Do what ``attempts_lost`` does, and send nothing: ``mend_run`` is to follow, here or elsewhere."""
        for attempt in attempts:
            if self.storage.runs.status(attempt.run_id) is RunStatus.CANCELING:
                self._end(attempt, canceled_result(attempt.step_key, utc_now()))
                continue
            kind = LOST if counts else STOPPED
            own = (attempt.run_id, attempt.step_key, attempt.attempt)
            # By its token: a container may have taken over, since it was read, what was only reserved then.
            self.storage.attempts.mark_lost(*own, utc_now(), reason, kind=kind, token=attempt.token)

    def end_with(self, attempts: Sequence[Attempt], result_of: Callable[[Step, Attempt], StepResult]) -> None:
        """End attempts whose process is gone by their steps' own doing, or as canceled in a run that is canceled.

        What follows is sent, except in runs that are one unit of work: for these ``mend_run`` is to follow.
        """
        for attempt in attempts:
            with contextlib.suppress(NotFoundError):
                context = self.runner.contexts.read(attempt.run_id)
                step = context.plan.by_key.get(attempt.step_key)
                if step is None:
                    continue
                is_canceling = self.storage.runs.status(attempt.run_id) is RunStatus.CANCELING
                retried = as_retried_in(context.run, step)
                ended = canceled_result(step.key, utc_now()) if is_canceling else result_of(retried, attempt)
                self._end(attempt, ended)

    def end_or_give_up(self, attempts: Sequence[Attempt], why: ProcessEnd) -> None:
        """End attempts whose process is gone, or give them up, by what ended it; ``mend_run`` is to follow."""
        lost = [one for one in attempts if why is not ProcessEnd.TIME_LIMIT or not self._end_timed_out(one)]
        if why is ProcessEnd.STOPPED:
            self.give_up(lost, "its worker was stopped", counts=False)
        else:
            self.give_up(lost, "the process that ran it died")

    def _end_timed_out(self, attempt: Attempt) -> bool:
        """End an attempt whose process its time limit has ended. False: its step has no limit, or the run is gone."""
        with contextlib.suppress(NotFoundError):
            context = self.runner.contexts.read(attempt.run_id)
            step = context.plan.by_key.get(attempt.step_key)
            if step is not None and step.timeout_seconds is not None:
                self._end(attempt, timed_out_result(as_retried_in(context.run, step), attempt.retry_number))
                return True
        return False

    def _end(self, attempt: Attempt, result: StepResult) -> None:
        with contextlib.suppress(NotFoundError):
            context = self.runner.contexts.read(attempt.run_id)
            if runs_as_unit(context.run.executor):
                end_attempt_alone(self.runner, attempt, result)
            else:
                end_attempt(self.runner, context, attempt, result)

    def end_canceled(self, run: Run) -> None:
        """End a run that is being canceled at once, whether or not its steps have stopped."""
        with contextlib.suppress(NotFoundError):
            end_canceled(self.runner, self.runner.contexts.of(run))

    def mend_run(self, run_id: str) -> None:
        """Mend a run, if it and its plan are still there."""
        with contextlib.suppress(NotFoundError):
            self.mend(self.runner.contexts.read(run_id))

    def mend(self, context: RunContext, *, quiet: timedelta = timedelta(0), sends: bool = True) -> Mended:
        """Send everything that is due in a run and not under way.

        Args:
            context: The run.
            quiet: Do nothing when something has happened in the run more recently than this.
            sends: Whether steps are sent. False where nobody would take them: messages would only pile up.
        """
        run = self.storage.runs.get(context.run.run_id)
        if run.status.is_terminal or EXECUTED_BY_TAG in run.tags:
            return Mended(0, run.ended_at)
        attempts = self.storage.attempts.of_run(run.run_id)
        newest = max((moment for attempt in attempts for moment in moments_of(attempt)), default=None)
        if newest is not None and utc_now() - newest < quiet:
            return Mended(0, newest)
        if run.status is RunStatus.CANCELING:
            if not any(attempt.status is AttemptStatus.RUNNING for attempt in attempts):
                end_canceled(self.runner, context)
            return Mended(0, newest)
        # Who waits for a slot of a pool is called when there is one, and needs no mending.
        waits = bool(run.pools) or bool(gates_of(executor_config(run), context.plan))
        waiting = {waiter.step_key for waiter in self.storage.pools.waiters_of_run(run.run_id)} if waits else set()
        if waiting:
            # An attempt that was lost has left its place.
            self.runner.slots.freed_in(run, context.plan)
        if runs_as_unit(run.executor):
            return Mended(self._mend_whole_run(context, attempts) if sends and not waiting else 0, newest)
        latest = latest_attempts(attempts)
        machine, commands = RunMachine.resume(context.plan, run.inherited, ends_of(latest.values()))
        sent = 0
        for command in commands:
            if isinstance(command, EndRun):
                self.runner.end_run(run.run_id)
                continue
            if isinstance(command, SkipStep):
                self.runner.end_without_running(context, command.step_key, command.status, command.reason)
            elif sends and command.step_key not in waiting:
                sent += self._send_if_idle(context, machine, command, attempts)
        return Mended(sent, newest)

    def restore_joins(self, context: RunContext) -> int:
        """Give the result backend again what it held of a run's joins. Returns how many parts that were.

        For when it may have lost that. A part that is there already is not counted twice.
        """
        run = self.storage.runs.get(context.run.run_id)
        is_sent_as_steps = not runs_as_unit(run.executor) and EXECUTED_BY_TAG not in run.tags
        if run.status not in UNDER_WAY or not is_sent_as_steps or not joins_of(context.plan):
            return 0
        # The sizes before the attempts are read: who ends a step from now on completes its join by itself.
        self.runner.canvas.prepare(run, context.plan)
        latest = latest_attempts(self.storage.attempts.of_run(run.run_id))
        ends = ends_of(latest.values())
        parts = {
            (join.target, join.source): join
            for key, end in ends.items()
            if key in context.plan.by_key
            for join in follow(context.plan, key, end, run.inherited).joins
            if join.target not in latest
        }
        for join in parts.values():
            completed = self.runner.canvas.return_part(run, join)
            if completed is not None:
                self.runner.canvas.send_body(run, context.plan, completed)
        return len(parts)

    def _send_if_idle(
        self, context: RunContext, machine: RunMachine, command: StartStep, attempts: list[Attempt]
    ) -> int:
        key = command.step_key
        of_step = sorted((a for a in attempts if a.step_key == key), key=lambda a: a.attempt)
        last = of_step[-1] if of_step else None
        parts = tuple(machine.parts_for(key).values())
        if last is None:
            self.runner.canvas.send_step(context.run, context.plan, StepMessage(context.run.run_id, key), parts)
            return 1
        if last.status is AttemptStatus.RUNNING or not is_due(last, utc_now()):
            return 0
        retry_number = last.retry_number + (1 if last.status is AttemptStatus.UP_FOR_RETRY else 0)
        message = StepMessage(context.run.run_id, key, last.attempt + 1, retry_number)
        lost = sum(was_lost(attempt) for attempt in of_step)
        if lost >= MOST_LOST_ATTEMPTS:
            self._fail_deadly_step(context, message, parts, lost)
            return 0
        self.runner.canvas.send_step(context.run, context.plan, message, parts)
        return 1

    def _fail_deadly_step(self, context: RunContext, message: StepMessage, parts: tuple[Part, ...], lost: int) -> None:
        wanted = self.runner.claim_of(message)
        if self.storage.attempts.claim(wanted).claimed:
            error = ErrorInfo(
                "StepProcessLost",
                f"Step '{message.step_key}' was given up: the process that ran it died {lost} times. Look for "
                "out-of-memory kills and crashes of native code in its logs.",
            )
            work = Work(message, parts, wanted.token)
            self.runner.finish(context, work, failed_result(message.step_key, error, wanted.at))

    def _mend_whole_run(self, context: RunContext, attempts: list[Attempt]) -> int:
        if any(attempt.status is AttemptStatus.RUNNING for attempt in attempts):
            return 0
        latest = latest_attempts(attempts).values()
        if any(a.status is AttemptStatus.UP_FOR_RETRY and not is_due(a, utc_now()) for a in latest):
            # The process that works on the run waits for its retry.
            return 0
        for last in latest:
            lost = sum(a.step_key == last.step_key and was_lost(a) for a in attempts)
            if last.status is AttemptStatus.LOST and lost >= MOST_LOST_ATTEMPTS:
                message = StepMessage(context.run.run_id, last.step_key, last.attempt + 1, last.retry_number)
                self._fail_deadly_step(context, message, (), lost)
        self.runner.canvas.send_whole_run(context.run, attempt=1 + len(attempts))
        return 1


def is_due(attempt: Attempt, now: datetime) -> bool:
    """Return whether an attempt that is not running is to be followed by another now."""
    return attempt.retry_at is None or attempt.retry_at + RETRY_GRACE <= now


def was_lost(attempt: Attempt) -> bool:
    """Return whether an attempt was lost for a reason that the step itself may be."""
    return attempt.status is AttemptStatus.LOST and (attempt.error is None or attempt.error.cls_name != STOPPED)


def moments_of(attempt: Attempt) -> tuple[datetime, ...]:
    """Return when an attempt started and ended, as far as it did."""
    return tuple(moment for moment in (attempt.started_at, attempt.ended_at) if moment is not None)
