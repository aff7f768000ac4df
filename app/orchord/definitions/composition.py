"""Tracing a graph function: each call of an op inside it becomes a node, each value passed on becomes an edge.

Mistakes are collected with the user's file and line, and tracing goes on, so that all are reported at once. What the
edges must satisfy as a whole (types, cycles) is checked in graph_check.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from orchord.definitions.dependency import (
    Dependency,
    DependencyDefinition,
    DependencyStructure,
    GraphInputRef,
    InputMapping,
    MultiDependencyDefinition,
    OutputMapping,
)
from orchord.definitions.origin import at, calling_origin
from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.definitions.tags import name_mistakes
from orchord.errors import InvalidInvocationError, did_you_mean

if TYPE_CHECKING:
    from orchord.definitions.node import Node, PendingNode


class _Placeholder:
    """Stands for a value that is known only in a run. Using it as a value is an error that says so."""

    _what: str

    def _refuse(self, how: str) -> NoReturn:
        raise InvalidInvocationError(
            f"{self._what} is {how} while the graph is put together, when no value exists yet. "
            "Do that inside an op, and pass it the value as an input."
        )

    def __bool__(self) -> bool:
        self._refuse("used as a condition")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("looped over or unpacked")

    def __len__(self) -> int:
        self._refuse("measured with len()")

    def __getitem__(self, item: Any) -> Any:
        self._refuse(f"indexed with [{item!r}]")

    def __add__(self, other: Any) -> Any:
        self._refuse("used in arithmetic")

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__

    def __lt__(self, other: Any) -> bool:
        self._refuse("compared")

    __le__ = __gt__ = __ge__ = __lt__

    def __eq__(self, other: object) -> bool:
        self._refuse("compared")

    __hash__ = object.__hash__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("called")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(f"asked for its attribute '{name}'")


class OutputHandle(_Placeholder):
    """Stands for one output of one node."""

    def __init__(self, composition: Composition, node_name: str, output_name: str) -> None:
        self._composition = composition
        self._node_name = node_name
        self._output_name = output_name
        self._what = f"Output '{output_name}' of '{node_name}'"


class InputHandle(_Placeholder):
    """Stands for one input of the graph that is being put together."""

    def __init__(self, composition: Composition, name: str) -> None:
        self._composition = composition
        self._name = name
        self._what = f"Input '{name}' of the graph"


class BrokenHandle(_Placeholder):
    """Stands for an output that does not exist. The mistake is noted already; using it adds no further one."""

    _what = "An output that does not exist"


class NodeOutputs(tuple[OutputHandle, ...]):
    """The outputs of a node that has several, or none: unpack them, or take one by its name."""

    _composition: Composition
    _node_name: str
    _output_names: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        """Return the output of this name; a name that no output has becomes a mistake of the graph."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._output_names:
            return self[self._output_names.index(name)]
        hint = did_you_mean(name, self._output_names) or " It has none."
        self._composition.note(f"'{self._node_name}' has no output '{name}'.{hint}")
        return BrokenHandle()


@dataclass
class Composed:
    """What a graph function's trace yields."""

    nodes: dict[str, Node[Any]] = field(default_factory=dict)
    dependencies: DependencyStructure = field(default_factory=dict)
    input_mappings: list[InputMapping] = field(default_factory=list)
    output_mappings: list[OutputMapping] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


