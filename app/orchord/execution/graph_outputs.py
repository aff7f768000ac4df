"""Following an output of a graph, or of a node in it, down to the op that gives it.

The same for a whole job's edges is definitions/wiring.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchord.definitions.op import OpDefinition
from orchord.errors import InvariantViolationError, did_you_mean
from orchord.plan.model import OutputRef

if TYPE_CHECKING:
    from orchord.definitions.graph import GraphDefinition


def node_output(graph: GraphDefinition, path: str, output_name: str) -> OutputRef:
    """Return the step's output that is an output of the node at ``path`` (``node`` or ``graph.node``).

    Raises:
        InvariantViolationError: there is no such node or output.
    """
    definition: Any = graph
    walked: list[str] = []
    for name in path.split("."):
        nodes = {} if isinstance(definition, OpDefinition) else definition.nodes
        if name not in nodes:
            where = ".".join(walked) or graph.name
            raise InvariantViolationError(f"'{where}' has no node '{name}'.{did_you_mean(name, nodes)}")
        definition = nodes[name].definition
        walked.append(name)
    if output_name not in definition.output_names:
        raise InvariantViolationError(
            f"'{path}' has no output '{output_name}'.{did_you_mean(output_name, definition.output_names)}"
        )
    while not isinstance(definition, OpDefinition):
        mapping = definition.output_mapping(output_name)
        output_name = mapping.mapped_node_output_name
        walked.append(mapping.mapped_node_name)
        definition = definition.nodes[mapping.mapped_node_name].definition
    return OutputRef(".".join(walked), output_name)


def graph_output(graph: GraphDefinition, output_name: str) -> OutputRef:
    """Return the step's output that is an output of the graph itself.

    Raises:
        InvariantViolationError: the graph has no such output.
    """
    names = graph.output_names
    if output_name not in names:
        raise InvariantViolationError(
            f"'{graph.name}' has no output '{output_name}'.{did_you_mean(output_name, names)} "
            "Return a value from the graph function, or ask for a node's output by output_for_node."
        )
    mapping = graph.output_mapping(output_name)
    return node_output(graph, mapping.mapped_node_name, mapping.mapped_node_output_name)
