"""GraphDefinition and ``@graph``: ops and graphs wired together, usable as one node in a larger graph or as a job.

Tracing a graph function is composition.py, checking the result graph_check.py, running it a JobDefinition's business.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self, overload

from orchord.definitions.composition import Composed, compose
from orchord.definitions.config.config_class import build_config
from orchord.definitions.config.configurable import Configurable, config_class_of
from orchord.definitions.config.mapping import ConfigMapping
from orchord.definitions.dependency import (
    Dependency,
    DependencyStructure,
    InputMapping,
    NodeInvocation,
    OutputMapping,
)
from orchord.definitions.engine import engine
from orchord.definitions.graph_check import graph_mistakes, nodes_from_definitions
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import GraphIn, GraphOut
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.node import Node, NodeDefinition
from orchord.definitions.origin import at, calling_origin, origin_of
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.errors import InvalidDefinitionError, InvalidInvocationError, did_you_mean, numbered

if TYPE_CHECKING:
    from orchord.execution.result import ExecuteInProcessResult


class GraphDefinition(Configurable, NodeDefinition):
    """Ops and graphs wired together.

    ``@graph`` makes one from a function. The constructor takes the explicit form.

    Args:
        name: its name.
        description: for people.
        node_defs: the ops and graphs it uses.
        dependencies: for each node (its name, or a NodeInvocation that gives it an alias), what feeds its inputs.
        input_mappings: its own inputs, and the nodes they are passed to.
        output_mappings: its own outputs, and the nodes they come from.
        config: a ConfigMapping that makes the config of the nodes from a simpler one, or that config itself.
        tags: for people.
        metadata: for people.

    Raises:
        InvalidDefinitionError: the graph cannot be right; every mistake is listed.
    """

    _configured_needs_name = True

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        node_defs: Sequence[NodeDefinition] = (),
        dependencies: Mapping[str | NodeInvocation, Mapping[str, Dependency]] | None = None,
        input_mappings: Sequence[InputMapping] = (),
        output_mappings: Sequence[OutputMapping] = (),
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        origin = calling_origin()
        mistakes: list[str] = []
        nodes, structure = nodes_from_definitions(node_defs, dependencies or {}, origin, mistakes)
        composed = Composed(nodes, structure, list(input_mappings), list(output_mappings), mistakes)
        self._assemble(
            name, composed, origin, description=description, config=config, tags=tags, metadata=metadata, kind="Graph"
        )

    def _assemble(
        self,
        name: str,
        composed: Composed,
        origin: str,
        *,
        kind: str,
        description: str | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        ins: Mapping[str, GraphIn] | None = None,
        outs: Mapping[str, GraphOut] | None = None,
    ) -> None:
        mistakes = name_mistakes(f"a {kind.lower()}", name) + composed.mistakes
        mistakes += graph_mistakes(
            composed.nodes, composed.dependencies, composed.input_mappings, composed.output_mappings
        )
        if mistakes:
            headline = f"{kind} '{name}'" + (f" ({origin})" if origin else "") + " cannot be right"
            raise InvalidDefinitionError(numbered(headline, mistakes))
        self.name = name
        self.description = description
        self.nodes: dict[str, Node[Any]] = composed.nodes
        self.dependencies: DependencyStructure = composed.dependencies
        self.input_mappings: tuple[InputMapping, ...] = tuple(composed.input_mappings)
        self.output_mappings: tuple[OutputMapping, ...] = tuple(composed.output_mappings)
        given_ins, given_outs = ins or {}, outs or {}
        in_names = dict.fromkeys([*given_ins, *(mapping.graph_input_name for mapping in self.input_mappings)])
        out_names = [mapping.graph_output_name for mapping in self.output_mappings]
        self.ins: dict[str, GraphIn] = {name: given_ins.get(name, GraphIn()) for name in in_names}
        self.outs: dict[str, GraphOut] = {name: given_outs.get(name, GraphOut()) for name in out_names}
        self.config: ConfigMapping | None = _mapping(config, name)
        self.config_type = self.config.config_type if self.config is not None else None
        self.tags = normalized_tags(tags, f"graph '{name}'")
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.origin = origin
        self._outputs = {mapping.graph_output_name: mapping for mapping in self.output_mappings}
        self.__name__ = name

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        ins: Mapping[str, GraphIn] | None = None,
        out: GraphOut | Mapping[str, GraphOut] | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        kind: str = "Graph",
    ) -> GraphDefinition:
        """Trace a graph function, and make a graph of what it calls.

        Args:
            function: calls ops and graphs with each other's outputs; its parameters are the graph's inputs.
            name: the graph's name; the function's when left out.
            description: for people; the function's docstring when left out.
            ins: descriptions of the inputs.
            out: the outputs, when there are several, or when the only one is not named ``result``.
            config: see GraphDefinition.
            tags: for people.
            metadata: for people.
            kind: how errors call it: ``Graph`` or ``Job``.

        Raises:
            InvalidDefinitionError: the graph cannot be right; every mistake is listed.
        """
        if not callable(function):
            raise InvalidDefinitionError(
                f"@{kind.lower()} decorates {function!r}, which is no function. Options go by name: "
                f"@{kind.lower()}(name=...)."
            )
        graph_name = name if name is not None else getattr(function, "__name__", type(function).__name__)
        origin = origin_of(function)
        mistakes: list[str] = []
        input_names = _input_names(function, origin, mistakes)
        for declared in ins or {}:
            if declared not in input_names:
                hint = did_you_mean(declared, input_names) or " It has none."
                mistakes.append(at(origin, f"ins= names '{declared}', which is no parameter of the function.{hint}"))
        outs = {"result": out} if isinstance(out, GraphOut) else out
        composed = compose(function, graph_name, input_names, None if outs is None else tuple(outs), origin)
        composed.mistakes[:0] = mistakes
        made = cls.__new__(cls)
        made._assemble(
            graph_name,
            composed,
            origin,
            kind=kind,
            description=description if description is not None else inspect.getdoc(function),
            config=config,
            tags=tags,
            metadata=metadata,
            ins={name: (ins or {}).get(name, GraphIn()) for name in input_names},
            outs=outs,
        )
        made.__doc__ = function.__doc__
        return made

    def __repr__(self) -> str:
        """Name the graph."""
        return f"<GraphDefinition '{self.name}'>"

    @property
    def kind(self) -> str:
        """How messages call it."""
        return "graph"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Inputs in the order of the function's parameters."""
        return tuple(self.ins)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Outputs in the order in which they were declared or returned."""
        return tuple(self.outs)

    def input_types(self, name: str) -> list[Any]:
        """The types of every op's input that this input reaches."""
        found: list[Any] = []
        for mapping in self.input_mappings:
            if mapping.graph_input_name == name:
                found += self.nodes[mapping.mapped_node_name].definition.input_types(mapping.mapped_node_input_name)
        return found

    def output_type(self, name: str) -> Any:
        """The type of the op's output that this output is."""
        mapping = self._outputs[name]
        return self.nodes[mapping.mapped_node_name].definition.output_type(mapping.mapped_node_output_name)

    def output_mapping(self, name: str) -> OutputMapping:
        """Where one of its outputs comes from."""
        return self._outputs[name]

    def invoke_directly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NoReturn:
        """Refuse: a graph is no function that runs.

        Raises:
            InvalidInvocationError: always.
        """
        raise InvalidInvocationError(
            f"Graph '{self.name}' is called outside a graph. Call it in a function under @graph or @job, or run it by "
            f"{self.name}.execute_in_process()."
        )

    def replaced(self, **attributes: Any) -> Self:
        """Return a copy with other values of some attributes (``name``, ``config``, ``tags``, ...)."""
        made = copy.copy(self)
        for name, value in attributes.items():
            setattr(made, name, value)
        made.__name__ = made.name
        return made

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> Self:
        """Return a graph whose config is fixed, or is made from another config.

        Args:
            config_or_config_fn: this graph's config, or a function that makes it from the new graph's config.
            name: the new graph's name.
            config_schema: what the new graph's config must look like, with a function.
            description: for people; this graph's when left out.

        Raises:
            InvalidDefinitionError: no name is given, or the graph takes no config of its own.
        """
        if name is None:
            raise InvalidDefinitionError(f"Graph '{self.name}' is configured without a name. Give it one by name=.")
        if self.config is None:
            raise InvalidDefinitionError(
                f"Graph '{self.name}' takes no config of its own, so it cannot be configured. "
                "Give it one by @graph(config=ConfigMapping(...))."
            )
        inner = self.config
        if callable(config_or_config_fn):
            wanted = config_class_of(config_or_config_fn) if config_schema is None else None

            def made_of(config: Any) -> dict[str, Any]:
                given = config if wanted is None else build_config(wanted, config)
                return inner.resolve(_plain(config_or_config_fn(given)))

            outer = ConfigMapping(made_of, wanted or config_schema)
        else:
            outer = ConfigMapping(lambda _: inner.resolve(_plain(config_or_config_fn)), {})
        return self.replaced(
            name=name, config=outer, config_type=outer.config_type, description=description or self.description
        )

    def to_job(
        self,
        name: str | None = None,
        description: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        logger_defs: Mapping[str, Any] | None = None,
        executor_def: Any = None,
        hooks: Iterable[HookDefinition] | None = None,
        op_retry_policy: RetryPolicy | None = None,
        input_values: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        owners: Sequence[str] | None = None,
    ) -> JobDefinition:
        """Make a job of this graph. See ``@job`` for the arguments; tags of the graph are kept."""
        return JobDefinition(
            self,
            name=name,
            description=description,
            resource_defs=resource_defs,
            config=config,
            tags={**self.tags, **(tags or {})},
            metadata={**self.metadata, **(metadata or {})},
            logger_defs=logger_defs,
            executor_def=executor_def,
            hooks=hooks,
            op_retry_policy=op_retry_policy,
            input_values=input_values,
            run_tags=run_tags,
            owners=owners,
        )

    def execute_in_process(
        self,
        run_config: Any = None,
        instance: Any = None,
        resources: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,
        op_selection: Sequence[str] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
    ) -> ExecuteInProcessResult:
        """Run the graph in this process, as a job of its name. See ``JobDefinition.execute_in_process``."""
        return engine().execute_job(
            self.to_job(),
            run_config=run_config,
            instance=instance,
            resources=resources,
            raise_on_error=raise_on_error,
            op_selection=op_selection,
            asset_selection=None,
            run_id=run_id,
            input_values=input_values,
            tags=None,
        )