class Composition:
    """One graph function while it is traced."""

    def __init__(self, graph_name: str) -> None:
        self.graph_name = graph_name
        self.result = Composed()

    def note(self, mistake: str, origin: str | None = None) -> None:
        """Note a mistake at the user's line that is being executed, or at ``origin``."""
        self.result.mistakes.append(at(calling_origin() if origin is None else origin, mistake))

    def invoke(self, pending: PendingNode, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Add a node with its edges; return what stands for its outputs."""
        origin = calling_origin()
        name = self._name_for(pending)
        node = pending.node(name, origin)
        self.result.nodes[name] = node
        edges: dict[str, Dependency] = {}
        for input_name, value in self._bind(node, args, kwargs).items():
            edge = self._edge(node, input_name, value)
            if edge is not None:
                edges[input_name] = edge
        self.result.dependencies[name] = edges
        names = node.definition.output_names
        if len(names) == 1:
            return OutputHandle(self, name, names[0])
        outputs = NodeOutputs(OutputHandle(self, name, output) for output in names)
        outputs._composition, outputs._node_name, outputs._output_names = self, name, names
        return outputs

    def _name_for(self, pending: PendingNode) -> str:
        """Choose a node's name; an op used again is named ``op_2``, ``op_3``, and so on."""
        base = pending.definition.name if pending.given_name is None else pending.given_name
        nodes = self.result.nodes
        if pending.given_name is not None:
            for mistake in name_mistakes(f"a use of {pending.definition.kind} '{pending.definition.name}'", base):
                self.note(mistake)
            if base in nodes:
                self.note(f"two nodes are named '{base}': give one of them another .alias(...)")
        number, name = 1, base
        while name in nodes:
            number += 1
            name = f"{base}_{number}"
        return name

    def _bind(self, node: Node[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        known = node.definition.input_names
        bound = dict(zip(known, args, strict=False))
        if len(args) > len(known):
            takes = f"{_counted(len(known), 'input')} ({', '.join(known)})" if known else "no inputs"
            self.note(f"{node.describe()} takes {takes}, and is given {_counted(len(args), 'value')}")
        for name, value in kwargs.items():
            if name not in known:
                hint = did_you_mean(name, known) or " It takes none."
                self.note(f"{node.describe()} has no input '{name}'.{hint}")
            elif name in bound:
                self.note(f"{node.describe()} is given its input '{name}' twice: by position and by name")
            else:
                bound[name] = value
        return bound

    def _edge(self, node: Node[Any], input_name: str, value: Any) -> Dependency | None:
        """Return the edge for a value passed to an input, or None when it is a graph input, or a mistake."""
        where = f"input '{input_name}' of {node.describe()}"
        if isinstance(value, InputHandle) and self._is_ours(value, where):
            self.result.input_mappings.append(
                InputMapping(value._name, node.name, input_name, origin=node.origin),
            )
            return None
        if isinstance(value, list) or (isinstance(value, tuple) and not isinstance(value, NodeOutputs)):
            members = [self._member(member, f"the list for {where}") for member in value]
            found = [member for member in members if member is not None]
            if not value:
                self.note(f"{where} is given an empty list: pass at least one output")
            return MultiDependencyDefinition(found, origin=node.origin) if found else None
        edge = self._member(value, where)
        return edge if isinstance(edge, DependencyDefinition) else None

    def _member(self, value: Any, where: str) -> DependencyDefinition | GraphInputRef | None:
        if isinstance(value, BrokenHandle):
            return None
        if isinstance(value, OutputHandle):
            if self._is_ours(value, where):
                return DependencyDefinition(value._node_name, value._output_name, origin=calling_origin())
            return None
        if isinstance(value, InputHandle):
            return GraphInputRef(value._name) if self._is_ours(value, where) else None
        if isinstance(value, NodeOutputs):
            names = ", ".join(value._output_names) or "none"
            self.note(
                f"{where} is given all outputs of '{value._node_name}' at once ({names}): pass one of them"
                if value._output_names
                else f"{where} is given the result of '{value._node_name}', which has no outputs"
            )
            return None
        self.note(
            f"{where} is given {_shown(value)}, which is neither an output of a node nor an input of the graph. "
            f"Values come by config, by In(default_value=...), or from an op that returns them"
        )
        return None

    def _is_ours(self, handle: OutputHandle | InputHandle, where: str) -> bool:
        if handle._composition is self:
            return True
        self.note(
            f"{where} is given a value of another graph ('{handle._composition.graph_name}'): "
            "make it an input of this graph, and pass it in"
        )
        return False

    def map_outputs(self, returned: Any, declared: Sequence[str] | None, origin: str) -> None:
        """Turn what the graph function returned into output mappings.

        Args:
            returned: None, an output, several in a tuple, or a dict of them by the graph's output names.
            declared: the names in ``out=``, when it was given.
            origin: the function's file and line.
        """
        pairs: dict[str, Any] = {}
        if returned is None:
            pass
        elif isinstance(returned, Mapping):
            pairs = dict(returned)
        elif isinstance(returned, NodeOutputs) and declared is None:
            pairs = dict(zip(returned._output_names, returned, strict=True))
        elif isinstance(returned, tuple | list):
            if declared is None or len(declared) != len(returned):
                said = f"declares {len(declared)}" if declared is not None else "does not name them"
                fix = 'out={"name": GraphOut(), ...}'
                self.note(f"it returns {len(returned)} values and {said}: name each by {fix}, or return a dict", origin)
                return
            pairs = dict(zip(declared, returned, strict=True))
        elif declared is not None and len(declared) > 1:
            self.note(f"it declares {len(declared)} outputs ({', '.join(declared)}) and returns one value", origin)
            return
        else:
            pairs = {declared[0] if declared else DEFAULT_OUTPUT: returned}
        self._map_pairs(pairs, declared, origin)

    def _map_pairs(self, pairs: Mapping[str, Any], declared: Sequence[str] | None, origin: str) -> None:
        for name in declared or ():
            if name not in pairs:
                self.note(f"it declares the output '{name}', and does not return it", origin)
        for name, value in pairs.items():
            if declared is not None and name not in declared:
                self.note(f"it returns '{name}', which is none of its outputs.{did_you_mean(name, declared)}", origin)
            elif isinstance(value, OutputHandle) and self._is_ours(value, f"output '{name}' of the graph"):
                self.result.output_mappings.append(
                    OutputMapping(name, value._node_name, value._output_name, origin=origin)
                )
            elif isinstance(value, InputHandle):
                self.note(f"it returns its input '{value._name}' as it is: pass it through an op first", origin)
            elif not isinstance(value, BrokenHandle | OutputHandle):
                what = f"all outputs of '{value._node_name}'" if isinstance(value, NodeOutputs) else _shown(value)
                self.note(f"its output '{name}' is {what}: return one output of a node", origin)


_current: ContextVar[Composition | None] = ContextVar("orchord_composition", default=None)


def current_composition() -> Composition | None:
    """Return the graph function that is being traced, if any."""
    return _current.get()


def compose(
    function: Callable[..., Any],
    graph_name: str,
    input_names: Sequence[str],
    declared_outputs: Sequence[str] | None,
    origin: str,
) -> Composed:
    """Trace a graph function: call it with placeholders for its inputs, and note what it calls."""
    composition = Composition(graph_name)
    token = _current.set(composition)
    try:
        returned = function(**{name: InputHandle(composition, name) for name in input_names})
    finally:
        _current.reset(token)
    composition.map_outputs(returned, declared_outputs, origin)
    used = {mapping.graph_input_name for mapping in composition.result.input_mappings}
    # One that is returned as it is has a mistake of its own already.
    used |= {handle._name for handle in _members(returned) if isinstance(handle, InputHandle)}
    for edges in composition.result.dependencies.values():
        for edge in edges.values():
            if isinstance(edge, MultiDependencyDefinition):
                used |= {member.name for member in edge.dependencies if isinstance(member, GraphInputRef)}
    for name in input_names:
        if name not in used:
            composition.note(f"its input '{name}' is passed to no node: pass it on, or remove it", origin)
    return composition.result


def _members(returned: Any) -> list[Any]:
    if isinstance(returned, Mapping):
        return list(returned.values())
    return list(returned) if isinstance(returned, tuple | list) else [returned]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"the value {text if len(text) <= 60 else text[:57] + '...'}"
