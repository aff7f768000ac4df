"""Limits that an executor's config sets on the steps of a run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchord.plan.gates import RunGate, executor_config, gates_of, run_pool
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run, RunStatus

PLAN = ExecutionPlan(
    "j",
    (
        Step("a", "a", tags={"db": "main"}),
        Step("b", "b", tags={"db": "main"}),
        Step("c", "c", tags={"db": "other"}),
        Step("d", "d"),
    ),
)


def test_no_config_sets_no_limit() -> None:
    assert gates_of({}, PLAN) == ()
    assert gates_of({"max_concurrent": None, "tag_concurrency_limits": []}, PLAN) == ()
    assert gates_of({"max_concurrent": 0}, PLAN) == ()


def test_max_concurrent_counts_every_step() -> None:
    (gate,) = gates_of({"max_concurrent": 2}, PLAN)
    assert gate.has_room("a", ["d"])
    assert not gate.has_room("a", ["d", "c"])


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"key": "db", "limit": 1}, [RunGate(1, frozenset("abc"), "db")]),
        ({"key": "db", "value": "main", "limit": 1}, [RunGate(1, frozenset("ab"), "db=main")]),
        (
            {"key": "db", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
            [RunGate(1, frozenset("ab"), "db=main"), RunGate(1, frozenset("c"), "db=other")],
        ),
        ({"key": "none", "limit": 1}, []),
    ],
    ids=["any value", "one value", "each value for itself", "no such tag"],
)
def test_limits_by_tag_hold_for_the_steps_that_have_it(limit: dict[str, object], expected: list[RunGate]) -> None:
    assert list(gates_of({"tag_concurrency_limits": [limit]}, PLAN)) == expected


def test_a_step_without_the_tag_is_not_held_up() -> None:
    gate = RunGate(1, frozenset("ab"))
    assert gate.has_room("d", ["a"])
    assert not gate.has_room("b", ["a", "d"])
    assert gate.has_room("b", ["d"])


def test_the_executors_config_is_found_in_run_config_whatever_else_is_there() -> None:
    def run(config: dict[str, object]) -> Run:
        return Run("r", "j", "home", RunStatus.STARTED, "s", datetime(2026, 1, 1, tzinfo=UTC), run_config=config)

    assert executor_config(run({"execution": {"config": {"max_concurrent": 3}}})) == {"max_concurrent": 3}
    assert executor_config(run({"execution": {}})) == {}
    assert executor_config(run({})) == {}
    assert run_pool("r") == "$run/r"
