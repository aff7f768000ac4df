"""What a graph function becomes: nodes, edges, inputs and outputs, nested graphs, aliases, fan-ins."""

from __future__ import annotations

import pytest

from orchord.definitions.dependency import DependencyDefinition, MultiDependencyDefinition
from orchord.definitions.graph import GraphDefinition, graph
from orchord.definitions.hooks import success_hook
from orchord.definitions.in_out import GraphIn, GraphOut, In, Out
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.types import Nothing
from orchord.errors import InvalidInvocationError
from orchord.plan.compile import compile_plan


@op
def one():
    return 1


@op
def double(x):
    return 2 * x


@op
def add(x, y):
    return x + y


@op
def total(values: list):
    return sum(values)


@op(out={"low": Out(), "high": Out(is_required=False)})
def split(x):
    return x, x


@op(ins={"start": In(Nothing)})
def report(): ...


def sources(job_def):
    """For each step and input: where it comes from, in short."""
    return {
        step.key: {inp.name: [f"{ref.step_key}.{ref.output_name}" for ref in inp.sources] for inp in step.inputs}
        for step in compile_plan(job_def).steps
    }


def test_values_passed_by_position_and_by_name_become_edges():
    @job
    def numbers():
        first = one()
        add(double(first), y=first)

    assert numbers.graph.dependencies["add"] == {
        "x": DependencyDefinition("double"),
        "y": DependencyDefinition("one"),
    }
    assert sources(numbers)["add"] == {"x": ["double.result"], "y": ["one.result"]}


def test_an_op_used_again_gets_a_number():
    @job
    def again():
        double(double(double(one())))

    assert list(again.graph.nodes) == ["one", "double", "double_2", "double_3"]
    assert sources(again)["double_3"] == {"x": ["double_2.result"]}


def test_aliases_tags_hooks_and_retry_policies_of_one_use():
    @success_hook
    def told(context): ...

    policy = RetryPolicy(max_retries=2)

    @job
    def described():
        one.alias("first").tag({"a": "b"}).with_hooks({told}).with_retry_policy(policy)()
        one.with_retry_policy(policy).alias("second")()

    first = described.graph.nodes["first"]
    assert first.definition is one
    assert (first.tags, first.hook_defs, first.retry_policy) == ({"a": "b"}, frozenset({told}), policy)
    assert described.graph.nodes["second"].tags == {}
    step = compile_plan(described).step("first")
    assert (step.op_name, step.tags, step.retry.max_retries) == ("one", {"a": "b"}, 2)


def test_lists_become_fan_ins_in_their_order():
    @job
    def fan_in():
        a, b = one(), one()
        total([b, double(a), a])

    assert isinstance(fan_in.graph.dependencies["total"]["values"], MultiDependencyDefinition)
    assert sources(fan_in)["total"] == {"values": ["one_2.result", "double.result", "one.result"]}
    (value,) = compile_plan(fan_in).step("total").inputs
    assert value.fan_in


def test_order_without_values():
    @job
    def ordered():
        report(start=[one(), double(one())])
        report.alias("last")(one.alias("third")())

    start = compile_plan(ordered).step("report").inputs[0]
    assert not start.loads
    assert [ref.step_key for ref in start.sources] == ["one", "double"]
    assert sources(ordered)["last"] == {"start": ["third.result"]}


def test_several_outputs_unpack_and_have_names():
    @job
    def several():
        low, high = split(one())
        add(low, high)
        again = split.alias("again")(one())
        add(again.high, again[0])

    assert sources(several)["add"] == {"x": ["split.low"], "y": ["split.high"]}
    assert sources(several)["add_2"] == {"x": ["again.high"], "y": ["again.low"]}


@graph(ins={"x": GraphIn("a number")}, out={"small": GraphOut("low"), "large": GraphOut()})
def halves(x):
    """Split it."""
    outs = split(double(x))
    return {"small": outs.low, "large": outs.high}


def test_nested_graphs_pass_inputs_and_outputs_through():
    @graph
    def outer(y):
        return halves(double(y)).small

    @job
    def nested():
        add(outer(one()), outer.alias("other")(double(one())))

    assert halves.description == "Split it."
    assert halves.ins["x"].description == "a number"
    assert halves.outs["small"].description == "low"
    assert list(compile_plan(nested).by_key) == [
        "one",
        "outer.double",
        "outer.halves.double",
        "outer.halves.split",
        "one_2",
        "double",
        "other.double",
        "other.halves.double",
        "other.halves.split",
        "add",
    ]
    assert sources(nested)["outer.halves.split"] == {"x": ["outer.halves.double.result"]}
    assert sources(nested)["add"] == {"x": ["outer.halves.split.low"], "y": ["other.halves.split.low"]}


