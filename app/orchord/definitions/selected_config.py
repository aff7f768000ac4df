"""What run config must hold when a run runs some of a job's steps: nothing of what the others need.

Config for the other steps may still be given, and is checked. This is a change to a config type as data, so that a
server without user code (instance/launch.py) and the process that runs the code (job_config.py) ask for the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from orchord.definitions.config.types import ConfigField, ConfigType, ShapeType, all_optional


@dataclass(frozen=True)
class ChosenSteps:
    """The steps that a run runs, and what they need from run config.

    Attributes:
        all_keys: the keys of every step of the job.
        keys: those that run.
        inputs: inputs that need a value from run config: the path of their node and their name.
        resource_keys: the resources that are set up, those that they need in turn included.
    """

    all_keys: Iterable[str]
    keys: Iterable[str]
    inputs: frozenset[tuple[str, str]] = frozenset()
    resource_keys: frozenset[str] = frozenset()

    @cached_property
    def all_paths(self) -> frozenset[str]:
        """The paths of every node of the job."""
        return _with_parents(self.all_keys)

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of nodes that run, or in which something runs."""
        return _with_parents(self.keys)


def closed_over(needs: Mapping[str, Iterable[str]], keys: Iterable[str]) -> frozenset[str]:
    """Return keys with all that they need in turn."""
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += needs.get(key, ())
    return frozenset(found)


def run_config_type(type_: ConfigType, chosen: ChosenSteps) -> ConfigType:
    """Return what run config must hold for some steps of a job, from what it must hold for all of them."""
    if not isinstance(type_, ShapeType):
        return type_
    fields = dict(type_.fields)
    for name, field in type_.fields.items():
        match name, field.type:
            case "ops", ShapeType() as shape:
                fields[name] = section(nodes_type(shape, "", chosen))
            case "resources", ShapeType() as shape:
                fields[name] = section(_relaxed(shape, chosen.resource_keys))
            case "inputs", ShapeType() as shape:
                fields[name] = section(_inputs(shape, "", chosen))
    return msgspec.structs.replace(type_, fields=fields)


def nodes_type(shape: ShapeType, prefix: str, chosen: ChosenSteps) -> ShapeType:
    """Return what must be given for the nodes of one graph.

    What is no node of the graph, as the ``config`` of a graph that has a mapping, stays as it is.
    """
    fields: dict[str, ConfigField] = {}
    for name, field in shape.fields.items():
        path = prefix + name
        if path not in chosen.all_paths:
            fields[name] = field
        elif path not in chosen.paths:
            fields[name] = _optional(field)
        else:
            fields[name] = section(_node(field.type, path, chosen)) if isinstance(field.type, ShapeType) else field
    return msgspec.structs.replace(shape, fields=fields)


def section(shape: ShapeType) -> ConfigField:
    """Return a field that may be left out when nothing in it is required."""
    if all_optional(shape):
        return ConfigField(shape, is_required=False, has_default=True, default={})
    return ConfigField(shape)


def _node(shape: ShapeType, path: str, chosen: ChosenSteps) -> ShapeType:
    fields = dict(shape.fields)
    inputs, ops = fields.get("inputs"), fields.get("ops")
    if inputs is not None and isinstance(inputs.type, ShapeType):
        fields["inputs"] = section(_inputs(inputs.type, path, chosen))
    if ops is not None and isinstance(ops.type, ShapeType):
        fields["ops"] = section(nodes_type(ops.type, f"{path}.", chosen))
    return msgspec.structs.replace(shape, fields=fields)


def _inputs(shape: ShapeType, path: str, chosen: ChosenSteps) -> ShapeType:
    return _relaxed(shape, {name for at, name in chosen.inputs if at == path})


def _relaxed(shape: ShapeType, needed: Iterable[str]) -> ShapeType:
    wanted = set(needed)
    fields = {name: field if name in wanted else _optional(field) for name, field in shape.fields.items()}
    return msgspec.structs.replace(shape, fields=fields)


def _optional(field: ConfigField) -> ConfigField:
    return msgspec.structs.replace(field, is_required=False) if field.is_required else field


def _with_parents(keys: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for key in keys:
        while key and key not in found:
            found.add(key)
            key = key.rpartition(".")[0]
    return frozenset(found)
