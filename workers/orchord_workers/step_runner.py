"""One step, from its message to what follows from it: claim, execute, finish, carry on.

The claim fences the attempt, so that a message delivered twice is ignored; the finish stores the step's events, the
attempt's end and the skips that follow in one transaction; only then are the next steps sent. A process that dies
between the two is mended by the monitor (mending.py).
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchord.spi import (
    HARD_GRACE_SECONDS,
    STEP_END_STATUSES,
    Attempt,
    AttemptStatus,
    BrokerUnavailableError,
    Claim,
    ClaimResult,
    ErrorInfo,
    Event,
    EventType,
    ExecutionInterrupted,
    Finish,
    FinishResult,
    Follow,
    JobDefinition,
    LiveEvents,
    OrchordInstance,
    Part,
    PartStatus,
    Place,
    ProcessStarters,
    Run,
    RunNotFoundError,
    RunStatus,
    Skip,
    SkipStep,
    StartStep,
    Step,
    StepEnd,
    StepMessage,
    StepRequest,
    StepResult,
    as_skips,
    decide,
    execute_step,
    executor_config,
    follow,
    place_of,
    retries_enabled,
    utc_now,
)
from orchord_workers.apart import execute_apart
from orchord_workers.app import broker_errors_translated
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContext, RunContexts, missing_step
from orchord_workers.interrupts import Interrupts
from orchord_workers.persistence import finish_patiently, patiently
from orchord_workers.routing import may_follow
from orchord_workers.slots import Slots

logger = logging.getLogger(__name__)

# A retry that is further away than this is sent by the monitor when it is due: a message with a long delay would
# sit in one worker's memory and, on Redis, outlive its visibility time-out.
LONGEST_BROKER_DELAY_SECONDS = 30.0

# A chain of quick steps is carried on by the process that began it, so that it costs no messages; past this time the
# next step is sent as one after all, so that other runs have their turn.
LONGEST_CARRY_ON_SECONDS = 0.1

NO_MOVES = Follow((), (), (), False)

# Where a step stands that waits for its first or its next attempt.
NOT_ENDED_NOR_RUNNING = (None, AttemptStatus.UP_FOR_RETRY, AttemptStatus.LOST)

NOT_STORED = "EndNotStored"
# What the error of an attempt is called that was lost with no fault of its step: it does not count as a loss.
STOPPED = "WorkerStopped"


@dataclass(frozen=True)
class Holder:
    """The process that claims attempts: its worker's identity and its process id."""

    worker_id: str
    process_id: int


@dataclass(frozen=True)
class Work:
    """A step to run now. ``token`` is set when the attempt is claimed already."""

    message: StepMessage
    parts: tuple[Part, ...]
    token: str | None = None


