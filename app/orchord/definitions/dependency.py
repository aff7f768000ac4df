"""Edges of a graph as the user writes them: which output feeds which input, and what a node is invoked as.

``@graph`` functions make these by being traced (composition.py); GraphDefinition also takes them ready-made. The same
edges between steps, nested graphs resolved, are in wiring.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.errors import InvalidDefinitionError

if TYPE_CHECKING:
    from orchord.definitions.hooks import HookDefinition
    from orchord.definitions.retry import RetryPolicy


@dataclass(frozen=True)
class DependencyDefinition:
    """An edge that comes from one output of one node.

    Args:
        node: the name (or alias) of the node that the value comes from.
        output: the output of that node.
        description: why this edge is there.
    """

    node: str
    output: str = DEFAULT_OUTPUT
    description: str | None = None
    origin: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class GraphInputRef:
    """A member of a fan-in that comes from an input of the graph that the node stands in."""

    name: str


@dataclass(frozen=True)
class MultiDependencyDefinition:
    """Edges from several outputs into one input, which gets the list of their values in this order.

    Args:
        dependencies: the edges. In a traced graph, members may also be inputs of the graph.
    """

    dependencies: Sequence[DependencyDefinition | GraphInputRef]
    origin: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dependencies", tuple(self.dependencies))
        if not self.dependencies:
            raise InvalidDefinitionError("MultiDependencyDefinition needs at least one dependency.")

    def members(self) -> Iterable[DependencyDefinition]:
        """The members that come from nodes of the same graph."""
        return (member for member in self.dependencies if isinstance(member, DependencyDefinition))


@dataclass(frozen=True, eq=False)
class NodeInvocation:
    """One use of a node in explicit dependencies, when its name alone does not say enough.

    Args:
        name: the name of the op or graph.
        alias: the name of this use.
        tags: tags of this use, merged over the op's.
        hook_defs: hooks of this use.
        retry_policy: the retry policy of this use.
    """

    name: str
    alias: str | None = None
    tags: Mapping[str, Any] | None = None
    hook_defs: Iterable[HookDefinition] = ()
    retry_policy: RetryPolicy | None = None


@dataclass(frozen=True)
class InputMapping:
    """An input of a graph that is passed on to an input of a node inside it. One input may have several mappings.

    Args:
        graph_input_name: the graph's input.
        mapped_node_name: the node inside the graph.
        mapped_node_input_name: the node's input.
        graph_input_description: a description of the graph's input.
    """

    graph_input_name: str
    mapped_node_name: str
    mapped_node_input_name: str
    graph_input_description: str | None = None
    origin: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class OutputMapping:
    """An output of a graph, and the output of a node inside it that it is.

    Args:
        graph_output_name: the graph's output.
        mapped_node_name: the node inside the graph.
        mapped_node_output_name: the node's output.
        graph_output_description: a description of the graph's output.
    """

    graph_output_name: str
    mapped_node_name: str
    mapped_node_output_name: str = DEFAULT_OUTPUT
    graph_output_description: str | None = None
    origin: str = field(default="", compare=False, repr=False)


Dependency = DependencyDefinition | MultiDependencyDefinition
DependencyStructure = dict[str, dict[str, Dependency]]
