"""What run config a job takes, as a config type, and run config resolved to what each step needs.

The type is pure data and goes into snapshots; resolving calls users' config mappings, so it happens where user code
is. Environment variables stay references here and are read in execution/.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.config.annotations import annotation_type
from orchord.definitions.config.check import check_config
from orchord.definitions.config.configurable import required_config
from orchord.definitions.config.run_config import as_run_config
from orchord.definitions.config.schema import Field
from orchord.definitions.config.types import (
    ANY,
    ArrayType,
    ConfigField,
    ConfigType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
)
from orchord.definitions.executors import default_executor
from orchord.definitions.in_out import In
from orchord.definitions.job_resources import job_resource_keys, reads_asset
from orchord.definitions.op import OpDefinition
from orchord.definitions.selected_config import ChosenSteps, nodes_type, run_config_type, section
from orchord.definitions.types import Any as AnyType
from orchord.definitions.wiring import Place, needs_no_value
from orchord.errors import InvalidConfigError

if TYPE_CHECKING:
    from orchord.definitions.graph import GraphDefinition
    from orchord.definitions.job_definition import JobDefinition
    from orchord.definitions.node import Node

_FILE = ConfigField(
    UnionType((ScalarType("String"), ShapeType("", {"path": ConfigField(ScalarType("String"))}))),
    description="the path of a file that holds the value",
)
_MAPPED = "config mapping of"


@dataclass(frozen=True)
class ResolvedRunConfig:
    """A job's run config, checked, defaults filled in, sorted by who needs it. Not to be changed: it is shared.

    Attributes:
        ops: the config of each step, as it stands before ``.configured`` layers; steps without config are absent.
        inputs: for each step, what was given for inputs that nothing feeds, as it was given.
        resources: by resource key, ``{"config": ...}``.
        execution: the executor's config, ``{"config": ...}``.
        loggers: by logger name, ``{"config": ...}``.
    """

    ops: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    execution: dict[str, Any] = field(default_factory=dict)
    loggers: dict[str, Any] = field(default_factory=dict)


def job_config_type(job: JobDefinition) -> ConfigType:
    """Return what the run config of a job must look like."""
    return full_config_type(job) if job.config_mapping is None else job.config_mapping.config_type


def full_config_type(job: JobDefinition) -> ShapeType:
    """Return what the run config of a job must look like beneath its config mapping, if it has one."""
    needed = job_resource_keys(job)
    fields = {
        "ops": section(_graph_config_shape(job, job.graph, "")),
        "resources": section(
            ShapeType("", {key: _entry(item.config_type, key in needed) for key, item in job.resource_defs.items()})
        ),
        "execution": section(_configured_by(job.executor_def or default_executor)),
        "loggers": section(_loggers_shape(job)),
    }
    inputs = _inputs_shape(job, "", job.graph.input_names)
    if inputs.fields:
        fields["inputs"] = section(inputs)
    return ShapeType("", fields)


def resolve_run_config(
    job: JobDefinition, run_config: Any, step_keys: Collection[str] | None = None
) -> ResolvedRunConfig:
    """Check a job's run config, and sort it by who needs it.

    Args:
        job: the job.
        run_config: a dict or a RunConfig. None: the job's own default.
        step_keys: the steps that run; None: all. What only others need may be left out.

    Raises:
        InvalidConfigError: every mistake, with its path.
    """
    given = job.default_run_config() if run_config is None else as_run_config(run_config)
    headline = f"Run config of job '{job.name}' has mistakes"
    if job.config_mapping is not None:
        given = as_run_config(job.config_mapping.resolve(given))
        headline = f"Run config that the config mapping of job '{job.name}' makes has mistakes"
    type_: ConfigType = full_config_type(job) if job.config_mapping else job.config_type()
    chosen = None if step_keys is None else chosen_steps(job, step_keys)
    checked = check_config(type_ if chosen is None else run_config_type(type_, chosen), given)
    if checked.mistakes:
        raise InvalidConfigError(headline, checked.mistakes)
    value = checked.value
    resolver = _Resolver(job, chosen)
    resolver.graph_or_mapped(job.graph, value["ops"], "")
    if resolver.mistakes:
        raise InvalidConfigError(headline, resolver.mistakes)
    return ResolvedRunConfig(
        ops=resolver.ops,
        inputs=_inputs_by_step(job, {"": value.get("inputs", {}), **resolver.inputs}),
        resources=value["resources"],
        execution=value["execution"],
        loggers=value["loggers"],
    )


def chosen_steps(job: JobDefinition, step_keys: Collection[str]) -> ChosenSteps:
    """Return what some steps of a job need from run config. Steps that the job does not have are passed over."""
    wanted = set(step_keys)
    keys = [key for key in job.wiring.ops if key in wanted]
    inputs = {
        (feed.place.path, feed.place.input_name)
        for key in keys
        for name, feed in job.wiring.ops[key].feeds.items()
        if not feed.sources and not _may_be_left_out(job, feed.place, job.wiring.ops[key].op.ins[name])
    }
    return ChosenSteps(job.wiring.ops, keys, frozenset(inputs), job_resource_keys(job, keys))


class _Resolver:
    """Walks a graph beside its config, through config mappings. Nodes in which nothing runs are passed over."""

    def __init__(self, job: JobDefinition, chosen: ChosenSteps | None) -> None:
        self.job = job
        self.chosen = chosen
        self.ops: dict[str, Any] = {}
        self.inputs: dict[str, Mapping[str, Any]] = {}
        self.mistakes: list[str] = []

    def graph(self, graph: GraphDefinition, entries: Mapping[str, Any], prefix: str) -> None:
        for name, node in graph.nodes.items():
            entry = entries.get(name) or {}
            path = prefix + name
            if self.chosen is not None and path not in self.chosen.paths:
                continue
            if "inputs" in entry:
                self.inputs[path] = entry["inputs"]
            if isinstance(node.definition, OpDefinition):
                if "config" in entry:
                    self.ops[path] = entry["config"]
                continue
            self.graph_or_mapped(node.definition, entry if node.definition.config else entry.get("ops", {}), f"{path}.")

    def graph_or_mapped(self, graph: GraphDefinition, entry: Mapping[str, Any], prefix: str) -> None:
        """Take what stands for a graph: the config of its mapping, or entries for its nodes."""
        if graph.config is None:
            self.graph(graph, entry, prefix)
            return
        try:
            made = as_run_config({"ops": graph.config.resolve(entry.get("config"), f"ops.{prefix}config")})["ops"]
        except InvalidConfigError as error:
            self.mistakes += error.mistakes
            return
        where = f"({_MAPPED} {prefix.rstrip('.') or self.job.name})"
        shape = _graph_shape(self.job, graph, prefix)
        shape = shape if self.chosen is None else nodes_type(shape, prefix, self.chosen)
        checked = check_config(shape, made, where)
        self.mistakes += checked.mistakes
        if not checked.mistakes:
            self.graph(graph, checked.value, prefix)


def _graph_config_shape(job: JobDefinition, graph: GraphDefinition, prefix: str) -> ShapeType:
    """What stands for a whole graph under ``ops``: ``{"config": ...}`` when it has a mapping, else its nodes."""
    if graph.config is not None:
        return ShapeType("", {"config": _config_field(graph.config.config_type, graph.config.schema)})
    return _graph_shape(job, graph, prefix)


def _graph_shape(job: JobDefinition, graph: GraphDefinition, prefix: str) -> ShapeType:
    fields = {name: section(_node_shape(job, node, prefix + name)) for name, node in graph.nodes.items()}
    return ShapeType("", fields)


def _node_shape(job: JobDefinition, node: Node[Any], path: str) -> ShapeType:
    definition = node.definition
    fields: dict[str, ConfigField] = {}
    if isinstance(definition, OpDefinition):
        fields["config"] = _config_field(definition.config_type, definition.outer_schema)
    else:
        graph: GraphDefinition = definition
        shape = _graph_config_shape(job, graph, f"{path}.")
        if graph.config is not None:
            fields |= shape.fields
        else:
            fields["ops"] = section(shape)
    inputs = _inputs_shape(job, path, definition.input_names)
    if inputs.fields:
        fields["inputs"] = section(inputs)
    return ShapeType("", fields, description=definition.description)


def _inputs_shape(job: JobDefinition, path: str, names: tuple[str, ...]) -> ShapeType:
    fields: dict[str, ConfigField] = {}
    for name in names:
        place = Place(path, name)
        reached = [target for target in job.wiring.open_places.get(place, ()) if not reads_asset(job, *target)]
        for step_key, input_name in reached:
            declared = job.wiring.ops[step_key].op.ins[input_name]
            type_ = input_config_type(declared)
            if type_ is None:
                continue
            optional = _may_be_left_out(job, place, declared)
            known = fields.get(name)
            fields[name] = ConfigField(type_, is_required=not optional or (known is not None and known.is_required))
    return ShapeType("", fields)


def _may_be_left_out(job: JobDefinition, place: Place, declared: In) -> bool:
    """Whether an input that nothing feeds has a value without run config."""
    return needs_no_value(declared) or (not place.path and place.input_name in job.input_values)


def _inputs_by_step(job: JobDefinition, given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path, values in given.items():
        for name, value in values.items():
            for step_key, input_name in job.wiring.open_places.get(Place(path, name), ()):
                found.setdefault(step_key, {})[input_name] = value
    return found


def input_config_type(declared: In) -> ConfigType | None:
    """Return what a value for an input looks like in run config; None when it cannot be given there."""
    type_ = declared.dagster_type
    if type_.is_nothing:
        return None
    if type_ is AnyType:
        return ANY
    direct: ConfigType | None = type_.config_type
    if direct is None and declared.input_manager_key is None:
        direct = _container_type(type_.typing_type)
    if direct is None:
        return None
    forms = {"value": ConfigField(direct), "json": _FILE, "pickle": _FILE}
    return UnionType((direct, SelectorType(forms)))


def _container_type(annotation: Any) -> ConfigType | None:
    """Return the config type of plain containers and options of plain values, such as ``list[int]``."""
    if annotation is Any:
        return None
    found = annotation_type(annotation)
    return found if isinstance(found, ArrayType | MapType | NoneableType) and _is_known(found) else None


def _is_known(type_: ConfigType) -> bool:
    match type_:
        case NoneableType(inner=inner):
            return type_.inner != ANY and _is_known(inner)
        case ArrayType(inner=inner) | MapType(value=inner):
            return inner == ANY or _is_known(inner)
        case _:
            return type_ != ANY


def _config_field(config_type: ConfigType | None, schema: Any = None) -> ConfigField:
    """The ``config`` field of an op, a resource or the like: required only where a value must be given."""
    if isinstance(schema, Field):
        return schema.as_data()
    if config_type is None or config_type == ANY:
        return ConfigField(ANY, is_required=False)
    if not required_config(config_type):
        return ConfigField(config_type, is_required=False, has_default=True, default={})
    return ConfigField(config_type, is_required=not isinstance(config_type, NoneableType))


def _entry(config_type: ConfigType | None, is_needed: bool) -> ConfigField:
    inner = _config_field(config_type)
    shape = ShapeType("", {"config": inner})
    if inner.is_required and not is_needed:
        return ConfigField(shape, is_required=False)
    return section(shape)


def _configured_by(definition: Any) -> ShapeType:
    config_type = getattr(definition, "config_type", None)
    return ShapeType("", {"config": _config_field(config_type)})


def _loggers_shape(job: JobDefinition) -> ShapeType:
    loggers = job.logger_defs or {"console": None}
    return ShapeType(
        "", {name: _entry(getattr(item, "config_type", None), is_needed=False) for name, item in loggers.items()}
    )
