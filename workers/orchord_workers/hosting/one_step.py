"""One step in a process of its own: take the attempt over, load the code, execute, finish, send what follows.

The parts that the step waits on are read from the database; nothing of them is passed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from orchord.spi import (
    STEP_END_STATUSES,
    AttemptStatus,
    CodeLocation,
    CodeLocationLoadError,
    ErrorInfo,
    NotFoundError,
    Part,
    RunMachine,
    RunStatus,
    StepMessage,
    TakenOver,
    utc_now,
)
from orchord_workers.ends import ends_of, latest_attempts
from orchord_workers.hosting.parent import Child
from orchord_workers.persistence import patiently
from orchord_workers.process import WorkerProcess
from orchord_workers.step_runner import Work, canceled_result, failed_result

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepOrder:
    """What to execute. Without a ``launch_token`` nobody has claimed the attempt: this process does.

    ``attempt`` None: the next one. ``token``: what the attempt is held by once it is taken over.
    """

    run_id: str
    step_key: str
    attempt: int | None
    launch_token: str | None
    token: str


def run_step(process: WorkerProcess, child: Child, order: StepOrder, load: Callable[[], CodeLocation]) -> int:
    """Carry out one attempt. Returns the exit code: 0 when there is nothing more to do about it."""
    if not order.launch_token:
        return _claim_and_run(process, child, order, load)
    launch_token, launches = order.launch_token, process.instance.storage.launches
    own = (order.token, process.worker_id, child.process_id)
    number = 1 if order.attempt is None else order.attempt
    # An attempt that was reserved a while ago, as while an image was pulled, would be taken for one of a dead worker
    # in the moment that it is held by a container of which the database has no sign of life.
    child.wait_for_parent()
    taken = patiently(lambda: launches.take_over(order.run_id, order.step_key, number, launch_token, *own))
    if taken is None:
        logger.info("Attempt %s at %s in run %s is somebody else's, or over", number, order.step_key, order.run_id)
        return 0
    _run_taken(process, taken, load)
    return 0


def _run_taken(process: WorkerProcess, taken: TakenOver, load: Callable[[], CodeLocation]) -> None:
    attempt, run = taken.attempt, taken.run
    fault: ErrorInfo | None = None
    if run.status is not RunStatus.CANCELING:
        try:
            process.code = load()
        except CodeLocationLoadError as error:
            fault = ErrorInfo(type(error).__name__, str(error), error.user_traceback)
    runner = process.runner
    context = patiently(lambda: runner.contexts.of(run))
    parts = patiently(lambda: parts_of(process, attempt.run_id, attempt.step_key)[0])
    message = StepMessage(attempt.run_id, attempt.step_key, attempt.attempt, attempt.retry_number, attempt.pool)
    work = Work(message, parts, attempt.token)
    if run.status is RunStatus.CANCELING:
        runner.finish(context, work, canceled_result(attempt.step_key, utc_now()))
    elif fault is not None:
        runner.finish(context, work, failed_result(attempt.step_key, fault, utc_now()))
    else:
        runner.run_claimed(context, work)


def _claim_and_run(process: WorkerProcess, child: Child, order: StepOrder, load: Callable[[], CodeLocation]) -> int:
    parts, is_due = parts_of(process, order.run_id, order.step_key)
    attempts = process.instance.storage.attempts.of_run(order.run_id)
    of_step = [attempt for attempt in attempts if attempt.step_key == order.step_key]
    last = max(of_step, key=lambda attempt: attempt.attempt, default=None)
    if last is not None and last.status in STEP_END_STATUSES:
        logger.info("Step %s of run %s has ended already: %s", order.step_key, order.run_id, last.status)
        return 0
    if not is_due:
        logger.error("Step %s of run %s waits on steps that have not ended", order.step_key, order.run_id)
        return 2
    number = order.attempt or (1 if last is None else last.attempt + 1)
    retries = 0 if last is None else last.retry_number + (last.status is AttemptStatus.UP_FOR_RETRY)
    process.code = load()
    child.wait_for_parent()
    step = process.runner.contexts.read(order.run_id).plan.step(order.step_key)
    process.runner.run(StepMessage(order.run_id, order.step_key, number, retries, step.pool), parts)
    return 0


def parts_of(process: WorkerProcess, run_id: str, step_key: str) -> tuple[tuple[Part, ...], bool]:
    """Return what the steps that a step waits on came to, and whether it may start, as the database says.

    Raises:
        NotFoundError: the run has no such step.
    """
    storage = process.instance.storage
    run = storage.runs.get(run_id)
    plan = storage.locations.job_snapshot(run.job_snapshot_id).plan
    if run.step_keys is not None:
        plan = plan.select(run.step_keys)
    if step_key not in plan.by_key:
        raise NotFoundError(f"Run {run_id} has no step '{step_key}'. Its steps: {', '.join(plan.by_key)}.")
    attempts = storage.attempts.of_run(run_id) if plan.upstream[step_key] else []
    ends = ends_of(latest_attempts(attempts).values())
    if any(key not in ends for key in plan.upstream[step_key]):
        return (), False
    machine, _ = RunMachine.resume(plan, run.inherited, ends)
    return tuple(machine.parts_for(step_key).values()), True
