"""Every form that the body of an op may take, and what is said of bodies that keep to none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.in_out import Out
from orchord.definitions.job import JobDefinition
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.errors import InvariantViolationError, TypeCheckError
from orchord.execution.expectations import ExpectationResult

JobOf = Callable[..., JobDefinition]
TWO = {"a": Out(), "b": Out()}


@op
def plain() -> int:
    return 5


@op
def with_output() -> Output[int]:
    return Output(5, metadata={"rows": 1})


@op
def generator() -> Iterator[Output[int]]:
    yield Output(5)


@op
async def coroutine() -> int:
    await asyncio.sleep(0)
    return 5


@op
async def async_generator() -> AsyncIterator[Output[int]]:
    await asyncio.sleep(0)
    yield Output(5)


@pytest.mark.parametrize("body", [plain, with_output, generator, coroutine, async_generator], ids=lambda one: one.name)
def test_each_form_makes_its_output(job_of: JobOf, body: Any) -> None:
    result = job_of(body).execute_in_process()
    assert result.output_for_node(body.name) == 5


def test_an_async_body_runs_where_a_loop_is_running_already(job_of: JobOf) -> None:
    async def notebook() -> Any:
        return [job_of(body).execute_in_process().output_for_node(body.name) for body in (coroutine, async_generator)]

    assert asyncio.run(notebook()) == [5, 5]


def test_a_tuple_gives_one_value_to_each_output_in_order(job_of: JobOf) -> None:
    @op(out=TWO)
    def both() -> Any:
        return 1, Output(2, metadata={"x": 1})

    result = job_of(both).execute_in_process()
    assert (result.output_for_node("both", "a"), result.output_for_node("both", "b")) == (1, 2)


def test_none_is_a_value_unless_the_output_is_nothing(job_of: JobOf) -> None:
    @op
    def gives_none():  # type: ignore[no-untyped-def]
        return None

    @op
    def gives_nothing() -> None:
        return None

    stored = [event.type for event in job_of(gives_none).execute_in_process().events_for_node("gives_none")]
    ordered = [event.type for event in job_of(gives_nothing).execute_in_process().events_for_node("gives_nothing")]
    assert "HANDLED_OUTPUT" in stored
    assert "HANDLED_OUTPUT" not in ordered
    assert "STEP_OUTPUT" in ordered


def test_events_are_yielded_or_logged_and_kept_in_order(job_of: JobOf) -> None:
    @op
    def talks(context: Any) -> Iterator[Any]:
        yield AssetMaterialization("orders", metadata={"rows": 3})
        context.log_event(AssetObservation("stock"))
        yield ExpectationResult(success=False, label="fresh", description="a day old")
        yield Output(1)

    result = job_of(talks).execute_in_process()
    told = [event.type for event in result.events_for_node("talks") if not event.type.startswith(("STEP_S", "HANDLED"))]
    assert told == ["ASSET_MATERIALIZATION", "ASSET_OBSERVATION", "STEP_EXPECTATION_RESULT", "STEP_OUTPUT"]
    assert result.asset_materializations_for_node("talks")[0].metadata["rows"].value == 3
    assert [observed.asset_key.path for observed in result.asset_observations_for_node("talks")] == [("stock",)]
    expectation = next(event for event in result.all_events if event.type == "STEP_EXPECTATION_RESULT")
    assert expectation.message == "Expectation 'fresh' failed: a day old"


def test_an_optional_output_that_is_not_yielded_skips_its_consumers(job_of: JobOf) -> None:
    from orchord.definitions.job import job

    @op(out={"maybe": Out(is_required=False), "sure": Out()})
    def branches() -> Iterator[Any]:
        yield Output(1, "sure")

    @op
    def takes(x: Any) -> Any:
        return x

    @job
    def branching() -> None:
        maybe, sure = branches()
        takes.alias("left")(maybe)
        takes.alias("right")(sure)

    result = branching.execute_in_process()
    assert result.success
    assert (result.is_node_skipped("left"), result.is_node_success("right")) == (True, True)
    assert "did not yield 'maybe'" in result.get_step_skipped_events()[0].message


def failing(outs: Any, returned: Any = None, yielded: tuple[Any, ...] | None = None) -> Any:
    def returns():  # type: ignore[no-untyped-def]
        return returned

    def yields():  # type: ignore[no-untyped-def]
        yield from yielded or ()

    return op(name="body", out=outs)(returns if yielded is None else yields)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (failing(TWO, [1, 2]), r"Op 'body' has 2 outputs \(a, b\) and returned one list. Return a tuple"),
        (failing(TWO, (1,)), r"has 2 outputs \(a, b\) and returned one tuple of 1"),
        (failing(TWO, (Output(2, "b"), Output(1, "a"))), "Output named 'b' in the place of output 'a'"),
        (failing(TWO, yielded=(Output(1, "a"), Output(2, "a"))), "made its output 'a' twice. Yield each output once"),
        (failing(TWO, yielded=(Output(1, "a"),)), "ended without its required output 'b'. Return or yield a value"),
        (failing(TWO, yielded=()), "ended without its required output 'a', 'b'"),
        (failing(TWO, yielded=(Output(1, "aa"),)), "has no output 'aa'. Did you mean 'a'"),
        (failing(Out(), yielded=(5,)), "yielded a value of type 'int'. A generator yields Output"),
        (failing(Out(), AssetMaterialization("k")), "returned AssetMaterialization, which is an event and not a value"),
    ],
)
def test_a_body_that_keeps_to_no_form_fails_with_its_name(job_of: JobOf, body: Any, message: str) -> None:
    with pytest.raises(InvariantViolationError, match=message):
        job_of(body).execute_in_process()


def test_a_value_of_the_wrong_type_fails_the_step_and_names_the_output(job_of: JobOf) -> None:
    @op
    def lies() -> int:
        return "text"  # type: ignore[return-value]

    with pytest.raises(TypeCheckError, match="Output 'result' of op 'lies' does not fit its type: found 'text'"):
        job_of(lies).execute_in_process()
    result = job_of(lies).execute_in_process(raise_on_error=False)
    checked = next(event for event in result.all_events if event.type == "STEP_OUTPUT")
    assert checked.data["type_check"]["success"] is False


def test_a_generator_is_closed_when_one_of_its_results_is_refused(job_of: JobOf) -> None:
    closed = []

    @op
    def careful() -> Iterator[Any]:
        try:
            yield 5
        finally:
            closed.append(True)

    assert not job_of(careful).execute_in_process(raise_on_error=False).success
    assert closed == [True]


def test_metadata_of_the_output_and_of_the_context_are_in_its_event(job_of: JobOf) -> None:
    @op
    def described(context: Any) -> Any:
        context.add_output_metadata({"late": 1.5})
        return Output(5, metadata={"early": "yes"})

    result = job_of(described).execute_in_process()
    event = next(event for event in result.all_events if event.type == "STEP_OUTPUT")
    assert event.data["metadata"] == {
        "early": {"type": "text", "value": "yes"},
        "late": {"type": "float", "value": 1.5},
    }


@pytest.mark.parametrize(
    ("metadata", "output_name", "message"),
    [
        ({"x": 1}, None, "has 2 outputs, so say which one"),
        ({"x": 1}, "c", "has no output 'c'. Known: a, b."),
    ],
)
def test_metadata_for_an_output_that_is_not_meant_is_refused(
    job_of: JobOf, metadata: dict[str, int], output_name: str | None, message: str
) -> None:
    @op(out=TWO)
    def described(context: Any) -> Any:
        context.add_output_metadata(metadata, output_name=output_name)
        return 1, 2

    with pytest.raises(InvariantViolationError, match=message):
        job_of(described).execute_in_process()


def test_metadata_of_one_name_is_not_given_twice(job_of: JobOf) -> None:
    @op
    def twice(context: Any) -> int:
        context.add_output_metadata({"x": 1})
        context.add_output_metadata({"x": 2})
        return 1

    with pytest.raises(InvariantViolationError, match="Metadata 'x' of output 'result' is set twice"):
        job_of(twice).execute_in_process()


def test_log_event_takes_events_alone(job_of: JobOf) -> None:
    @op
    def logs_an_output(context: Any) -> int:
        context.log_event(Output(1))
        return 1

    with pytest.raises(InvariantViolationError, match="log_event takes AssetMaterialization, AssetObservation"):
        job_of(logs_an_output).execute_in_process()
