"""What @op, @graph and @job refuse, and the words they use: all mistakes at once, with line and nearest name."""

from __future__ import annotations

import inspect

import pytest

from orchord.definitions.config import Config
from orchord.definitions.dependency import (
    DependencyDefinition,
    InputMapping,
    MultiDependencyDefinition,
    NodeInvocation,
    OutputMapping,
)
from orchord.definitions.graph import GraphDefinition, graph
from orchord.definitions.hooks import success_hook
from orchord.definitions.in_out import GraphIn, GraphOut, In, Out
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.types import Nothing
from orchord.errors import InvalidDefinitionError, InvalidInvocationError

HERE = "graph/test_graph_mistakes.py"


@op
def one() -> int: ...


@op
def double(number: int) -> int: ...


@op
def add(left, right): ...


@op(out={"low": Out(), "high": Out()})
def split(number): ...


@op(out={})
def silent(): ...


def refused(define) -> str:
    with pytest.raises(InvalidDefinitionError) as caught:
        define()
    return str(caught.value)


def mistakes_of(function, decorate=graph) -> list[str]:
    """The sentences about one graph function, with lines counted from its own first line."""
    text = refused(lambda: decorate(function))
    first = function.__code__.co_firstlineno
    lines = text.split("\n  ")
    assert lines[0].startswith(
        f"{'Job' if decorate is job else 'Graph'} '{function.__name__}' ({HERE}:{first}) cannot be right"
    )
    if len(lines) == 1:
        found = [text.partition(" cannot be right: ")[2]]
    else:
        assert lines[0].endswith(f" cannot be right ({len(lines) - 1} mistakes):")
        assert [line.partition(". ")[0] for line in lines[1:]] == [str(number) for number in range(1, len(lines))]
        found = [line.partition(". ")[2] for line in lines[1:]]
    return [_relative(sentence, first) for sentence in found]


def _relative(sentence: str, first: int) -> str:
    place, colon, rest = sentence.partition(": ")
    file, _, line = place.rpartition(":")
    return f"+{int(line) - first}: {rest}" if colon and file == HERE else sentence


def test_all_mistakes_of_a_graph_come_at_once_with_their_lines():
    def wrong(unused):
        add(one(), rihgt=one())
        double(one(), one())
        double(5)
        add(split(one()), right=silent())
        double(split.alias("again")(one()).hihg)

    assert mistakes_of(wrong) == [
        "+1: op 'add' has no input 'rihgt'. Did you mean 'right'?",
        "+2: op 'double' takes 1 input (number), and is given 2 values",
        (
            "+3: input 'number' of op 'double_2' (an alias of 'double') is given the value 5, which is neither "
            "an output "
            "of a node nor an input of the graph. Values come by config, by In(default_value=...), or from an op that "
            "returns them"
        ),
        (
            "+4: input 'left' of op 'add_2' (an alias of 'add') is given all outputs of 'split' at once (low, high): "
            "pass one of them"
        ),
        "+4: input 'right' of op 'add_2' (an alias of 'add') is given the result of 'silent', which has no outputs",
        "+5: 'again' has no output 'hihg'. Did you mean 'high'?",
        "+0: its input 'unused' is passed to no node: pass it on, or remove it",
    ]


def test_one_input_given_twice_and_an_op_without_inputs():
    def wrong():
        double(one(), number=one())
        one(one())
        silent(x=one())

    assert mistakes_of(wrong) == [
        "+1: op 'double' is given its input 'number' twice: by position and by name",
        "+2: op 'one_4' (an alias of 'one') takes no inputs, and is given 1 value",
        "+3: op 'silent' has no input 'x'. It takes none.",
    ]


def test_an_empty_list_and_a_value_in_a_list():
    def wrong():
        add([], [one(), "text"])

    assert mistakes_of(wrong) == [
        "+1: input 'left' of op 'add' is given an empty list: pass at least one output",
        (
            "+1: the list for input 'right' of op 'add' is given the value 'text', which is neither an output of "
            "a node "
            "nor an input of the graph. Values come by config, by In(default_value=...), or from an op that "
            "returns them"
        ),
    ]