class StepRunner:
    """Runs steps in this process.

    Args:
        instance: Storage, compute logs and what user code asks of its instance.
        canvas: How further steps are sent.
        contexts: What is known of runs.
        holder: Who claims attempts: this process, as storage records it.
        notify_end: Is told of a run that has ended.
        may_carry_on: Whether a following step may be run right here instead of being sent as a message.
        interrupts: How this process is told to stop a step.
        is_leaving: Whether this process was told to go, so that a step that it is interrupted in is run again.
        starters: How steps get processes of their own; None: they cannot have any here.
    """

    def __init__(
        self,
        instance: OrchordInstance,
        canvas: Canvas,
        contexts: RunContexts,
        *,
        holder: Holder,
        notify_end: Callable[[str, RunStatus], None],
        may_carry_on: Callable[[], bool] = lambda: True,
        interrupts: Interrupts | None = None,
        is_leaving: Callable[[], bool] = lambda: False,
        starters: ProcessStarters | None = None,
    ) -> None:
        self.instance = instance
        self.canvas = canvas
        self.contexts = contexts
        self.holder = holder
        self.interrupts = interrupts or Interrupts()
        self.notify_end = notify_end
        self.may_carry_on = may_carry_on
        self.is_leaving = is_leaving
        self.starters = starters
        self.slots = Slots(instance, canvas, contexts)

    def run(self, message: StepMessage, parts: Sequence[Part], *, redelivered: bool = False) -> None:
        """Carry out one message, and what follows from it as long as that is quick.

        Returns when every end is stored and everything that follows is sent.
        """
        carry_on_until = time.monotonic() + LONGEST_CARRY_ON_SECONDS
        work: Work | None = Work(message, tuple(parts))
        while work is not None:
            work = self._run_one(work, redelivered=redelivered, carry_on_until=carry_on_until)
            redelivered = False

    def run_claimed(self, context: RunContext, work: Work) -> None:
        """Carry out an attempt that this process holds already by ``work.token``, and send what follows from it."""
        assert work.token is not None
        result = self._execute_or_fail(context, work.message, work.parts, work.token)
        self.finish(context, work, result)

    def _run_one(self, work: Work, *, redelivered: bool, carry_on_until: float) -> Work | None:
        message, parts = work.message, work.parts
        if any(part.status is PartStatus.FAILED for part in parts):
            self._skip_for_failed_parts(message, parts)
            return None
        context = self.contexts.known(message.run_id)
        token = work.token
        if token is None:
            wanted = self.claim_of(message)
            # Patiently: a claim whose answer was lost may stand, and then only its own token is let through again.
            is_new = context is None
            claim = patiently(lambda: self.instance.storage.attempts.claim(wanted, want_run=is_new))
            if not claim.claimed:
                self._not_claimed(message, claim, redelivered=redelivered)
                return None
            token = wanted.token
            if context is None and claim.run is not None:
                # Patiently: from here on the attempt is ours, and nobody else takes it while this process lives.
                run = claim.run
                context = self._context_or_fail(message.run_id, lambda: self.contexts.of(run))
        if context is None:
            context = self._context_or_fail(message.run_id, lambda: self.contexts.read(message.run_id))
        if context is None:
            return None
        result = self._execute_or_fail(context, message, parts, token)
        carries_on = self.may_carry_on() and time.monotonic() < carry_on_until
        return self.finish(context, Work(message, parts, token), result, carries_on=carries_on)

    def finish(self, context: RunContext, work: Work, result: StepResult, *, carries_on: bool = False) -> Work | None:
        """Store the end of a claimed attempt, then go on: next steps, parts, a retry or the run's end.

        Returns the step to go on with in this process, if ``carries_on`` allows one. It is claimed by the same
        statement that stores the end: a chain costs one round trip to the database a step, and no message.
        """
        assert work.token is not None
        message, now = work.message, utc_now()
        if self.gives_up(message.run_id, message.step_key, message.attempt, result.status):
            return None
        moves = NO_MOVES
        if result.status in STEP_END_STATUSES:
            end = StepEnd(result.status, result.outputs)
            moves = follow(context.plan, message.step_key, end, context.run.inherited)
        retry_at = None
        if result.status is AttemptStatus.UP_FOR_RETRY:
            retry_at = now + timedelta(seconds=result.retry_delay_seconds or 0.0)
        following = self._following(context, message.step_key, moves) if carries_on else None
        finish = Finish(
            run_id=message.run_id,
            step_key=message.step_key,
            attempt=message.attempt,
            token=work.token,
            status=result.status,
            outputs=result.outputs,
            events=result.events,
            error=result.error,
            retry_at=retry_at,
            at=now,
            skips=as_skips(moves.skips),
            ends_run=moves.ends_run,
            then_claim=self.claim_of(following.message) if following is not None else None,
        )
        try:
            stored = finish_patiently(self.instance.storage, finish)
        except Exception as error:  # boundary: our own faults, as when events hold what storage refuses
            if result.error is not None and result.error.cls_name == NOT_STORED:
                raise
            logger.exception("The end of %s cannot be stored", message.task_id)
            return self.finish(context, work, not_stored_result(message.step_key, error), carries_on=carries_on)
        if not stored.accepted:
            logger.warning("The end of %s was refused: another worker has taken the attempt over", message.task_id)
            return None
        step = context.plan.by_key.get(message.step_key)
        self.slots.freed(None if step is None else step.pool)
        self.slots.freed_in(context.run, context.plan)
        if retry_at is not None:
            self._send_retry(context, work, result.retry_delay_seconds or 0.0)
            return None
        if stored.run_status is not None:
            self.notify_end(message.run_id, stored.run_status)
        return self._go_on(context, moves, following, finish, stored, carries_on=carries_on)

    def gives_up(self, run_id: str, step_key: str, attempt: int, status: AttemptStatus) -> bool:
        """Leave an attempt to others that was interrupted only because this process was told to go."""
        if status is not AttemptStatus.CANCELED or not self.is_leaving():
            return False
        storage = self.instance.storage
        if patiently(lambda: storage.runs.status(run_id)) is RunStatus.CANCELING:
            return False
        own, reason = (run_id, step_key, attempt), "its process was told to stop"
        patiently(lambda: storage.attempts.mark_lost(*own, utc_now(), reason, kind=STOPPED))
        return True

    def _following(self, context: RunContext, ended: str, moves: Follow) -> Work | None:
        if not moves.starts:
            return None
        start = moves.starts[-1]
        if not may_follow(context.run, context.plan, ended, start.step_key):
            return None
        return Work(StepMessage(context.run.run_id, start.step_key), start.parts)

    def _go_on(
        self,
        context: RunContext,
        moves: Follow,
        following: Work | None,
        finish: Finish,
        stored: FinishResult,
        *,
        carries_on: bool,
    ) -> Work | None:
        run = context.run
        if following is not None and stored.then_claimed and finish.then_claim is not None:
            following = Work(following.message, following.parts, finish.then_claim.token)
        # One that was not claimed in the same breath makes a claim of its own, which says why, and acts on it.
        with self._left_to_the_monitor(run):
            for start in moves.starts[: len(moves.starts) - (following is not None)]:
                self.canvas.send_step(run, context.plan, StepMessage(run.run_id, start.step_key), start.parts)
            for join in moves.joins:
                completed = self.canvas.return_part(run, join)
                if completed is None:
                    continue
                if completed.target is None:
                    patiently(lambda: self.end_run(run.run_id))
                elif (
                    following is None
                    and carries_on
                    and may_follow(run, context.plan, finish.step_key, completed.target)
                ):
                    following = Work(StepMessage(run.run_id, completed.target), completed.parts)
                else:
                    self.canvas.send_body(run, context.plan, completed)
        return following

    @contextmanager
    def _left_to_the_monitor(self, run: Run) -> Iterator[None]:
        """Go on when the broker is away: what could not be sent is due in the database, and the monitor sends it."""
        try:
            with broker_errors_translated(self.canvas.app):
                yield
        except BrokerUnavailableError as error:
            logger.warning("Left what follows in run %s to the monitor: %s", run.run_id, error)

    def _send_retry(self, context: RunContext, work: Work, delay_seconds: float) -> None:
        if delay_seconds <= LONGEST_BROKER_DELAY_SECONDS:
            message = work.message
            again = StepMessage(message.run_id, message.step_key, message.attempt + 1, message.retry_number + 1)
            with self._left_to_the_monitor(context.run):
                self.canvas.send_step(context.run, context.plan, again, work.parts, delay_seconds=delay_seconds or None)

    def claim_of(self, message: StepMessage) -> Claim:
        """Return a new claim of this process, with a token of its own."""
        return Claim(
            run_id=message.run_id,
            step_key=message.step_key,
            attempt=message.attempt,
            retry_number=message.retry_number,
            token=secrets.token_hex(8),
            worker_id=self.holder.worker_id,
            process_id=self.holder.process_id,
            at=utc_now(),
            pool=message.pool,
        )

    def _context_or_fail(self, run_id: str, make: Callable[[], RunContext]) -> RunContext | None:
        """Make a run's context for an attempt that is claimed. A run that cannot be read fails: nobody can go on."""
        try:
            return patiently(make)
        except Exception as error:  # boundary: our own faults; without a plan there is no step that could fail
            logger.exception("Run %s cannot be read", run_id)
            fault = ErrorInfo(type(error).__name__, f"The run cannot be read: {error}", traceback.format_exc())
            status = patiently(lambda: self.instance.storage.runs.fail(run_id, fault, utc_now()))
            if status is not None:
                self.notify_end(run_id, status)
            return None

    def end_without_running(
        self, context: RunContext, step_key: str, status: AttemptStatus, reason: str, *, attempt: int = 1
    ) -> None:
        """Store that a step ends without running, with the skips that follow, and go on."""
        moves = follow(context.plan, step_key, StepEnd(status), context.run.inherited)
        skips = (Skip(step_key, status, reason, attempt), *as_skips(moves.skips))
        ended = self.instance.storage.attempts.record_skips(
            context.run.run_id, skips, at=utc_now(), ends_run=moves.ends_run
        )
        with self._left_to_the_monitor(context.run):
            self.canvas.act(context.run, context.plan, moves)
        if ended is not None:
            self.notify_end(context.run.run_id, ended)

    def advance_again(self, context: RunContext, attempt: Attempt) -> None:
        """Send once more what follows from a stored end. Harmless when it had been sent: claims are fenced."""
        end = StepEnd(attempt.status, attempt.outputs)
        moves = follow(context.plan, attempt.step_key, end, context.run.inherited)
        self.canvas.act(context.run, context.plan, moves)
        if moves.ends_run:
            self.end_run(context.run.run_id)

    def end_run(self, run_id: str) -> None:
        """End a run whose steps have all ended, and tell those who wait for it."""
        status = self.instance.storage.runs.end(run_id, utc_now())
        if status is not None:
            self.notify_end(run_id, status)

    def _skip_for_failed_parts(self, message: StepMessage, parts: Sequence[Part]) -> None:
        try:
            context = self.contexts.read(message.run_id)
        except RunNotFoundError:
            return
        decision = decided(context, message.step_key, parts)
        if isinstance(decision, SkipStep):
            self.end_without_running(context, message.step_key, decision.status, decision.reason)

    def _not_claimed(self, message: StepMessage, claim: ClaimResult, *, redelivered: bool) -> None:
        if claim.waits_for_pool is not None:
            logger.info("%s waits for a slot of pool '%s'", message.task_id, claim.waits_for_pool)
        elif claim.run_status is RunStatus.CANCELING and claim.existing in NOT_ENDED_NOR_RUNNING:
            context = self.contexts.read(message.run_id)
            attempts = self.instance.storage.attempts.of_run(message.run_id) if claim.existing else []
            earlier = [attempt.attempt for attempt in attempts if attempt.step_key == message.step_key]
            self.end_without_running(
                context,
                message.step_key,
                AttemptStatus.CANCELED,
                "not run, as the run was canceled",
                attempt=max(earlier, default=message.attempt - 1) + 1,
            )
        elif redelivered and claim.existing in STEP_END_STATUSES:
            attempts = self.instance.storage.attempts.of_run(message.run_id)
            ended = [a for a in attempts if a.step_key == message.step_key and a.status in STEP_END_STATUSES]
            if ended:
                self.advance_again(self.contexts.read(message.run_id), ended[-1])
        else:
            logger.info("Ignored a second copy of %s", message.task_id)

    def _execute_or_fail(
        self, context: RunContext, message: StepMessage, parts: Sequence[Part], token: str
    ) -> StepResult:
        """Execute a claimed step. A fault of Orchord's own fails the step: left alone, it would run for ever."""
        try:
            return self._execute(context, message, parts, token)
        except Exception as error:  # noqa: BLE001 - our own faults; user code has a boundary of its own below this
            fault = ErrorInfo(type(error).__name__, f"Orchord itself failed: {error}", traceback.format_exc())
            logger.error("Orchord itself failed in %s\n%s", message.task_id, fault.stack)
            return failed_result(message.step_key, fault, utc_now())

    def _execute(self, context: RunContext, message: StepMessage, parts: Sequence[Part], token: str) -> StepResult:
        step = context.plan.by_key.get(message.step_key)
        job, resolved = context.job, context.resolved
        if job is None or resolved is None or step is None or not has_node(job, message.step_key):
            fault = context.fault or missing_step(context.run, message.step_key, context.run.location)
            return failed_result(message.step_key, fault, utc_now())
        decision = decided(context, message.step_key, parts)
        if isinstance(decision, SkipStep):
            return skipped_result(decision, utc_now())
        request = StepRequest(
            run=context.run,
            step=step,
            attempt=message.attempt,
            retry_number=message.retry_number,
            missing=decision.missing,
            may_retry=retries_enabled(executor_config(context.run)),
        )
        live = LiveEvents(self.instance.storage, context.run.run_id)
        live.begin(step.key, message.attempt, token)
        try:
            if self.starters is not None and place_of(context.run.executor, step) is Place.PROCESS:
                result = execute_apart(
                    self.starters,
                    self.interrupts,
                    request,
                    token=token,
                    owner=self.holder.worker_id,
                    lasts_seconds=longest_seconds(step),
                    on_event=live.note,
                )
            else:
                with self.interrupts.accepted(context.run.run_id, token):
                    self.interrupts.board.limit(longest_seconds(step))
                    result = execute_step(
                        job,
                        request,
                        resolved=resolved,
                        instance=self.instance,
                        compute_logs=self.instance.compute_log_manager,
                        emit_live=live.note,
                    )
            return replace(result, events=live.rest_of(step.key, result.events))
        except ExecutionInterrupted:
            # It struck before or after the user's code, where execute_step does not look for it.
            return canceled_result(message.step_key, utc_now())
        finally:
            live.rest_of(step.key, ())


