"""Selections of steps in words, and what they refuse."""

from __future__ import annotations

import pytest

from orchord.errors import InvalidSubsetError
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput
from orchord.plan.selection import select_steps


def plan_of(**edges):
    """Build a plan from step names, ``__`` for a dot, each with what feeds it."""
    steps = tuple(
        Step(
            name.replace("__", "."),
            name,
            tuple(StepInput(f"i{n}", (OutputRef(up.replace("__", "."), "result"),)) for n, up in enumerate(ups)),
        )
        for name, ups in edges.items()
    )
    return ExecutionPlan("numbers", steps)


CHAIN = plan_of(
    a=(), b=("a",), c=("b",), d=("c",), side=("a",), sub__x=("d",), sub__in__y=("sub__x",), z=("sub__in__y",)
)


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        (["a"], "a"),
        (["c", "a"], "a c"),
        (["*c"], "a b c"),
        (["c*"], "c d sub.x sub.in.y z"),
        (["+c"], "b c"),
        (["++c"], "a b c"),
        (["c+"], "c d"),
        (["c++"], "c d sub.x"),
        (["+2c"], "a b c"),
        (["1+c+2"], "b c d sub.x"),
        (["+b+"], "a b c"),
        (["*b*"], "a b c d sub.x sub.in.y z"),
        (["*"], "a b c d side sub.x sub.in.y z"),
        (["sub"], "sub.x sub.in.y"),
        (["sub.in"], "sub.in.y"),
        (["+sub"], "d sub.x sub.in.y"),
        (["sub+"], "sub.x sub.in.y z"),
        ([" side ", "z"], "side z"),
        (["a+"], "a b side"),
    ],
)
def test_what_a_selection_selects(queries, expected):
    assert select_steps(CHAIN, queries) == tuple(expected.split())


def test_all_unknown_names_come_at_once_with_the_nearest():
    with pytest.raises(InvalidSubsetError) as caught:
        select_steps(CHAIN, ["sied+", "a", "sub.inn", "a b"])
    assert str(caught.value).splitlines() == [
        "The selection of steps of job 'numbers' cannot be used (3 mistakes):",
        "  1. 'sied' is no step of job 'numbers'. Did you mean 'side'?",
        "  2. 'sub.inn' is no step of job 'numbers'. Did you mean 'sub.in'?",
        "  3. 'a b' cannot be read. Write a step's name, with * or + before or after it.",
    ]


def test_an_empty_selection_is_refused():
    with pytest.raises(InvalidSubsetError) as caught:
        select_steps(CHAIN, [])
    assert str(caught.value) == (
        "The selection of steps of job 'numbers' cannot be used: it is empty. "
        "Name at least one step, or leave the selection out to run all of them."
    )


def test_a_selected_plan_keeps_its_order_and_waits_on_no_one_outside():
    part = CHAIN.select(select_steps(CHAIN, ["b+", "side"]))
    assert [step.key for step in part.steps] == ["b", "c", "side"]
    assert part.upstream == {"b": (), "c": ("b",), "side": ()}
    assert part.step("b").inputs[0].sources == (OutputRef("a", "result"),)
