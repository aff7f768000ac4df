"""Random nested graphs: what their steps compute together is what calling the graphs as plain functions computes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from orchord.definitions.graph import GraphDefinition
from orchord.definitions.op import op
from orchord.plan.compile import compile_plan

LEAVES = [op(name=f"leaf{number}")(lambda: None) for number in range(3)]


@op
def pair(x, y): ...


@op
def many(values): ...


@dataclass(frozen=True)
class Call:
    """One call in a body: a leaf's name, ``pair``, ``many`` or the number of an earlier graph; and its arguments.

    An argument is a place among the values that stand when the call is made: the graph's inputs, then all results.
    """

    target: str | int
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Body:
    """A graph: how many inputs it has, its calls, and which values it returns."""

    inputs: int
    calls: tuple[Call, ...]
    outputs: tuple[int, ...]


@st.composite
def programs(draw):
    """Lists of graphs; each may call those before it. Every input of a graph is used. The last has no inputs."""
    bodies: list[Body] = []
    for number in range(draw(st.integers(1, 4))):
        is_last = number == 3
        inputs = 0 if is_last else draw(st.integers(0, 2))
        calls = [Call(leaf.name, ()) for leaf in LEAVES[: draw(st.integers(1, 3))]]
        standing = inputs + len(calls)
        if inputs:
            calls.append(Call("many", tuple(range(inputs))))
            standing += 1
        for _ in range(draw(st.integers(0, 4))):
            target = draw(st.sampled_from(["pair", "many", *range(number)]))
            count = draw(st.integers(1, 3)) if target == "many" else 2 if target == "pair" else bodies[target].inputs
            arguments = tuple(draw(st.integers(0, standing - 1)) for _ in range(count))
            calls.append(Call(target, arguments))
            standing += 1 if isinstance(target, str) else len(bodies[target].outputs)
        outputs = draw(st.lists(st.integers(inputs, standing - 1), min_size=1, max_size=3, unique=True))
        bodies.append(Body(inputs, tuple(calls), tuple(outputs)))
    calls = tuple(Call(number, (0,) * body.inputs) for number, body in enumerate(bodies))
    return [*bodies, Body(0, (Call("leaf0", ()), *calls), (0,))]


def as_function(bodies, number, values, made):
    """Call a graph as a plain function: each op gives a number that stands for its name and its arguments."""
    body, standing = bodies[number], list(values)
    for call in body.calls:
        arguments = [standing[place] for place in call.arguments]
        if isinstance(call.target, int):
            standing += as_function(bodies, call.target, arguments, made)
            continue
        standing.append(computed(call.target, [arguments] if call.target == "many" else arguments))
        made[standing[-1]] += 1
    return [standing[place] for place in body.outputs]


def computed(name, arguments):
    return hash((name, *(tuple(item) if isinstance(item, list) else item for item in arguments)))


def as_graphs(bodies):
    """Trace each body as a graph function; return the last graph."""
    ops = {item.name: item for item in (*LEAVES, pair, many)}
    graphs: list[GraphDefinition] = []
    for number, body in enumerate(bodies):

        def trace(body=body, **inputs):
            standing = list(inputs.values())
            for call in body.calls:
                arguments = [standing[place] for place in call.arguments]
                if isinstance(call.target, str):
                    standing.append(ops[call.target](*([arguments] if call.target == "many" else arguments)))
                    continue
                result = graphs[call.target](*arguments)
                standing += list(result) if isinstance(result, tuple) else [result]
            return {f"out{place}": standing[place] for place in body.outputs}

        names = [f"in{place}" for place in range(body.inputs)]
        scope = {"trace": trace}
        exec(f"def traced({', '.join(names)}): return trace({', '.join(f'{n}={n}' for n in names)})", scope)
        graphs.append(GraphDefinition.from_function(scope["traced"], name=f"graph{number}"))
    return graphs[-1]


@settings(max_examples=150, deadline=None)
@given(programs())
def test_nested_graphs_compute_what_plain_functions_do(bodies):
    expected: Counter[int] = Counter()
    as_function(bodies, len(bodies) - 1, [], expected)
    values: dict[str, int] = {}
    for step in compile_plan(as_graphs(bodies).to_job("random")).steps:
        arguments = []
        for step_input in step.inputs:
            found = [values[ref.step_key] for ref in step_input.sources]
            arguments.append(found if step_input.fan_in else found[0])
        values[step.key] = computed(step.op_name, arguments)
    assert Counter(values.values()) == expected
