"""A whole run in one process: its steps one after another, as the run's state machine commands.

Used by ``execute_in_process`` and by the worker's in_process_executor; they differ in the sink that is told. Making a
run of a job, and its result, are execute.py and result.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchord.events import Event
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.run_resources import RunResources
from orchord.execution.secrets_in_config import masker_of
from orchord.execution.step import execute_step
from orchord.plan.machine import Command, EndRun, RunMachine, SkipStep, StartStep, StepEnd
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


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run that was begun by another process stands.

    Attributes:
        ends: the steps that have ended.
        attempts: the number of the latest attempt of each other step that was started, and its retry number.
    """

    ends: Mapping[str, StepEnd]
    attempts: Mapping[str, tuple[int, int]]


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


@dataclass(frozen=True, slots=True)
class _Turn:
    """An attempt that is to be made, not before ``due`` (of the monotonic clock)."""

    command: StartStep
    attempt: int
    retry_number: int
    due: float = 0.0


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
        self.machine = RunMachine(plan, run.inherited)
        self.waiting: deque[_Turn] = deque()
        self.retries: list[_Turn] = []
        self.is_going = True
        self.status: RunStatus | None = None
        self.error: BaseException | None = None
        self.begun: Mapping[str, tuple[int, int]] = {}

    def go(self, progress: Progress | None) -> RunEnd:
        if progress is None:
            commands = self.machine.start()
        else:
            self.machine, commands = RunMachine.resume(self.plan, self.run.inherited, progress.ends)
            self.begun = progress.attempts
        skips, ends_run = self._take(commands)
        if skips or ends_run:
            self.sink.skip(skips, ends_run)
        try:
            while self.is_going and (self.waiting or self.retries):
                self._next()
        finally:
            late_events = self.resources.close()
        return RunEnd(self.status, late_events, self.error)

    def _take(self, commands: Iterable[Command]) -> tuple[list[SkipStep], bool]:
        skips: list[SkipStep] = []
        for command in commands:
            if isinstance(command, StartStep):
                attempt, retry_number = self.begun.get(command.step_key, (0, -1))
                self.waiting.append(_Turn(command, attempt + 1, retry_number + 1))
            elif isinstance(command, SkipStep):
                skips.append(command)
            elif isinstance(command, EndRun):
                self.status = command.status
        return skips, self.status is not None

    def _next(self) -> None:
        """Take the step that is next. One that waits for its retry lets others go first."""
        now = time.monotonic()
        due = next((turn for turn in self.retries if turn.due <= now), None)
        if due is not None:
            self.retries.remove(due)
            self._step(due)
        elif self.waiting:
            self._step(self.waiting.popleft())
        else:
            try:
                self.sleep(min(turn.due for turn in self.retries) - now)
            except (KeyboardInterrupt, ExecutionInterrupted) as error:
                self.error, self.is_going = error, False

    def _step(self, turn: _Turn) -> None:
        """Carry out one attempt at a step."""
        step = self.plan.step(turn.command.step_key)
        if not self.sink.claim(step, turn.attempt):
            self.is_going = False
            return
        result = self._execute(StepRequest(self.run, step, turn.attempt, turn.retry_number, turn.command.missing))
        if result.status is AttemptStatus.UP_FOR_RETRY:
            self.sink.finish(step, turn.attempt, result, (), False)
            due = time.monotonic() + (result.retry_delay_seconds or 0.0)
            self.retries.append(_Turn(turn.command, turn.attempt + 1, turn.retry_number + 1, due))
            return
        if result.exception is not None and self.error is None:
            self.error = result.exception
        commands: list[Command] = []
        if result.status is AttemptStatus.CANCELED:
            self.waiting.clear()
            self.retries.clear()
            commands += self.machine.cancel()
        commands += self.machine.ended(step.key, StepEnd(result.status, result.outputs))
        skips, ends_run = self._take(commands)
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