def test_two_different_ops_of_one_name():
    @op(name="one")
    def impostor(): ...

    def wrong():
        one()
        impostor()

    (mistake,) = mistakes_of(wrong)
    assert mistake == f"+2: two different ops are named 'one' ({one.origin} and {impostor.origin}): rename one of them"


def test_two_nodes_of_one_alias_and_an_alias_that_is_no_name():
    def wrong():
        one.alias("same")()
        one.alias("same")()
        one.alias("no-name")()
        one.alias("class")()

    assert mistakes_of(wrong) == [
        "+2: two nodes are named 'same': give one of them another .alias(...)",
        "+3: a use of op 'one' cannot be named 'no-name': use letters, digits and underscores only",
        "+4: a use of op 'one' cannot be named 'class': that is a keyword of Python",
    ]


def test_types_that_can_never_fit():
    @op
    def word() -> str: ...

    @op
    def nothing() -> None: ...

    def wrong():
        double(word())
        double([one()])
        add(nothing(), one())

    assert mistakes_of(wrong) == [
        "+1: input 'number' of op 'double' is Int, and is given output 'result' of op 'word', which is String",
        (
            "+2: input 'number' of op 'double_2' (an alias of 'double') is Int, and is given a list with output "
            "'result' of "
            "op 'one': declare it as a list, or pass one output"
        ),
        (
            "+3: input 'left' of op 'add' is Any, and is given output 'result' of op 'nothing', which is "
            "Nothing: give that "
            "op a value to return, or declare In(Nothing)"
        ),
    ]


def test_types_that_may_fit_are_let_through():
    @op
    def number() -> bool: ...

    @op
    def wide(x: float): ...

    @op
    def many(xs: list[int]): ...

    @op
    def plain_list() -> list: ...

    @op(ins={"start": In(Nothing)})
    def after(): ...

    @graph
    def fine():
        wide(one())
        double(number())
        many(plain_list())
        after(start=[plain_list(), silent_output()])

    assert "wide" in fine.nodes


@op
def silent_output() -> None: ...


def test_outputs_of_the_graph_that_are_not_right():
    def extra():
        return {"a": one(), "c": one()}

    def few():
        return one()

    def unnamed():
        return one(), one()

    def counted():
        return one(), one(), one()

    def literal():
        return {"a": 1, "b": split(one())}

    def as_it_is(x):
        return x

    two = graph(out={"a": GraphOut(), "b": GraphOut()})
    assert mistakes_of(extra, two) == [
        "+0: it declares the output 'b', and does not return it",
        "+0: it returns 'c', which is none of its outputs. Known: a, b.",
    ]
    assert mistakes_of(few, two) == ["+0: it declares 2 outputs (a, b) and returns one value"]
    assert mistakes_of(unnamed) == [
        '+0: it returns 2 values and does not name them: name each by out={"name": GraphOut(), ...}, or return a dict'
    ]
    assert mistakes_of(counted, two) == [
        '+0: it returns 3 values and declares 2: name each by out={"name": GraphOut(), ...}, or return a dict'
    ]
    assert mistakes_of(literal, two) == [
        "+0: its output 'a' is the value 1: return one output of a node",
        "+0: its output 'b' is all outputs of 'split': return one output of a node",
    ]
    assert mistakes_of(as_it_is) == ["+0: it returns its input 'x' as it is: pass it through an op first"]


def test_values_of_another_graph():
    kept = []

    @graph
    def other():
        kept.append(one())

    def wrong():
        double(kept[0])

    assert mistakes_of(wrong) == [
        (
            "+1: input 'number' of op 'double' is given a value of another graph ('other'): make it an input of this "
            "graph, and pass it in"
        )
    ]


