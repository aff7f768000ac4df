"""A whole run in one process: its steps one after another, as the run's state machine commands.

Used by ``execute_in_process`` and by the worker's in_process_executor; they differ in the sink that is told. Making a
run of a job, and its result, are execute.py and result.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchord.events import Event
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.run_resources import RunResources
from orchord.execution.secrets_in_config import masker_of
from orchord.execution.step import execute_step
from orchord.execution.turns import Progress, Turn, Turns
from orchord.plan.machine import SkipStep
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import AttemptStatus, Run, RunStatus

if TYPE_CHECKING:
    from orchord.compute_logs import ComputeLogManager
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig


class RunSink(Protocol):
    """Where a run in process is written down."""

    def claim(self, step: Step, attempt: int) -> bool:
        """Note that an attempt starts. False stops the run here: somebody else has it, or it was canceled."""

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Note how an attempt ended, which steps are skipped because of it, and whether the run ends with it."""

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Note steps that are skipped though no step of this run has ended: what they need is nowhere."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run in process ended.

    Attributes:
        status: SUCCESS, FAILURE or CANCELED; None when the sink refused a claim.
        events: what happened after the last step: tearing resources down.
        error: the exception of the first step that failed or was interrupted.
    """

    status: RunStatus | None
    events: tuple[Event, ...] = ()
    error: BaseException | None = None


class RunRecorder(RunSink, Protocol):
    """A sink that has a run of its own to end: what an instance's ``recording`` returns."""

    def close(self, end: RunEnd) -> None:
        """Note what came after the last step."""


def run_in_process(
    job: JobDefinition,
    run: Run,
    plan: ExecutionPlan,
    resolved: ResolvedRunConfig,
    instance: Any,
    sink: RunSink,
    *,
    compute_logs: ComputeLogManager | None = None,
    emit_live: Callable[[Event], None] | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] | None = None,
) -> RunEnd:
    """Run a plan's steps one after another in this process, resources set up once for all of them.

    Args:
        job: the job, with its resources bound.
        run: the run.
        plan: the steps of this run alone.
        resolved: the run's config, checked.
        instance: what user code gets as ``context.instance``.
        sink: is told of each start and end.
        compute_logs: where what steps print is kept.
        emit_live: is called with each event as it happens.
        progress: where the run stands, when another process began it.
        sleep: waits between an attempt and its retry.
    """
    loop = _Loop(job, run, plan, resolved, instance, sink, compute_logs, emit_live, sleep or pause)
    return loop.go(progress)


def pause(seconds: float) -> None:
    """Wait, as long as nothing interrupts."""
    time.sleep(seconds)


class _Loop:
    def __init__(
        self,
        job: JobDefinition,
        run: Run,
        plan: ExecutionPlan,
        resolved: ResolvedRunConfig,
        instance: Any,
        sink: RunSink,
        compute_logs: ComputeLogManager | None,
        emit_live: Callable[[Event], None] | None,
        sleep: Callable[[float], None],
    ) -> None:
        self.job, self.run, self.plan, self.resolved, self.instance = job, run, plan, resolved, instance
        self.sink, self.compute_logs, self.emit_live, self.sleep = sink, compute_logs, emit_live, sleep
        self.masker = masker_of(job, resolved)
        self.resources = RunResources(job, run, plan, resolved, instance, self.masker, emit_live)
        self.turns = Turns(plan, run)
        self.is_going = True
        self.error: BaseException | None = None

    def go(self, progress: Progress | None) -> RunEnd:
        skips, ends_run = self.turns.begin(progress)
        if skips or ends_run:
            self.sink.skip(skips, ends_run)
        try:
            while self.is_going and not self.turns.is_empty:
                self._next()
        finally:
            late_events = self.resources.close()
        return RunEnd(self.turns.status, late_events, self.error)

    def _next(self) -> None:
        """Take the step that is next. One that waits for its retry lets others go first."""
        now = time.monotonic()
        due = self.turns.due_retries(now)
        if due or self.turns.waiting:
            turn = due[0] if due else self.turns.waiting[0]
            self.turns.take(turn)
            self._step(turn)
            return
        try:
            self.sleep(self.turns.seconds_to_retry(now) or 0.0)
        except (KeyboardInterrupt, ExecutionInterrupted) as error:
            self.error, self.is_going = error, False

    def _step(self, turn: Turn) -> None:
        """Carry out one attempt at a step."""
        step = self.plan.step(turn.step_key)
        if not self.sink.claim(step, turn.attempt):
            self.is_going = False
            return
        result = self._execute(StepRequest(self.run, step, turn.attempt, turn.retry_number, turn.command.missing))
        is_final = result.status is not AttemptStatus.UP_FOR_RETRY
        if is_final and result.exception is not None and self.error is None:
            self.error = result.exception
        skips, ends_run = self.turns.ended(turn, result)
        self.sink.finish(step, turn.attempt, result, skips, ends_run)

    def _execute(self, request: StepRequest) -> StepResult:
        resources, events = self.resources.opened()
        result = execute_step(
            self.job,
            request,
            resolved=self.resolved,
            instance=self.instance,
            resources=resources,
            compute_logs=self.compute_logs,
            emit_live=self.emit_live,
            masker=self.masker,
        )
        return replace(result, events=events + result.events) if events else result
