"""A whole run carried out from one process, several steps at once: what an executor is given to do so.

An executor only says which step starts now, and where: in this process or in one of its own (executors.py). Claims,
events, retries, pools, skips, the run's end and cancellation are looked after here. One step after another, without a
process of its own for any, is in_process.py.
"""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchord.errors import InvariantViolationError, did_you_mean
from orchord.events import ErrorInfo, Event
from orchord.execution.in_process import RunEnd, RunSink
from orchord.execution.interrupt import ExecutionInterrupted, StopNotice
from orchord.execution.processes import ProcessRequest, StartFailedError, StepProcesses
from orchord.execution.processes.ends import canceled_result, fault_result
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.run_resources import RunResources
from orchord.execution.secrets_in_config import masker_of
from orchord.execution.step import execute_step
from orchord.execution.turns import Progress, Turn, Turns
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import AttemptStatus, Run, RunStatus

if TYPE_CHECKING:
    from orchord.compute_logs import ComputeLogManager
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig

PRIORITY_TAGS = ("orchord/priority", "dagster/priority")
# How often a step that waits for a slot of a pool is tried again.
POOL_LOOK_SECONDS = 0.2

logger = logging.getLogger(__name__)


class SeveralSink(RunSink, Protocol):
    """A sink that may hold several attempts at once."""

    def claim_now(self, step: Step, attempt: int) -> bool | None:
        """Claim an attempt without waiting. None: its pool has no slot now; False: the run does not go on here."""

    def note_inline(self, step: Step) -> None:
        """Take note that a claimed step is carried out in this very process, and not in one of its own."""

    def forget(self, step: Step) -> None:
        """Wait no longer for a slot of the step's pool."""


@dataclass(frozen=True)
class RunSurroundings:
    """What a run is carried out with, beside its plan.

    Attributes:
        job: the job, with its resources bound.
        run: the run.
        plan: the steps of this run alone.
        resolved: the run's config, checked.
        instance: what user code gets as ``context.instance``.
        sink: is told of each start and end.
        compute_logs: where what steps print is kept, of those that run in this process.
        emit_live: is called with each event as it happens.
        progress: where the run stands, when another process began it.
        owner: who looks after what steps print, of those that run in processes of their own; empty: nobody.
    """

    job: JobDefinition
    run: Run
    plan: ExecutionPlan
    resolved: ResolvedRunConfig
    instance: Any
    sink: SeveralSink
    compute_logs: ComputeLogManager | None = None
    emit_live: Callable[[Event], None] | None = None
    progress: Progress | None = None
    owner: str = ""


