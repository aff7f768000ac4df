"""Where the values of inputs come from: upstream outputs, earlier runs, config, defaults, input managers, assets."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchord.definitions.in_out import In, Out
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import IOManager, input_manager
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.types import Nothing
from orchord.errors import InvariantViolationError, TypeCheckError
from orchord.events import utc_now
from orchord.execution import StepResult
from orchord.io_managers import FilesystemIOManager
from orchord.runs import AttemptStatus, Inherited, Run, RunStatus

RunStep = Callable[..., StepResult]


@op
def one() -> int:
    return 1


@op
def shows(x: Any) -> Any:
    return x


class Spy(IOManager):
    """Keeps what it is told, and answers with a number."""

    def __init__(self) -> None:
        self.inputs: list[InputContext] = []
        self.outputs: list[OutputContext] = []

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        context.add_output_metadata({"stored": True})
        self.outputs.append(context)

    def load_input(self, context: InputContext) -> Any:
        context.add_input_metadata({"loaded": True})
        self.inputs.append(context)
        return 41


def test_an_io_manager_is_told_all_about_the_output_and_the_input() -> None:
    spy = Spy()

    @op(out=Out(io_manager_key="store", metadata={"table": "orders"}))
    def makes() -> Any:
        return Output(1, metadata={"rows": 2})

    @op(ins={"x": In(metadata={"columns": ["a"]})})
    def reads(x: int) -> int:
        return x + 1

    @job(resource_defs={"store": spy})
    def linked() -> None:
        reads(makes())

    result = linked.execute_in_process(instance=None)
    assert result.output_for_node("reads") == 42
    output, loaded = spy.outputs[0], spy.inputs[0]
    assert (output.step_key, output.name, output.run_id, output.job_name) == (
        "makes",
        "result",
        result.run_id,
        "linked",
    )
    assert output.get_identifier() == [result.run_id, "makes", "result"]
    assert (output.definition_metadata, output.op_def) == ({"table": "orders"}, makes)
    assert output.output_metadata["rows"].value == 2
    assert not output.has_asset_key
    assert loaded.upstream_output is not None
    assert loaded.upstream_output.get_identifier() == output.get_identifier()
    assert loaded.upstream_output.definition_metadata == {"table": "orders"}
    assert (loaded.name, loaded.definition_metadata, loaded.dagster_type.name) == ("x", {"columns": ["a"]}, "Int")
    by_type = {event.type: event for event in result.all_events}
    assert by_type["LOADED_INPUT"].data["metadata"] == {"loaded": {"type": "bool", "value": True}}
    assert by_type["LOADED_INPUT"].data["upstream_step_key"] == "makes"
    handled = next(event for event in result.events_for_node("makes") if event.type == "HANDLED_OUTPUT")
    assert handled.data["metadata"]["stored"] == {"type": "bool", "value": True}


def test_a_fan_in_is_a_list_in_the_order_in_which_it_is_written() -> None:
    @op
    def number(context: Any) -> str:
        return str(context.step_key)

    @job
    def fan() -> None:
        shows([number.alias("b")(), number.alias("a")(), number.alias("c")()])

    assert fan.execute_in_process().output_for_node("shows") == ["b", "a", "c"]


def test_nothing_orders_and_is_no_argument() -> None:
    order = []

    @op(out=Out(Nothing))
    def first() -> None:
        order.append("first")

    @op(ins={"after": In(Nothing)})
    def second() -> None:
        order.append("second")

    @job
    def ordered() -> None:
        second(after=first())

    assert ordered.execute_in_process().success
    assert order == ["first", "second"]


@pytest.mark.parametrize("form", ["plain", "value", "json", "pickle"])
def test_config_gives_the_value_of_an_open_input(tmp_path: Path, form: str) -> None:
    @job
    def open_input() -> None:
        shows()

    (tmp_path / "x.json").write_text(json.dumps([1, 2]))
    (tmp_path / "x.pickle").write_bytes(pickle.dumps([1, 2]))
    given: Any = {
        "plain": [1, 2],
        "value": {"value": [1, 2]},
        "json": {"json": str(tmp_path / "x.json")},
        "pickle": {"pickle": {"path": str(tmp_path / "x.pickle")}},
    }[form]
    config = {"ops": {"shows": {"inputs": {"x": given}}}}
    assert open_input.execute_in_process(run_config=config).output_for_node("shows") == [1, 2]


def test_a_default_stands_in_and_the_jobs_own_input_values_go_before_it() -> None:
    from orchord.definitions.graph import graph

    @op
    def adds(x: int = 5, y: int = 6) -> int:
        return x + y

    @graph
    def adding(x):  # type: ignore[no-untyped-def]
        adds(x)

    assert adding.to_job(input_values={"x": 1}).execute_in_process().output_for_node("adds") == 7
    assert adding.to_job(input_values={"x": 1}).execute_in_process(input_values={"x": 2}).output_for_node("adds") == 8


def test_an_input_managers_value_goes_before_the_upstreams_manager() -> None:
    @input_manager
    def constant(context: InputContext) -> int:
        assert context.upstream_output is not None
        return 100

    @op(ins={"x": In(input_manager_key="constant")})
    def reads(x: int) -> int:
        return x

    @job(resource_defs={"constant": constant})
    def linked() -> None:
        reads(one())

    assert linked.execute_in_process().output_for_node("reads") == 100


def test_a_value_of_the_wrong_type_fails_the_step_that_takes_it() -> None:
    @op
    def text() -> Any:
        return "text"

    @op
    def takes(x: int) -> int:
        return x

    @job
    def linked() -> None:
        takes(text())

    with pytest.raises(TypeCheckError, match="Input 'x' of op 'takes' does not fit its type: found 'text'"):
        linked.execute_in_process()
    result = linked.execute_in_process(raise_on_error=False)
    assert (result.is_node_success("text"), result.is_node_failed("takes")) == (True, True)


def test_an_earlier_runs_output_is_loaded_from_that_run(run_step: RunStep, tmp_path: Path) -> None:
    @job(resource_defs={"io_manager": FilesystemIOManager(base_dir=str(tmp_path))})
    def linked() -> None:
        shows(one())

    first = run_step(linked, "one", run=Run("run-1", "linked", "here", RunStatus.STARTED, "", utc_now()))
    assert first.status is AttemptStatus.SUCCESS
    inherited = {"one": Inherited("run-1", ("result",))}
    again = Run("run-2", "linked", "here", RunStatus.STARTED, "", utc_now(), step_keys=("shows",), inherited=inherited)
    assert run_step(linked, "shows", run=again).values == {"result": 1}


def test_a_load_that_fails_says_for_what_it_was(run_step: RunStep, tmp_path: Path) -> None:
    @job(resource_defs={"io_manager": FilesystemIOManager(base_dir=str(tmp_path))})
    def linked() -> None:
        shows(one())

    result = run_step(linked, "shows")
    assert isinstance(result.exception, FileNotFoundError)
    assert result.error is not None
    assert "loaded input 'x' of op 'shows' from output 'result' of step 'one'" in result.error.stack


def test_a_resource_that_is_no_io_manager_is_named() -> None:
    @op(out=Out(io_manager_key="db"))
    def makes() -> int:
        return 1

    @job(resource_defs={"db": "a connection"})
    def wrong() -> None:
        makes()

    with pytest.raises(Exception, match="Resource 'db' is used as an IO manager by step 'makes', but is a str"):
        wrong.execute_in_process()


def test_a_manager_may_yield_events_and_metadata() -> None:
    from orchord.definitions.assets.results import AssetMaterialization

    class Yielding(Spy):
        def handle_output(self, context: OutputContext, obj: Any) -> Any:
            yield AssetMaterialization("table")
            yield {"rows": 3}

    @job(resource_defs={"io_manager": Yielding()})
    def makes() -> None:
        one()

    result = makes.execute_in_process()
    assert [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()] == ["table"]
    handled = next(event for event in result.all_events if event.type == "HANDLED_OUTPUT")
    assert handled.data["metadata"]["rows"]["value"] == 3


def test_a_manager_that_yields_something_else_is_told_what_it_may() -> None:
    class Wrong(Spy):
        def handle_output(self, context: OutputContext, obj: Any) -> Any:
            yield 5

    @job(resource_defs={"io_manager": Wrong()})
    def makes() -> None:
        one()

    with pytest.raises(InvariantViolationError, match="handle_output yielded a value of type 'int'"):
        makes.execute_in_process()