def test_a_graph_input_goes_to_several_nodes_and_into_lists():
    @graph
    def spread(x):
        return total([x, double(x), add(x, x)])

    @job
    def spreading():
        spread(one())

    assert sources(spreading)["spread.add"] == {"x": ["one.result"], "y": ["one.result"]}
    assert sources(spreading)["spread.total"] == {"values": ["one.result", "spread.double.result", "spread.add.result"]}


def test_a_fan_in_goes_through_a_graph_input():
    @graph
    def summed(values):
        total(values)

    @job
    def through():
        summed([one(), one()])

    assert sources(through)["summed.total"] == {"values": ["one.result", "one_2.result"]}
    assert compile_plan(through).step("summed.total").inputs[0].fan_in


def test_outputs_of_graphs_by_tuple_by_dict_and_as_they_are():
    @graph(out={"a": GraphOut(), "b": GraphOut()})
    def by_tuple():
        return one(), one()

    @graph
    def by_dict():
        return {"a": one()}

    @graph
    def as_they_are():
        return split(one())

    @graph(out=GraphOut())
    def single():
        return one()

    @graph(out={"named": GraphOut()})
    def named():
        return one()

    assert by_tuple.output_names == ("a", "b")
    assert by_tuple.output_mapping("b").mapped_node_name == "one_2"
    assert by_dict.output_names == ("a",)
    assert as_they_are.output_names == ("low", "high")
    assert single.output_names == ("result",)
    assert named.output_names == ("named",)


def test_an_op_without_outputs_returns_nothing_to_pass_on():
    @op(out={})
    def silent(): ...

    @job
    def quiet():
        assert len(silent()) == 0

    assert compile_plan(quiet).step("silent").outputs == ()


def test_ops_in_one_job_and_the_next_do_not_meet():
    @job
    def first():
        one()

    @job
    def second():
        one()

    assert list(first.graph.nodes) == list(second.graph.nodes) == ["one"]


def test_an_error_in_a_graph_function_leaves_no_graph_open():
    with pytest.raises(ZeroDivisionError):

        @job
        def broken():
            1 / 0

    with pytest.raises(InvalidInvocationError, match="is called outside a graph"):
        one.alias("x")()


@pytest.mark.parametrize(
    ("use", "how"),
    [
        (lambda value: value + 1, "used in arithmetic"),
        (lambda value: 1 - value, "used in arithmetic"),
        (lambda value: list(value), "looped over or unpacked"),
        (lambda value: bool(value), "used as a condition"),
        (lambda value: value["a"], "indexed with ['a']"),
        (lambda value: value > 1, "compared"),
        (lambda value: value == 1, "compared"),
        (lambda value: len(value), "measured with len()"),
        (lambda value: value.shape, "asked for its attribute 'shape'"),
        (lambda value: value(), "called"),
    ],
)
def test_a_placeholder_used_as_a_value_says_so(use, how):
    with pytest.raises(InvalidInvocationError) as caught:

        @job
        def misuse():
            use(one())

    assert str(caught.value) == (
        f"Output 'result' of 'one' is {how} while the graph is put together, when no value exists yet. "
        "Do that inside an op, and pass it the value as an input."
    )


def test_graph_inputs_are_placeholders_too():
    with pytest.raises(InvalidInvocationError, match="^Input 'x' of the graph is used as a condition"):

        @graph
        def choose(x):
            return one() if x else double(x)


def test_a_graph_is_no_function_outside_a_graph():
    with pytest.raises(InvalidInvocationError) as caught:
        halves(1)
    assert str(caught.value) == (
        "Graph 'halves' is called outside a graph. Call it in a function under @graph or @job, or run it by "
        "halves.execute_in_process()."
    )


def test_a_use_of_an_op_outside_a_graph_says_where_to_call_it():
    with pytest.raises(InvalidInvocationError) as caught:
        one.tag({"a": "b"})()
    assert str(caught.value) == (
        "'one' with an alias, tags, hooks or a retry policy is called outside a graph. "
        "Call it in a function under @graph or @job; to run it by itself, call 'one'."
    )


def test_graphs_from_functions_by_hand():
    made = GraphDefinition.from_function(lambda: double(one()), name="made", tags={"a": 1})
    assert made.name == "made"
    assert made.tags == {"a": "1"}
    assert made.output_names == ("result",)