def test_parameters_of_a_graph_function():
    def wrong(*many, x=3, **more):
        double(x)

    sentences = mistakes_of(wrong, graph(ins={"z": GraphIn()}))
    assert sentences == [
        "+0: its parameter '*many' takes any number of inputs: name each",
        (
            "+0: its input 'x' has a default, which no node would see: give the op's input the default instead, or the "
            "job input_values="
        ),
        "+0: its parameter '*more' takes any number of inputs: name each",
        "+0: ins= names 'z', which is no parameter of the function. Known: x.",
    ]


def test_inputs_that_nothing_can_give_a_value():
    class Frame: ...

    class Limits(Config):
        most: int = 1

    @op
    def show(frame: Frame): ...

    @op
    def check(limits: Limits): ...

    @op
    def fine(frame: Frame | None = None, number=0, word: str = ""): ...

    def wrong():
        show()
        check()
        fine()

    assert mistakes_of(wrong, job) == [
        (
            "+1: input 'frame' of step 'show' has no value, and run config cannot give one of type Frame: "
            "connect it to an "
            "output, or give it a default value"
        ),
        (
            "+2: input 'limits' of step 'check' has no value, and run config cannot give one of type Limits: config "
            "arrives in the parameter named 'config': rename it"
        ),
    ]


def test_a_decorator_on_what_is_no_function():
    assert refused(lambda: graph(5)) == (
        "@graph decorates 5, which is no function. Options go by name: @graph(name=...)."
    )
    assert refused(lambda: op("name")) == (
        "@op decorates 'name', which is no function. Options go by name: @op(name=...), @op(out=...)."
    )


class TestExplicitForm:
    def test_unknown_nodes_inputs_and_outputs(self):
        def define():
            GraphDefinition(
                "g",
                node_defs=[one, double, add],
                dependencies={
                    "double": {"nubmer": DependencyDefinition("one")},
                    "add": {"left": DependencyDefinition("oen"), "right": DependencyDefinition("one", "resutl")},
                    "sub": {},
                },
                input_mappings=[InputMapping("x", "dobule", "number"), InputMapping("y", "add", "middle")],
                output_mappings=[OutputMapping("z", "add", "reslut"), OutputMapping("w", "nowhere")],
            )

        line = inspect.getsourcelines(define)[1] + 1
        at = f"{HERE}:{line}: "
        text = refused(define)
        assert text.splitlines() == [
            f"Graph 'g' ({HERE}:{line}) cannot be right (8 mistakes):",
            f"  1. {at}dependencies name 'sub', which is not in node_defs. Known: add, double, one.",
            f"  2. {at}op 'double' has no input 'nubmer'. Did you mean 'number'?",
            f"  3. {at}input 'left' of op 'add' depends on 'oen', which is no node of the graph. Did you mean 'one'?",
            (
                f"  4. {at}input 'right' of op 'add' depends on output 'resutl', which op 'one' does not have. "
                "Did you mean 'result'?"
            ),
            "  5. its input 'x' is mapped to 'dobule', which is no node of it. Did you mean 'double'?",
            "  6. its input 'y' is mapped to input 'middle', which op 'add' does not have. Known: left, right.",
            "  7. its output 'z' is mapped to output 'reslut', which op 'add' does not have. Did you mean 'result'?",
            "  8. its output 'w' is mapped to 'nowhere', which is no node of the graph. Known: add, double, one.",
        ]

    def test_a_cycle_is_named_by_its_path(self):
        def define():
            GraphDefinition(
                "g",
                node_defs=[double],
                dependencies={
                    NodeInvocation("double", "a"): {"number": DependencyDefinition("c")},
                    NodeInvocation("double", "b"): {"number": DependencyDefinition("a")},
                    NodeInvocation("double", "c"): {"number": DependencyDefinition("b")},
                },
            )

        assert refused(define).endswith(": its nodes form a cycle: a -> b -> c -> a")

    def test_a_node_that_feeds_itself(self):
        def define():
            GraphDefinition(
                "g", node_defs=[double], dependencies={"double": {"number": DependencyDefinition("double")}}
            )

        assert refused(define).endswith(": its nodes form a cycle: double -> double")

    def test_names_that_clash(self):
        @op(name="one")
        def impostor(): ...

        text = refused(
            lambda: GraphDefinition(
                "g", node_defs=[one, impostor, 5], dependencies={"one": {}, NodeInvocation("one"): {}}
            )
        )
        assert "node_defs holds two different definitions named 'one'" in text
        assert "node_defs holds 5: give ops and graphs" in text
        assert "two nodes are named 'one': give one of them another alias" in text

    def test_an_edge_of_another_kind_and_an_empty_fan_in(self):
        text = refused(
            lambda: GraphDefinition("g", node_defs=[one, double], dependencies={"double": {"number": "one"}})
        )
        assert text.endswith(
            ": input 'number' of op 'double' depends on 'one': give a DependencyDefinition or a "
            "MultiDependencyDefinition"
        )
        text = refused(lambda: MultiDependencyDefinition([]))
        assert text == "MultiDependencyDefinition needs at least one dependency."

    def test_an_input_fed_twice(self):
        text = refused(
            lambda: GraphDefinition(
                "g",
                node_defs=[one, double],
                dependencies={"double": {"number": DependencyDefinition("one")}},
                input_mappings=[InputMapping("x", "double", "number")],
            )
        )
        assert text.endswith(
            ": its input 'x' is mapped to input 'number' of op 'double', which another node feeds already"
        )


