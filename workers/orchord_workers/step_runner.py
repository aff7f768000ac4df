"""One step, from its message to what follows from it: claim, execute, finish, go on.

The claim fences the attempt, so that a message delivered twice is ignored; the finish stores the step's events, the
attempt's end and the skips that follow in one transaction; only then are the next steps sent. A process that dies
between the two is mended by the monitor (mending.py).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from orchord.spi import (
    Attempt,
    AttemptStatus,
    Claim,
    ClaimResult,
    Event,
    EventType,
    ErrorInfo,
    ExecutionInterrupted,
    Finish,
    Follow,
    JobDefinition,
    OrchordInstance,
    Part,
    PartStatus,
    Run,
    RunNotFoundError,
    RunStatus,
    Skip,
    SkipStep,
    StepEnd,
    StepMessage,
    StepRequest,
    StepResult,
    decide,
    execute_step,
    follow,
    utc_now,
)
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContext, RunContexts, missing_step
from orchord_workers.interrupts import interruptible
from orchord_workers.persistence import patiently

logger = logging.getLogger(__name__)

# A retry that is further away than this is sent by the monitor when it is due: a message with a long delay would
# sit in one worker's memory and, on Redis, outlive its visibility time-out.
LONGEST_BROKER_DELAY_SECONDS = 30.0

_STEP_END = {
    AttemptStatus.SUCCESS,
    AttemptStatus.FAILURE,
    AttemptStatus.CANCELED,
    AttemptStatus.SKIPPED,
    AttemptStatus.UPSTREAM_FAILED,
}


class StepRunner:
    """Runs steps in this process. ``notify_end`` is told of a run that has ended."""

    def __init__(
        self,
        instance: OrchordInstance,
        canvas: Canvas,
        contexts: RunContexts,
        *,
        worker_id: str,
        notify_end: Callable[[str, RunStatus], None],
    ) -> None:
        self.instance = instance
        self.canvas = canvas
        self.contexts = contexts
        self.worker_id = worker_id
        self.notify_end = notify_end

    def run(self, message: StepMessage, parts: Sequence[Part], *, redelivered: bool = False) -> None:
        """Carry out one message. Returns when the step's end is stored and what follows is sent."""
        if any(part.status is PartStatus.FAILED for part in parts):
            self._skip_for_failed_parts(message, parts)
            return
        context = self.contexts.known(message.run_id)
        token = secrets.token_hex(8)
        claim = self.instance.storage.attempts.claim(
            Claim(
                run_id=message.run_id,
                step_key=message.step_key,
                attempt=message.attempt,
                retry_number=message.retry_number,
                token=token,
                worker_id=self.worker_id,
                at=utc_now(),
            ),
            want_run=context is None,
        )
        if not claim.claimed:
            self._not_claimed(message, claim, redelivered=redelivered)
            return
        if context is None:
            context = self.contexts.of(claim.run) if claim.run is not None else self.contexts.read(message.run_id)
        result = self._execute(context, message, parts)
        self.finish(context, message, parts, token, result)

    def finish(
        self, context: RunContext, message: StepMessage, parts: Sequence[Part], token: str, result: StepResult
    ) -> None:
        """Store the end of a claimed attempt, then go on: next steps, parts, a retry or the run's end."""
        now = utc_now()
        moves = Follow((), (), (), False)
        if result.status in _STEP_END:
            moves = follow(
                context.plan, message.step_key, StepEnd(result.status, result.outputs), context.run.inherited
            )
        delay = result.retry_delay_seconds or 0.0
        retries = result.status is AttemptStatus.UP_FOR_RETRY
        finish = Finish(
            run_id=message.run_id,
            step_key=message.step_key,
            attempt=message.attempt,
            token=token,
            status=result.status,
            outputs=result.outputs,
            events=result.events,
            error=result.error,
            retry_at=now + timedelta(seconds=delay) if retries else None,
            at=now,
            skips=as_skips(moves.skips),
            ends_run=moves.ends_run,
        )
        stored = patiently(lambda: self.instance.storage.attempts.finish(finish))
        if not stored.accepted:
            logger.warning(
                "The end of %s was refused: another worker has taken the attempt over", message.task_id
            )
            return
        if retries:
            if delay <= LONGEST_BROKER_DELAY_SECONDS:
                again = StepMessage(
                    message.run_id, message.step_key, message.attempt + 1, message.retry_number + 1
                )
                self.canvas.send_step(context.run, again, parts, delay_seconds=delay or None)
            return
        self.canvas.act(context.run, context.plan, moves)
        if stored.run_status is not None:
            self.notify_end(message.run_id, stored.run_status)

    def end_without_running(self, context: RunContext, step_key: str, status: AttemptStatus, reason: str) -> None:
        """Store that a step ends without an attempt, with the skips that follow, and go on."""
        moves = follow(context.plan, step_key, StepEnd(status), context.run.inherited)
        skips = (Skip(step_key, status, reason), *as_skips(moves.skips))
        ended = self.instance.storage.attempts.record_skips(
            context.run.run_id, skips, at=utc_now(), ends_run=moves.ends_run
        )
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
        named = dict(zip(context.plan.upstream[message.step_key], parts, strict=True))
        decision = decide(context.plan, message.step_key, named, context.run.inherited)
        if isinstance(decision, SkipStep):
            self.end_without_running(context, message.step_key, decision.status, decision.reason)

    def _not_claimed(self, message: StepMessage, claim: ClaimResult, *, redelivered: bool) -> None:
        if claim.run_status is RunStatus.CANCELING and claim.existing is None:
            context = self.contexts.read(message.run_id)
            self.end_without_running(
                context, message.step_key, AttemptStatus.CANCELED, "not run, as the run was canceled"
            )
        elif redelivered and claim.existing in _STEP_END:
            attempts = self.instance.storage.attempts.of_run(message.run_id)
            ended = [a for a in attempts if a.step_key == message.step_key and a.status in _STEP_END]
            if ended:
                self.advance_again(self.contexts.read(message.run_id), ended[-1])
        else:
            logger.info("Ignored a second copy of %s", message.task_id)

    def _execute(self, context: RunContext, message: StepMessage, parts: Sequence[Part]) -> StepResult:
        step = context.plan.by_key.get(message.step_key)
        if context.fault is not None or context.job is None or context.resolved is None or step is None:
            fault = context.fault or missing_step(context.run, message.step_key, context.run.location)
            return failed_result(message.step_key, fault, utc_now())
        if not has_node(context.job, message.step_key):
            return failed_result(
                message.step_key, missing_step(context.run, message.step_key, context.run.location), utc_now()
            )
        named = dict(zip(context.plan.upstream[message.step_key], parts, strict=True))
        decision = decide(context.plan, message.step_key, named, context.run.inherited)
        if isinstance(decision, SkipStep):
            return skipped_result(decision, utc_now())
        request = StepRequest(
            run=context.run,
            step=step,
            attempt=message.attempt,
            retry_number=message.retry_number,
            missing=decision.missing,
        )
        try:
            with interruptible():
                return execute_step(
                    context.job,
                    request,
                    resolved=context.resolved,
                    instance=self.instance,
                    compute_logs=self.instance.compute_log_manager,
                )
        except ExecutionInterrupted:
            # It struck before or after the user's code, where execute_step does not look for it.
            return canceled_result(message.step_key, utc_now())


def as_skips(commands: Sequence[SkipStep]) -> tuple[Skip, ...]:
    """Return skip commands as storage stores them."""
    return tuple(Skip(command.step_key, command.status, command.reason) for command in commands)


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


def canceled_result(step_key: str, at: datetime) -> StepResult:
    """Return the result of a step that was interrupted."""
    event = Event(
        type=EventType.STEP_FAILURE, timestamp=at, message="The run was canceled.", step_key=step_key,
        level=logging.ERROR,
    )  # fmt: skip
    return StepResult(AttemptStatus.CANCELED, (), (event,), ErrorInfo("ExecutionInterrupted", "The run was canceled."))


def skipped_result(decision: SkipStep, at: datetime) -> StepResult:
    """Return the result of a claimed step that turns out to have no value for an input."""
    event = Event(
        type=EventType.STEP_SKIPPED, timestamp=at, message=decision.reason, step_key=decision.step_key
    )
    return StepResult(decision.status, (), (event,), None)


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
