"""What must hold for a graph's nodes and edges, however they were written. Finds every mistake; raises nothing.

Mistakes in single calls are found while a graph function is traced (composition.py); what a whole job needs beyond
its graph (values for inputs that nothing feeds) is checked in wiring.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchord.definitions.dependency import (
    Dependency,
    DependencyDefinition,
    DependencyStructure,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    OutputMapping,
)
from orchord.definitions.node import Node, NodeDefinition, checked_hooks
from orchord.definitions.op import OpDefinition
from orchord.definitions.origin import at
from orchord.definitions.tags import normalized_tags
from orchord.definitions.types import DagsterType, Nothing
from orchord.errors import did_you_mean

_PLAIN = (bool, int, float, str, bytes, list, dict, set, tuple)


def nodes_from_definitions(
    node_defs: Sequence[Any],
    dependencies: Mapping[str | NodeInvocation, Mapping[str, Dependency]],
    origin: str,
    mistakes: list[str],
) -> tuple[dict[str, Node[Any]], DependencyStructure]:
    """Turn the explicit form of a graph into nodes and edges by node name."""
    definitions: dict[str, NodeDefinition] = {}
    for definition in node_defs:
        if not isinstance(definition, NodeDefinition):
            mistakes.append(at(origin, f"node_defs holds {definition!r}: give ops and graphs"))
        elif definitions.setdefault(definition.name, definition) is not definition:
            mistakes.append(at(origin, f"node_defs holds two different definitions named '{definition.name}'"))
    nodes: dict[str, Node[Any]] = {}
    structure: DependencyStructure = {}
    for key, edges in dependencies.items():
        invocation = key if isinstance(key, NodeInvocation) else NodeInvocation(key)
        found = definitions.get(invocation.name)
        name = invocation.alias or invocation.name
        if found is None:
            hint = did_you_mean(invocation.name, definitions)
            mistakes.append(at(origin, f"dependencies name '{invocation.name}', which is not in node_defs.{hint}"))
            continue
        if name in nodes:
            mistakes.append(at(origin, f"two nodes are named '{name}': give one of them another alias"))
            continue
        nodes[name] = Node(
            name,
            found,
            normalized_tags(invocation.tags, f"node '{name}'"),
            checked_hooks(invocation.hook_defs, f"node '{name}'"),
            invocation.retry_policy,
            origin,
        )
        structure[name] = dict(edges)
    used = {id(node.definition) for node in nodes.values()}
    for name, definition in definitions.items():
        if id(definition) not in used and name not in nodes:
            nodes[name], structure[name] = Node(name, definition, origin=origin), {}
    return nodes, structure


def graph_mistakes(
    nodes: Mapping[str, Node[Any]],
    dependencies: DependencyStructure,
    input_mappings: Iterable[InputMapping],
    output_mappings: Iterable[OutputMapping],
) -> list[str]:
    """Return every mistake of a graph's nodes and edges, each with the user's line where it is known."""
    mistakes = _names_that_differ(nodes)
    for name, edges in dependencies.items():
        for input_name, edge in edges.items():
            mistakes += _edge_mistakes(nodes, nodes[name], input_name, edge)
    for mapping in input_mappings:
        node = nodes.get(mapping.mapped_node_name)
        goal = f"its input '{mapping.graph_input_name}' is mapped to"
        if node is None:
            hint = did_you_mean(mapping.mapped_node_name, nodes)
            mistakes.append(at(mapping.origin, f"{goal} '{mapping.mapped_node_name}', which is no node of it.{hint}"))
        elif mapping.mapped_node_input_name not in node.definition.input_names:
            hint = did_you_mean(mapping.mapped_node_input_name, node.definition.input_names) or " It takes none."
            what = f"input '{mapping.mapped_node_input_name}', which {node.describe()} does not have.{hint}"
            mistakes.append(at(mapping.origin, f"{goal} {what}"))
        elif mapping.mapped_node_input_name in dependencies.get(node.name, {}):
            what = f"input '{mapping.mapped_node_input_name}' of {node.describe()}, which another node feeds already"
            mistakes.append(at(mapping.origin, f"{goal} {what}"))
    for output in output_mappings:
        goal = f"its output '{output.graph_output_name}' is mapped to"
        source = DependencyDefinition(output.mapped_node_name, output.mapped_node_output_name)
        wrong = _source_mistake(nodes, source)
        if wrong:
            mistakes.append(at(output.origin, f"{goal} {wrong}"))
    cycle = find_cycle(nodes, lambda name: _upstream_names(dependencies.get(name, {}), nodes))
    if cycle:
        mistakes.append(at(nodes[cycle[0]].origin, f"its nodes form a cycle: {' -> '.join(cycle)}"))
    return mistakes


def find_cycle(names: Iterable[str], upstream: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Return one cycle as a path in the direction of the data, its first name repeated at the end; None without one."""
    done: set[str] = set()
    for root in names:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                on_path.discard(path.pop())
                done.add(name)
                continue
            if name in on_path:
                loop = [*path[path.index(name) :], name]
                return loop[::-1]
            if name in done:
                continue
            path.append(name)
            on_path.add(name)
            stack.append((name, True))
            stack += [(up, False) for up in upstream(name) if up not in done]
    return None