def decided(context: RunContext, step_key: str, parts: Sequence[Part]) -> StartStep | SkipStep:
    """Decide whether a step runs, by its parts in the order of ``plan.upstream``."""
    named = dict(zip(context.plan.upstream[step_key], parts, strict=True))
    return decide(context.plan, step_key, named, context.run.inherited)


def failed_result(step_key: str, error: ErrorInfo, at: datetime) -> StepResult:
    """Return the result of a step that fails before user code is reached."""
    event = Event(
        type=EventType.STEP_FAILURE,
        timestamp=at,
        message=error.message,
        step_key=step_key,
        level=logging.ERROR,
        data={"error": {"cls_name": error.cls_name, "message": error.message}},
    )
    return StepResult(AttemptStatus.FAILURE, (), (event,), error)


def not_stored_result(step_key: str, error: BaseException) -> StepResult:
    """Return the result of a step whose own end storage refuses: left alone, it would run for ever."""
    message = f"What the step made cannot be stored: {type(error).__name__}: {str(error)[:2000]}"
    return failed_result(step_key, ErrorInfo(NOT_STORED, message), utc_now())


def canceled_result(step_key: str, at: datetime) -> StepResult:
    """Return the result of a step that was interrupted."""
    event = Event(
        type=EventType.STEP_FAILURE, timestamp=at, message="The run was canceled.", step_key=step_key,
        level=logging.ERROR,
    )  # fmt: skip
    return StepResult(AttemptStatus.CANCELED, (), (event,), ErrorInfo("ExecutionInterrupted", "The run was canceled."))


def skipped_result(decision: SkipStep, at: datetime) -> StepResult:
    """Return the result of a claimed step that turns out to have no value for an input."""
    event = Event(type=EventType.STEP_SKIPPED, timestamp=at, message=decision.reason, step_key=decision.step_key)
    return StepResult(decision.status, (), (event,), None)


def longest_seconds(step: Step) -> float | None:
    """Return after how long a step's process is ended by its time limit, its grace time included."""
    return None if step.timeout_seconds is None else step.timeout_seconds + HARD_GRACE_SECONDS


def has_node(job: JobDefinition, step_key: str) -> bool:
    """Return whether the code still has the op of a step."""
    try:
        job.node_at(step_key)
    except KeyError:
        return False
    return True


def run_or_none(instance: OrchordInstance, run_id: str) -> Run | None:
    """Return a run's record, or None when the run was deleted."""
    try:
        return instance.storage.runs.get(run_id)
    except RunNotFoundError:
        return None