class PlanOrchestrationContext:
    """One run, for the executor that carries it out.

    An executor asks for ``ready_steps``, has some of them carried out (``run_inline``, ``start_process``), and waits
    (``wait``) until ``is_over``. It holds no state of its own that matters: a run whose process dies is taken over by
    another, with the steps that have ended out of the way.

    Attributes:
        run: the run.
        plan: its steps.
        job: the job.
        instance: the instance.
        executor_config: the executor's config, checked, with defaults.
        log: the standard library's logger of this process.
    """

    def __init__(
        self,
        within: RunSurroundings,
        processes: StepProcesses,
        stop: StopNotice,
        *,
        executor_config: Mapping[str, Any],
        may_retry: bool = True,
    ) -> None:
        self.run, self.plan, self.job, self.instance = within.run, within.plan, within.job, within.instance
        self.executor_config = executor_config
        self.log = logger
        self._within = within
        self._processes = processes
        self._stop = stop
        self._may_retry = may_retry
        self._turns = Turns(within.plan, within.run)
        self._at_work: dict[str, Turn] = {}
        self._pool_looks: dict[str, float] = {}
        # Until when the executor has seen what is ready, of the monotonic clock.
        self._seen_until = -math.inf
        self._ended: list[str] = []
        self._is_refused = False
        self._error: BaseException | None = None
        masker = masker_of(within.job, within.resolved)
        self._masker = masker
        self._resources = RunResources(
            within.job, within.run, within.plan, within.resolved, within.instance, masker, within.emit_live
        )

    # --- for executors ----------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def ready_steps(self) -> tuple[Step, ...]:
        """The steps that may start now, those of higher priority first. Nothing when the run is to stop."""
        if self._is_stopping:
            return ()
        now = self._seen_until = time.monotonic()
        turns = [*self._turns.due_retries(now), *self._turns.waiting]
        steps = [self.plan.step(turn.step_key) for turn in turns if self._pool_looks.get(turn.step_key, now) <= now]
        return tuple(sorted(steps, key=_priority, reverse=True))

    @property
    def running_steps(self) -> tuple[Step, ...]:
        """The steps that run now, each in a process of its own."""
        return tuple(self.plan.step(key) for key in self._at_work)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs and nothing is to be started any more."""
        return not self._at_work and (self._is_stopping or self._turns.is_empty)

    def run_inline(self, step_key: str) -> bool:
        """Carry a ready step out in this process, and return when it has ended. False: it cannot start now.

        Raises:
            InvariantViolationError: the step is not ready.
        """
        turn = self._claimed(step_key)
        if turn is None:
            return False
        self._finish(turn, self._inline_result(turn))
        return True

    def start_process(self, step_key: str) -> bool:
        """Start a ready step in a process of its own, and return at once. False: it cannot start now.

        It cannot while its pool has no slot, or once the run is to stop; ``ready_steps`` names it when it may.

        Raises:
            InvariantViolationError: the step is not ready.
        """
        turn = self._claimed(step_key)
        if turn is None:
            return False
        request = ProcessRequest(self._request(turn), self._within.owner)
        try:
            self._processes.start(request, on_event=self._within.emit_live)
        except (StartFailedError, TypeError) as error:
            self._finish(turn, fault_result(step_key, ErrorInfo(type(error).__name__, str(error))))
            return True
        self._at_work[step_key] = turn
        return True

    def wait(self, timeout_seconds: float | None = None) -> tuple[str, ...]:
        """Wait until a step has ended or another one is ready, at most so long. Returns the steps that have ended."""
        # A step that ended within start_process or run_inline is told of at once: others may be ready by it.
        pause = 0.0 if self._ended else self._pause(timeout_seconds)
        if self._at_work or pause is not None:
            for step_key, result in self._processes.wait(pause):
                self._finish(self._at_work.pop(step_key), result)
        ended, self._ended = tuple(self._ended), []
        return ended

    # --- for who asks the executor ----------------------------------------------------------------------------------

    def carry_out(self, execute: Callable[[PlanOrchestrationContext], Any]) -> RunEnd:
        """Have an executor carry the run out, and return how it ended."""
        skips, ends_run = self._turns.begin(self._within.progress)
        if skips or ends_run:
            self._within.sink.skip(skips, ends_run)
        try:
            if not self.is_over:
                execute(self)
        finally:
            self._processes.close()
            late_events = self._resources.close()
        return RunEnd(self._turns.status, late_events, self._error)

    def check_is_over(self) -> None:
        """Check that an executor has not returned too early.

        Raises:
            InvariantViolationError: there is still something to be done.
        """
        if self.is_over:
            return
        left = ", ".join([step.key for step in (*self.running_steps, *self.ready_steps)][:5])
        raise InvariantViolationError(
            f"Executor '{self.run.executor}' returned while steps were still to be done: {left}. It has to go on until "
            "plan_context.is_over."
        )

    @property
    def _is_stopping(self) -> bool:
        return self._stop.is_set or self._is_refused or self._turns.is_canceling

    def _claimed(self, step_key: str) -> Turn | None:
        """Claim a ready step's next attempt. None: it has to wait, or the run does not go on here."""
        if self._is_stopping:
            # First: of a run that is canceled no step is ready any more, and an executor may hold an older list.
            return None
        turns = (*self._turns.retries, *self._turns.waiting)
        turn = next((turn for turn in turns if turn.step_key == step_key), None)
        if turn is None or turn.due > time.monotonic():
            ready = [step.key for step in self.ready_steps]
            hint = did_you_mean(step_key, ready)
            raise InvariantViolationError(f"Step '{step_key}' is not ready: it runs, has ended or has to wait.{hint}")
        step = self.plan.step(step_key)
        claimed = self._within.sink.claim_now(step, turn.attempt)
        if claimed is None:
            self._pool_looks[step_key] = time.monotonic() + POOL_LOOK_SECONDS
            return None
        self._pool_looks.pop(step_key, None)
        if not claimed:
            # Somebody else works on the run, or it was canceled: what this process runs is still brought to its end.
            self._is_refused = True
            self._forget_pools()
            return None
        self._turns.take(turn)
        return turn

    def _forget_pools(self) -> None:
        for step_key in self._pool_looks:
            self._within.sink.forget(self.plan.step(step_key))
        self._pool_looks.clear()

    def _request(self, turn: Turn) -> StepRequest:
        step = self.plan.step(turn.step_key)
        missing = turn.command.missing
        return StepRequest(self.run, step, turn.attempt, turn.retry_number, missing, self._may_retry)

    def _inline_result(self, turn: Turn) -> StepResult:
        within = self._within
        within.sink.note_inline(self.plan.step(turn.step_key))
        resources, events = self._resources.opened()
        try:
            with self._stop.raising():
                result = execute_step(
                    within.job,
                    self._request(turn),
                    resolved=within.resolved,
                    instance=within.instance,
                    resources=resources,
                    compute_logs=within.compute_logs,
                    emit_live=within.emit_live,
                    masker=self._masker,
                )
        except ExecutionInterrupted:
            result = canceled_result(turn.step_key)
        except Exception as error:  # noqa: BLE001 - our own faults; user code has a boundary of its own below this
            fault = ErrorInfo(type(error).__name__, f"Orchord itself failed: {error}", traceback.format_exc())
            result = fault_result(turn.step_key, fault)
        return replace(result, events=events + result.events) if events else result

    def _finish(self, turn: Turn, result: StepResult) -> None:
        is_told_to_stop = self._stop.is_set or self._turns.is_canceling
        if result.status is AttemptStatus.UP_FOR_RETRY and is_told_to_stop:
            # Nobody will make the further attempt. After a refused claim somebody may: who has taken the run over.
            result = replace(result, status=AttemptStatus.CANCELED, retry_delay_seconds=None)
        if result.status is not AttemptStatus.UP_FOR_RETRY and self._error is None:
            self._error = result.exception
        skips, ends_run = self._turns.ended(turn, result)
        self._within.sink.finish(self.plan.step(turn.step_key), turn.attempt, result, skips, ends_run)
        self._ended.append(turn.step_key)
        if self._is_stopping:
            self._forget_pools()

    def _pause(self, timeout_seconds: float | None) -> float | None:
        """Return how long to wait at most; None: until a step ends."""
        now = time.monotonic()
        pauses = [] if timeout_seconds is None else [timeout_seconds]
        if not self._is_stopping:
            moments = (*(turn.due for turn in self._turns.retries), *self._pool_looks.values())
            # A step that the executor saw as ready and did not start has no room beside those that run: what it waits
            # for is the end of one of them. Its own moment has passed, and would let this process spin until then.
            pauses += [moment - now for moment in moments if moment > self._seen_until]
        return max(0.0, min(pauses)) if pauses else None

    @property
    def status(self) -> RunStatus | None:
        """How the run ended; None while it has not."""
        return self._turns.status


def _priority(step: Step) -> int:
    for tag in PRIORITY_TAGS:
        try:
            return int(step.tags[tag])
        except (KeyError, ValueError):
            continue
    return 0
