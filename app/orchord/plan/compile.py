"""From a job to its plan: one step for each op, in an order in which each comes after all that feed it.

The graph's nesting is resolved in definitions/wiring.py; running the plan is plan/machine.py and the workers.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from orchord.definitions.job_definition import JobDefinition, PlanToken
from orchord.definitions.job_resources import reads_asset
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.time_limit import checked_time_limit
from orchord.definitions.wiring import Feed, WiredOp, needs_no_value
from orchord.errors import InvalidDefinitionError, numbered
from orchord.plan.model import ExecutionPlan, OutputRef, RetryRule, Step, StepInput, StepOutput

_plans: WeakKeyDictionary[PlanToken, ExecutionPlan] = WeakKeyDictionary()


def compile_plan(job: JobDefinition) -> ExecutionPlan:
    """Return the plan of a job. It is compiled once; copies with other resources or another executor share it."""
    plan = _plans.get(job.plan_token)
    if plan is None:
        plan = _plans[job.plan_token] = ExecutionPlan(
            job.name, tuple(_step(job, wired) for wired in job.wiring.ops.values())
        )
    return plan


def _step(job: JobDefinition, wired: WiredOp) -> Step:
    policy = wired.node.retry_policy or wired.op.retry_policy or job.op_retry_policy
    return Step(
        key=wired.key,
        op_name=wired.op.name,
        inputs=tuple(_input(job, wired, name, feed) for name, feed in wired.feeds.items()),
        outputs=tuple(_output(job, wired, name) for name in wired.op.outs),
        tags={**wired.op.tags, **wired.node.tags},
        description=wired.op.description,
        retry=_retry_rule(policy) if policy is not None else None,
        pool=wired.op.pool,
        resource_keys=tuple(sorted(job.required_resource_keys(wired.key))),
        timeout_seconds=_time_limit(wired),
    )


def _time_limit(wired: WiredOp) -> float | None:
    mistakes: list[str] = []
    of_this_use = checked_time_limit(None, wired.node.tags, mistakes)
    if mistakes:
        raise InvalidDefinitionError(numbered(f"Step '{wired.key}' cannot be right", mistakes))
    return of_this_use or wired.op.timeout_seconds


def _input(job: JobDefinition, wired: WiredOp, name: str, feed: Feed) -> StepInput:
    declared = wired.op.ins[name]
    key = job.asset_layer.inputs.get((wired.key, name)) if job.asset_layer is not None else None
    if key is None:
        key = declared.asset_key
    manager_key = declared.input_manager_key
    if manager_key is None and key is not None and not feed.sources and job.asset_layer is not None:
        # An asset that this job does not make is loaded by the manager that stores it wherever it is made.
        manager_key = job.asset_layer.io_manager_keys.get(key)
    given = not feed.place.path and feed.place.input_name in job.input_values
    has_default = not feed.sources and (given or needs_no_value(declared))
    is_open = not feed.sources and not has_default and not reads_asset(job, wired.key, name)
    return StepInput(
        name=name,
        sources=tuple(OutputRef(*source) for source in feed.sources),
        fan_in=feed.fan_in,
        loads=not declared.is_nothing,
        asset_key=None if key is None else key.to_user_string(),
        has_default=has_default,
        input_manager_key=manager_key,
        given_at=(feed.place.path, feed.place.input_name) if is_open else None,
    )


def _output(job: JobDefinition, wired: WiredOp, name: str) -> StepOutput:
    declared = wired.op.outs[name]
    key = job.asset_layer.outputs.get((wired.key, name)) if job.asset_layer is not None else None
    return StepOutput(
        name=name,
        is_required=declared.is_required,
        stores=not declared.is_nothing,
        asset_key=None if key is None else key.to_user_string(),
        io_manager_key=declared.manager_key,
    )


def _retry_rule(policy: RetryPolicy) -> RetryRule:
    return RetryRule(
        max_retries=policy.max_retries,
        # As a number of the declared type: a plan that was stored and read back has the same fingerprint.
        delay_seconds=None if policy.delay is None else float(policy.delay),
        backoff=policy.backoff.value if policy.backoff is not None else None,
        jitter=policy.jitter.value if policy.jitter is not None else None,
    )