def _upstream_names(edges: Mapping[str, Dependency], nodes: Mapping[str, Node[Any]]) -> list[str]:
    names = [source.node for edge in edges.values() for source in _sources(edge)]
    return [name for name in names if name in nodes]


def _sources(edge: Any) -> list[DependencyDefinition]:
    if isinstance(edge, MultiDependencyDefinition):
        return list(edge.members())
    return [edge] if isinstance(edge, DependencyDefinition) else []


def _names_that_differ(nodes: Mapping[str, Node[Any]]) -> list[str]:
    first: dict[str, Node[Any]] = {}
    mistakes = []
    for node in nodes.values():
        earlier = first.setdefault(node.definition.name, node)
        if earlier.definition is not node.definition:
            kinds = "ops" if node.definition.kind == earlier.definition.kind == "op" else "definitions"
            where = [getattr(one.definition, "origin", "") for one in (earlier, node)]
            places = f" ({where[0]} and {where[1]})" if all(where) else ""
            mistakes.append(
                at(node.origin, f"two different {kinds} are named '{node.definition.name}'{places}: rename one of them")
            )
    return mistakes


def _edge_mistakes(nodes: Mapping[str, Node[Any]], node: Node[Any], input_name: str, edge: Any) -> list[str]:
    origin = getattr(edge, "origin", "") or node.origin
    if not isinstance(edge, DependencyDefinition | MultiDependencyDefinition):
        fix = "give a DependencyDefinition or a MultiDependencyDefinition"
        return [at(origin, f"input '{input_name}' of {node.describe()} depends on {edge!r}: {fix}")]
    if input_name not in node.definition.input_names:
        return [at(origin, _no_input(node, input_name))]
    mistakes = []
    for source in _sources(edge):
        wrong = _source_mistake(nodes, source)
        if wrong:
            mistakes.append(at(origin, f"input '{input_name}' of {node.describe()} depends on {wrong}"))
            continue
        given = nodes[source.node].definition.output_type(source.output)
        fan_in = isinstance(edge, MultiDependencyDefinition)
        for wanted in node.definition.input_types(input_name):
            if given is Nothing and _may_be_stored_elsewhere(node, input_name):
                continue
            if not connects(given, wanted, fan_in=fan_in):
                mistakes.append(at(origin, _unfit(node, input_name, wanted, source, nodes[source.node], given, fan_in)))
                break
    return mistakes


def _unfit(
    node: Node[Any],
    input_name: str,
    wanted: Any,
    source: DependencyDefinition,
    source_node: Node[Any],
    given: Any,
    fan_in: bool,
) -> str:
    output = f"output '{source.output}' of {source_node.describe()}"
    start = f"input '{input_name}' of {node.describe()} is {_type_name(wanted)}, and is given"
    if given is Nothing:
        return f"{start} {output}, which is Nothing: give that op a value to return, or declare In(Nothing)"
    if fan_in:
        return f"{start} a list with {output}: declare it as a list, or pass one output"
    return f"{start} {output}, which is {_type_name(given)}"


def _may_be_stored_elsewhere(node: Node[Any], input_name: str) -> bool:
    """Whether a value may exist though no op gives it: an asset that its function stores itself, loaded by its key."""
    if not isinstance(node.definition, OpDefinition):
        return True
    return node.definition.ins[input_name].asset_key is not None


def _no_input(node: Node[Any], input_name: str) -> str:
    hint = did_you_mean(input_name, node.definition.input_names) or " It takes none."
    return f"{node.describe()} has no input '{input_name}'.{hint}"


def _source_mistake(nodes: Mapping[str, Node[Any]], source: DependencyDefinition) -> str | None:
    node = nodes.get(source.node)
    if node is None:
        return f"'{source.node}', which is no node of the graph.{did_you_mean(source.node, nodes)}"
    if source.output not in node.definition.output_names:
        hint = did_you_mean(source.output, node.definition.output_names) or " It gives none."
        return f"output '{source.output}', which {node.describe()} does not have.{hint}"
    return None


def connects(given: Any, wanted: Any, *, fan_in: bool = False) -> bool:
    """Whether a value of one type can ever fit another.

    Only what is certain is refused: plain Python types that have no values in common. Whether a value really fits is
    checked when it is there.
    """
    if wanted is Nothing:
        return True
    if given is Nothing:
        return False
    wanted_class = _plain_class(wanted)
    if fan_in:
        return wanted_class is None or wanted_class is list
    given_class = _plain_class(given)
    if given_class is None or wanted_class is None:
        return True
    both_numbers = given_class in (bool, int, float) and wanted_class in (int, float)
    return issubclass(given_class, wanted_class) or issubclass(wanted_class, given_class) or both_numbers


def _plain_class(type_: Any) -> type | None:
    found = type_.typing_type if isinstance(type_, DagsterType) else None
    found = getattr(found, "__origin__", None) or found
    return found if isinstance(found, type) and found in _PLAIN else None


def _type_name(type_: Any) -> str:
    return str(getattr(type_, "display_name", None) or getattr(type_, "name", None) or type_)
