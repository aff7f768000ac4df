"""Which resources the steps of a job need, and which of them it lacks.

What a resource needs itself, and setting resources up, is resources/opening.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.op import OpDefinition
from orchord.definitions.resources.opening import needed_resource_keys
from orchord.errors import did_you_mean

if TYPE_CHECKING:
    from orchord.definitions.job_definition import JobDefinition


def reads_asset(job: JobDefinition, step_key: str, input_name: str) -> bool:
    """Whether an input that nothing feeds is read from an asset, or by a manager of its own."""
    declared = job.wiring.ops[step_key].op.ins[input_name]
    if declared.asset_key is not None or declared.input_manager_key is not None:
        return True
    return job.asset_layer is not None and (step_key, input_name) in job.asset_layer.inputs


def step_resource_keys(job: JobDefinition, step_key: str) -> frozenset[str]:
    """Return what a step needs: its op's keys, its hooks', and the managers of what it reads and makes."""
    wired = job.wiring.ops[step_key]
    keys = set(wired.op.required_resource_keys)
    keys |= {out.manager_key for out in wired.op.outs.values() if not out.is_nothing}
    for name, feed in wired.feeds.items():
        declared = wired.op.ins[name]
        if declared.is_nothing:
            continue
        if declared.input_manager_key is not None:
            keys.add(declared.input_manager_key)
        elif feed.sources:
            keys |= {job.wiring.ops[key].op.outs[output].manager_key for key, output in feed.sources}
        elif reads_asset(job, step_key, name):
            keys.add(_asset_manager_key(job, step_key, name))
    for hook in job.step_hooks(step_key):
        keys |= hook.required_resource_keys
    return frozenset(keys)


def node_resource_keys(definition: Any) -> frozenset[str]:
    """Return what an op, or the ops of a graph, need by themselves: their own keys, and the managers that they name."""
    if not isinstance(definition, OpDefinition):
        return frozenset().union(*(node_resource_keys(node.definition) for node in definition.nodes.values()))
    outputs = {out.manager_key for out in definition.outs.values() if not out.is_nothing}
    inputs = {item.input_manager_key for item in definition.ins.values() if item.input_manager_key is not None}
    hooks = (hook.required_resource_keys for hook in definition.hooks)
    return definition.required_resource_keys.union(outputs, inputs, *hooks)


def job_resource_keys(job: JobDefinition, step_keys: Iterable[str] | None = None) -> frozenset[str]:
    """Return the resources that a run of some steps (None: all) sets up, those that they need in turn included."""
    direct = {
        key
        for step_key in (job.wiring.ops if step_keys is None else step_keys)
        for key in step_resource_keys(job, step_key)
    }
    needed, _ = needed_resource_keys(job.resource_defs, direct)
    return frozenset(direct | needed)


def resource_mistakes(job: JobDefinition) -> list[str]:
    """Return one sentence for each resource that the job needs and does not have, and for each circle of needs."""
    users: dict[str, list[str]] = {}
    for step_key in job.wiring.ops:
        for key in step_resource_keys(job, step_key):
            users.setdefault(key, []).append(step_key)
    mistakes = []
    for key in sorted(set(users) - set(job.resource_defs)):
        first, *others = users[key]
        who = f"step '{first}' needs" if not others else f"step '{first}' and {len(others)} more need"
        hint = did_you_mean(key, job.resource_defs) or " It has no resources."
        mistakes.append(f"job '{job.name}' has no resource '{key}', which {who}.{hint}")
    _, inner = needed_resource_keys(job.resource_defs, set(users) & set(job.resource_defs))
    return mistakes + inner


def _asset_manager_key(job: JobDefinition, step_key: str, input_name: str) -> str:
    layer = job.asset_layer
    key = layer.inputs.get((step_key, input_name)) if layer is not None else None
    if layer is None or key is None:
        return DEFAULT_IO_MANAGER_KEY
    return layer.io_manager_keys.get(key, DEFAULT_IO_MANAGER_KEY)
