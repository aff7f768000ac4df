"""Limits that an executor's config sets on the steps of one run, as data: so many at once, in all or by tag.

Pure: who counts and who waits is orchord.storage.launch_store; limits over all runs are pools and the run queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run

# What the waiters of a run's own limits are kept under, beside the pools that people name.
RUN_POOL_PREFIX = "$run/"


class RunGate(msgspec.Struct, frozen=True):
    """At most ``limit`` of these steps run at once. ``step_keys`` None: all steps of the run. ``name``: for people."""

    limit: int
    step_keys: frozenset[str] | None = None
    name: str = "max_concurrent"

    def holds(self, step_key: str) -> bool:
        """Whether a step counts."""
        return self.step_keys is None or step_key in self.step_keys

    def has_room(self, step_key: str, running: Iterable[str]) -> bool:
        """Whether a step may start beside those that run."""
        return not self.holds(step_key) or sum(self.holds(key) for key in running) < self.limit


def run_pool(run_id: str) -> str:
    """Return what the waiters of a run's own limits are kept under."""
    return RUN_POOL_PREFIX + run_id


def executor_config(run: Run) -> Mapping[str, Any]:
    """Return what a run's executor is told: what the job's code fixed, or else what run config says."""
    if run.executor_config:
        return run.executor_config
    execution = run.run_config.get("execution")
    config = execution.get("config") if isinstance(execution, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def gates_of(config: Mapping[str, Any], plan: ExecutionPlan) -> tuple[RunGate, ...]:
    """Return the limits of an executor's config; none when it sets none.

    ``max_concurrent``: of all steps. ``tag_concurrency_limits``: of the steps with a tag, or with one value of it;
    with ``value: {applyLimitPerUniqueValue: true}`` each value has the limit for itself.
    """
    gates: list[RunGate] = []
    most = config.get("max_concurrent")
    if isinstance(most, int) and most > 0:
        gates.append(RunGate(most))
    limits = config.get("tag_concurrency_limits")
    for limit in limits if isinstance(limits, Sequence) else ():
        gates += _tag_gates(limit, plan.steps)
    return tuple(gates)


def _tag_gates(limit: Mapping[str, Any], steps: Sequence[Step]) -> list[RunGate]:
    key, value, most = str(limit["key"]), limit.get("value"), int(limit["limit"])
    tagged = {step.key: step.tags[key] for step in steps if key in step.tags}
    if isinstance(value, Mapping):
        values = dict.fromkeys(tagged.values()) if value.get("applyLimitPerUniqueValue") else ()
        return [_gate(tagged, most, f"{key}={one}", one) for one in values]
    if value is not None:
        return [_gate(tagged, most, f"{key}={value}", str(value))]
    return [RunGate(most, frozenset(tagged), key)] if tagged else []


def _gate(tagged: Mapping[str, str], limit: int, name: str, value: str) -> RunGate:
    return RunGate(limit, frozenset(key for key, one in tagged.items() if one == value), name)