class TestOps:
    def test_all_mistakes_of_an_op_come_at_once(self):
        def define():
            @op(
                name="no-name",
                ins={"nubmer": In(int), "start": In(Nothing), "text": str, "order": In(Nothing, default_value=1)},
                out={"a": Out(), "b": int, "c d": Out()},
                config_schema={"x": int},
                required_resource_keys={5},
            )
            def wrong(number, start, *rest, config: dict) -> tuple[int, int]: ...

        lines = refused(define).splitlines()
        assert lines[0].startswith(f"Op 'no-name' ({HERE}:")
        assert lines[0].endswith(" cannot be right (12 mistakes):")
        assert [line.partition(". ")[2] for line in lines[1:]] == [
            "an op cannot be named 'no-name': use letters, digits and underscores only",
            "the input 'text' is declared by <class 'str'>: give an In, such as In(str)",
            "the input 'order' is Nothing and has a default value: a value never arrives",
            "its parameter '*rest' cannot be given by name: make it an ordinary parameter",
            "required_resource_keys holds 5, which is not text",
            "it has both config_schema= and a parameter 'config': keep one of them",
            "its input 'start' is Nothing, so no value arrives for the parameter of that name: remove the parameter",
            (
                "its input 'nubmer' is no parameter of the function. Did you mean 'number'? Add the parameter, or "
                "declare "
                "In(Nothing) for an order without a value"
            ),
            (
                "its input 'text' is no parameter of the function. Known: number, start. Add the parameter, or declare "
                "In(Nothing) for an order without a value"
            ),
            "the output 'b' is declared by <class 'int'>: give an Out, such as Out(int)",
            "an output cannot be named 'c d': use letters, digits and underscores only",
            "it declares 3 outputs (a, b, c d), and its return annotation is tuple[int, int]: make it a tuple of 3",
        ]

    def test_ins_and_out_of_another_kind(self):
        def define():
            @op(ins=[In(int)], out=int)
            def wrong(): ...

        first, second = [line.partition(". ")[2] for line in refused(define).splitlines()[1:]]
        assert first.startswith("ins= is [In(")
        assert first.endswith(": give a dict of In by name")
        assert second == "out= is <class 'int'>: give an Out, or a dict of them by name"

    def test_a_tuple_of_another_length(self):
        def define():
            @op(out={"a": Out(), "b": Out(), "c": Out()})
            def wrong() -> tuple[int, int]: ...

        assert refused(define).endswith(
            "it declares 3 outputs (a, b, c), and its return annotation is tuple[int, int]: make it a tuple of 3"
        )

    def test_nothing_without_in(self):
        def define():
            @op(ins={"start": Nothing})
            def wrong(): ...

        assert "give an In, such as In(Nothing)" in refused(define)

    def test_tags_that_are_neither_text_nor_json(self):
        def define():
            @op(tags={"a": object, 5: "b", "c": [1]})
            def wrong(): ...

        assert refused(define) == (
            "Tags of op 'wrong' cannot be used (2 mistakes):\n"
            "  1. the value of tag 'a' (<class 'object'>) is neither text nor JSON\n"
            "  2. the tag key 5 is not text"
        )

    def test_options_of_another_kind(self):
        def define():
            @op(required_resource_keys="db", retry_policy=3, config_schema=5)
            def wrong(): ...

        lines = refused(define).splitlines()
        assert [line.partition(". ")[2] for line in lines[1:3]] == [
            "required_resource_keys is the text 'db': give a set, such as {'db'}",
            "retry_policy is 3: give a RetryPolicy",
        ]
        assert "A config schema is 5 (int)." in lines[3]
        assert refused(lambda: one.tag("x")) == "Tags of op 'one' cannot be used: they are 'x'. Give a dict."

    def test_configured_without_a_name(self):
        text = refused(lambda: op(name="sized", config_schema={"x": int})(lambda context: None).configured({"x": 1}))
        assert "has no name. Give name= to tell it from the original." in text


