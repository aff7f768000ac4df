"""Plans and steps as bodies: a plan with its edges, and the steps of a run put together from plan, attempts, events.

The models are in models/runs.py; how a run moves is in orchord.plan.machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchord.api.models.foundation import ErrorBody
from orchord.api.models.runs import AttemptBody, EdgeBody, OutputBody, PlanBody, PlanStepBody, StepBody
from orchord.events import EventType, StoredEvent
from orchord.plan.gates import RUN_POOL_PREFIX
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Attempt, Run
from orchord.storage import PoolWaiter, Storage

_OUTPUT_EVENT_TYPES = (EventType.STEP_OUTPUT, EventType.HANDLED_OUTPUT, EventType.ASSET_MATERIALIZATION)
_PAGE_SIZE = 2000


def plan_body(plan: ExecutionPlan, selected: Sequence[str] | None = None) -> PlanBody:
    """Return a plan as a body; ``selected`` are the steps that a run runs (None: all)."""
    chosen = plan.by_key.keys() if selected is None else set(selected)
    steps = [
        PlanStepBody(
            step_key=step.key,
            op_name=step.op_name,
            description=step.description,
            upstream=list(plan.upstream[step.key]),
            asset_keys=list(step.asset_keys),
            tags=step.tags,
            pool=step.pool,
            is_selected=step.key in chosen,
        )
        for step in plan.steps
    ]
    edges = [
        EdgeBody(from_step=ref.step_key, from_output=ref.output_name, to_step=step.key, to_input=step_input.name)
        for step in plan.steps
        for step_input in step.inputs
        for ref in step_input.sources
        if ref.step_key in plan.by_key
    ]
    return PlanBody(job=plan.job_name, steps=steps, edges=edges)


def output_events(storage: Storage, run_id: str) -> Iterator[StoredEvent]:
    """Yield every event of a run that tells of an output."""
    after = 0
    while True:
        page = storage.events.page(run_id, after_id=after, limit=_PAGE_SIZE, types=_OUTPUT_EVENT_TYPES)
        yield from page
        if len(page) < _PAGE_SIZE:
            return
        after = page[-1].id


def _waits_for(waiter: PoolWaiter) -> str:
    if waiter.pool.startswith(RUN_POOL_PREFIX):
        return "An end of other steps: the run's executor lets only so many run at once."
    return f"A free slot of pool '{waiter.pool}'."


def step_bodies(
    run: Run,
    plan: ExecutionPlan,
    attempts: Iterable[Attempt],
    told_of_outputs: Iterable[StoredEvent],
    waiters: Iterable[PoolWaiter] = (),
) -> list[StepBody]:
    """Return the steps of a run, in plan order; those that an earlier run made are among them."""
    attempts_of: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        attempts_of[attempt.step_key].append(attempt)
    metadata = _output_metadata(told_of_outputs)
    selected = plan.by_key.keys() if run.step_keys is None else set(run.step_keys)
    reasons = {waiter.step_key: _waits_for(waiter) for waiter in waiters}
    return [
        _step_body(
            run,
            step,
            sorted(attempts_of[step.key], key=lambda one: one.attempt),
            metadata,
            reasons.get(step.key),
        )
        for step in plan.steps
        if step.key in selected or step.key in run.inherited or step.key in attempts_of
    ]


def _step_body(
    run: Run,
    step: Step,
    attempts: Sequence[Attempt],
    metadata: Mapping[tuple[str, str], dict[str, Any]],
    waits_for: str | None,
) -> StepBody:
    last = attempts[-1] if attempts else None
    inherited = run.inherited.get(step.key) if last is None else None
    yielded = last.outputs if last else inherited.outputs if inherited else ()
    asset_key_of = {output.name: output.asset_key for output in step.outputs}
    return StepBody.model_construct(
        step_key=step.key,
        op_name=step.op_name,
        status=last.status if last else "INHERITED" if inherited else "PENDING",
        started_at=last.started_at if last else None,
        ended_at=last.ended_at if last else None,
        duration_seconds=_duration(last),
        attempts=[_attempt_body(attempt) for attempt in attempts],
        outputs=[
            OutputBody(name=name, asset_key=asset_key_of.get(name), metadata=metadata.get((step.key, name), {}))
            for name in yielded
        ],
        error=ErrorBody.of(last.error) if last else None,
        inherited_from=inherited.run_id if inherited else None,
        waits_for=waits_for,
    )


def _attempt_body(attempt: Attempt) -> AttemptBody:
    return AttemptBody.model_construct(
        attempt=attempt.attempt,
        status=attempt.status,
        retry_number=attempt.retry_number,
        worker_id=attempt.worker_id or None,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        retry_at=attempt.retry_at,
        error=ErrorBody.of(attempt.error),
    )


def _duration(attempt: Attempt | None) -> float | None:
    if attempt is None or attempt.started_at is None or attempt.ended_at is None:
        return None
    return (attempt.ended_at - attempt.started_at).total_seconds()


def _output_metadata(stored_events: Iterable[StoredEvent]) -> dict[tuple[str, str], dict[str, Any]]:
    """Collect what the steps said of their outputs; later events add to earlier ones."""
    collected: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for stored in stored_events:
        data = stored.event.data
        name = data.get("output_name")
        metadata = data.get("metadata")
        if stored.event.step_key is not None and isinstance(name, str) and isinstance(metadata, dict):
            collected[stored.event.step_key, name].update(metadata)
    return collected
