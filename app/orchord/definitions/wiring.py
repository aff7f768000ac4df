"""A job's graph with its nesting resolved: each op by its path, and where each of its inputs comes from.

The plan's compiler turns this into steps (plan/compile.py); config for inputs that nothing feeds is placed by it
(job_config.py). Edges as the user wrote them are dependency.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from orchord.definitions.dependency import Dependency, DependencyDefinition, GraphInputRef, MultiDependencyDefinition
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import In
from orchord.definitions.node import Node
from orchord.definitions.op import OpDefinition
from orchord.definitions.origin import at

if TYPE_CHECKING:
    from orchord.definitions.graph import GraphDefinition


class Source(NamedTuple):
    """One output of one op."""

    step_key: str
    output_name: str


class Place(NamedTuple):
    """One input of one node. The job's own inputs have an empty path."""

    path: str
    input_name: str


@dataclass(frozen=True, slots=True)
class Feed:
    """What feeds an input: outputs, or nothing but what is given from outside at ``place``."""

    sources: tuple[Source, ...]
    fan_in: bool
    place: Place


@dataclass(frozen=True, slots=True)
class WiredOp:
    """One op of a job. ``parents`` are the graph nodes it stands in, outermost first."""

    key: str
    node: Node[OpDefinition]
    op: OpDefinition
    parents: tuple[Node[Any], ...]
    feeds: Mapping[str, Feed]

    def hooks(self) -> frozenset[HookDefinition]:
        """The hooks of this op, of this use of it, and of the graphs it stands in."""
        return self.op.hooks.union(self.node.hook_defs, *(parent.hook_defs for parent in self.parents))


@dataclass(frozen=True)
class Wiring:
    """A whole job: ops by step key, each after all that feed it."""

    ops: dict[str, WiredOp]
    mistakes: tuple[str, ...] = ()
    open_places: dict[Place, list[tuple[str, str]]] = field(default_factory=dict)
    """Inputs that nothing feeds: where a value for them is given, and the (step key, input) pairs it reaches."""


def wire(graph: GraphDefinition) -> Wiring:
    """Resolve a graph's nesting. Mistakes that only show then are listed in the result."""
    wirer = _Wirer()
    outer = {name: Feed((), False, Place("", name)) for name in graph.input_names}
    wirer.add(graph, "", (), outer)
    ordered = _in_order(wirer.ops)
    open_places: dict[Place, list[tuple[str, str]]] = {}
    for wired in ordered.values():
        for name, feed in wired.feeds.items():
            if not feed.sources:
                open_places.setdefault(feed.place, []).append((wired.key, name))
    return Wiring(ordered, tuple(wirer.mistakes), open_places)


class _Wirer:
    def __init__(self) -> None:
        self.ops: dict[str, WiredOp] = {}
        self.mistakes: list[str] = []

    def add(
        self, graph: GraphDefinition, prefix: str, parents: tuple[Node[Any], ...], outer: Mapping[str, Feed]
    ) -> None:
        mapped = {(m.mapped_node_name, m.mapped_node_input_name): m.graph_input_name for m in graph.input_mappings}
        for node in graph.nodes.values():
            path = prefix + node.name
            edges = graph.dependencies.get(node.name, {})
            feeds: dict[str, Feed] = {}
            for name in node.definition.input_names:
                place = Place(path, name)
                if name in edges:
                    feeds[name] = self._fed(graph, prefix, edges[name], place, outer, node)
                elif (node.name, name) in mapped:
                    feeds[name] = outer[mapped[node.name, name]]
                else:
                    feeds[name] = Feed((), False, place)
            if isinstance(node.definition, OpDefinition):
                self.ops[path] = WiredOp(path, node, node.definition, parents, feeds)
            else:
                inner: GraphDefinition = node.definition
                self.add(inner, f"{path}.", (*parents, node), feeds)

    def _fed(
        self,
        graph: GraphDefinition,
        prefix: str,
        edge: Dependency,
        place: Place,
        outer: Mapping[str, Feed],
        node: Node[Any],
    ) -> Feed:
        if isinstance(edge, DependencyDefinition):
            return Feed((_source(graph, prefix, edge.node, edge.output),), False, place)
        sources: list[Source] = []
        for member in edge.dependencies:
            if not isinstance(member, GraphInputRef):
                sources.append(_source(graph, prefix, member.node, member.output))
                continue
            feed = outer[member.name]
            if len(feed.sources) == 1 and not feed.fan_in:
                sources += feed.sources
                continue
            what = "is itself a list" if feed.fan_in else "is fed by no op"
            sentence = f"the list for input '{place.input_name}' of {node.describe()} holds the graph's input"
            self.mistakes.append(at(node.origin, f"{sentence} '{member.name}', which {what}: pass an op's output"))
        return Feed(tuple(sources), isinstance(edge, MultiDependencyDefinition), place)


def _source(graph: GraphDefinition, prefix: str, node_name: str, output_name: str) -> Source:
    """Follow an output of a node down to the op that gives it."""
    definition = graph.nodes[node_name].definition
    while not isinstance(definition, OpDefinition):
        inner: GraphDefinition = definition
        mapping = inner.output_mapping(output_name)
        prefix = f"{prefix}{node_name}."
        node_name, output_name = mapping.mapped_node_name, mapping.mapped_node_output_name
        definition = inner.nodes[node_name].definition
    return Source(prefix + node_name, output_name)


def _in_order(ops: Mapping[str, WiredOp]) -> dict[str, WiredOp]:
    """Sort so that each op comes after all that feed it, and else stays where the user wrote it."""
    place = {key: number for number, key in enumerate(ops)}
    keys = list(ops)
    upstream = {
        key: {source.step_key for feed in wired.feeds.values() for source in feed.sources} for key, wired in ops.items()
    }
    waiting = {key: len(ups) for key, ups in upstream.items()}
    downstream: dict[str, list[str]] = {key: [] for key in ops}
    for key, ups in upstream.items():
        for up in ups:
            downstream[up].append(key)
    ready = [place[key] for key, count in waiting.items() if not count]
    heapq.heapify(ready)
    ordered: dict[str, WiredOp] = {}
    while ready:
        key = keys[heapq.heappop(ready)]
        ordered[key] = ops[key]
        for down in downstream[key]:
            waiting[down] -= 1
            if not waiting[down]:
                heapq.heappush(ready, place[down])
    return ordered


def needs_no_value(definition: In) -> bool:
    """Whether an input that nothing feeds needs no value from outside."""
    return definition.has_default_value or definition.is_nothing