def test_configured_graphs_need_a_name_and_a_mapping():
    @graph
    def plain():
        one()

    @graph(config={"one": {}})
    def fixed():
        one()

    assert refused(lambda: fixed.configured({})) == "Graph 'fixed' is configured without a name. Give it one by name=."
    assert refused(lambda: plain.configured({}, name="x")) == (
        "Graph 'plain' takes no config of its own, so it cannot be configured. "
        "Give it one by @graph(config=ConfigMapping(...))."
    )
    assert refused(lambda: graph(name="five", config=5)(lambda: one())) == (
        "config= of graph 'five' is 5: give a ConfigMapping or a dict."
    )


def test_hooks_in_the_wrong_place():
    @success_hook
    def told(context): ...

    with pytest.raises(InvalidInvocationError) as caught:

        @told
        def plain(): ...

    assert str(caught.value).startswith("Hook 'told' decorates <function")
    assert str(caught.value).endswith("Put @told above the @job, @graph or @op line, not below it.")
    assert refused(lambda: one.with_hooks({5})) == (
        "Hooks of 'one' hold 5, which is no hook. Decorate it with @success_hook or @failure_hook."
    )
    assert refused(lambda: success_hook(name="a b")(lambda context: None)).endswith(
        ": a hook cannot be named 'a b': use letters, digits and underscores only."
    )


class TestJobs:
    def test_all_mistakes_of_a_job_come_at_once(self):
        def wrong(x):
            double(x)

        text = refused(lambda: job(input_values={"z": 1}, config=5, op_retry_policy=3, executor_def="celery")(wrong))
        assert [line.partition(". ")[2] for line in text.splitlines()[1:]] == [
            "input_values gives 'z', which is no input of the job. Known: x.",
            "config= is 5: give a dict, a RunConfig or a ConfigMapping",
            "executor_def is 'celery': give an executor, such as multiprocess_executor",
            "op_retry_policy is 3: give a RetryPolicy",
        ]

    def test_a_list_that_holds_what_no_op_feeds(self):
        @op
        def total(values: list): ...

        @graph
        def summed(a, b):
            total([a, b])

        def unfed(a):
            summed(a, one())

        def listed():
            summed([one(), one()], one())

        name = "the list for input 'values' of op 'total' holds the graph's input 'a', which"
        assert refused(lambda: job(unfed)).endswith(f"{name} is fed by no op: pass an op's output")
        assert refused(lambda: job(listed)).endswith(f"{name} is itself a list: pass an op's output")