@overload
def graph(compose_fn: Callable[..., Any]) -> GraphDefinition: ...
@overload
def graph(
    compose_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
    config: Any = None,
) -> Callable[[Callable[..., Any]], GraphDefinition]: ...
def graph(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
    config: Any = None,
) -> GraphDefinition | Callable[[Callable[..., Any]], GraphDefinition]:
    """Make a graph of a function that calls ops and graphs with each other's outputs.

    The function runs once, when it is decorated, and sees placeholders instead of values.

    Args:
        compose_fn: the function, when used without parentheses.
        name: the graph's name; the function's when left out.
        description: for people; the function's docstring when left out.
        ins: descriptions of the inputs, which are the function's parameters.
        out: the outputs, when there are several. The function returns a dict of them by name, or a tuple in order.
        tags: for people.
        config: a ConfigMapping that makes the nodes' config from a simpler one, or that config itself.

    Raises:
        InvalidDefinitionError: the graph cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> GraphDefinition:
        return GraphDefinition.from_function(
            function, name=name, description=description, ins=ins, out=out, config=config, tags=tags
        )

    return define if compose_fn is None else define(compose_fn)


def _mapping(config: Any, name: str) -> ConfigMapping | None:
    if config is None or isinstance(config, ConfigMapping):
        return config
    if isinstance(config, Mapping):
        return ConfigMapping(lambda _: dict(config), {})
    raise InvalidDefinitionError(f"config= of graph '{name}' is {config!r}: give a ConfigMapping or a dict.")


def _plain(config: Any) -> Any:
    return config.to_config_dict() if hasattr(config, "to_config_dict") else config


def _input_names(function: Callable[..., Any], origin: str, mistakes: list[str]) -> list[str]:
    names = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            mistakes.append(at(origin, f"its parameter '*{parameter.name}' takes any number of inputs: name each"))
        elif parameter.default is not inspect.Parameter.empty:
            fix = "give the op's input the default instead, or the job input_values="
            mistakes.append(at(origin, f"its input '{parameter.name}' has a default, which no node would see: {fix}"))
            names.append(parameter.name)
        else:
            names.append(parameter.name)
    return names
