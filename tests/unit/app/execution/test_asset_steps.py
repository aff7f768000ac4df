"""Steps that make and read assets: keys, materializations, results, subsets, loading; and ``materialize``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.decorators import asset, multi_asset
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.assets.graph_decorators import graph_asset
from orchord.definitions.assets.results import DataVersion, MaterializeResult, ObserveResult
from orchord.definitions.assets.spec import AssetIn, AssetOut, AssetSpec
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import IOManager
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.errors import InvalidDefinitionError, InvariantViolationError
from orchord.execution.contexts import AssetExecutionContext
from orchord.execution.materialize import materialize, materialize_to_memory
from orchord.io_managers import FilesystemIOManager, InMemoryIOManager


@asset
def orders() -> list[int]:
    return [1, 2, 3]


@asset
def total(orders: list[int]) -> int:
    return sum(orders)


def test_values_pass_from_asset_to_asset_and_each_is_told_of() -> None:
    result = materialize([orders, total])
    assert (result.success, result.asset_value("total"), result.output_for_node("total")) == (True, 6, 6)
    events = result.get_asset_materialization_events()
    assert [event.asset_key.to_user_string() for event in events] == ["orders", "total"]
    assert events[0].data["output_name"] == "result"
    assert events[0].data["metadata"]["path"]["type"] == "path"


def test_in_memory_nothing_is_written() -> None:
    result = materialize_to_memory([orders, total])
    assert result.asset_value("total") == 6
    assert result.get_asset_materialization_events()[0].data["metadata"] == {}


def test_a_value_of_an_unknown_asset_is_an_error_with_the_nearest() -> None:
    with pytest.raises(InvariantViolationError, match="makes no asset 'totl'. Did you mean 'total'?"):
        materialize_to_memory([orders, total]).asset_value("totl")


def test_a_selection_loads_what_it_reads_and_does_not_make_it(tmp_path: Path) -> None:
    resources = {"io_manager": FilesystemIOManager(base_dir=str(tmp_path))}
    materialize([orders, total], resources=resources)
    result = materialize([orders, total], selection="total", resources=resources)
    assert [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()] == ["total"]
    assert result.asset_value("total") == 6


def test_an_external_asset_is_loaded_by_the_manager_that_it_names() -> None:
    class Warehouse(IOManager):
        def handle_output(self, context: OutputContext, obj: Any) -> None:
            raise AssertionError("nothing is stored here")

        def load_input(self, context: InputContext) -> Any:
            assert context.upstream_output is not None
            assert context.upstream_output.has_asset_key
            return f"{context.asset_key.to_user_string()} for {context.name}"

    source = SourceAsset(["raw", "events"], io_manager_key="warehouse")

    @asset(ins={"events": AssetIn(key=["raw", "events"])})
    def cleaned(events: str) -> str:
        return events

    result = materialize_to_memory([source, cleaned], resources={"warehouse": Warehouse()})
    assert result.asset_value("cleaned") == "raw/events for events"


def test_a_result_without_a_value_stores_nothing_and_with_one_it_does() -> None:
    memory = InMemoryIOManager()

    @asset
    def written_by_itself() -> MaterializeResult[Any]:
        return MaterializeResult(metadata={"rows": 3}, tags={"by": "hand"}, data_version=DataVersion("v7"))

    @asset(code_version="2")
    def stored() -> MaterializeResult[int]:
        return MaterializeResult(value=5, metadata={"rows": 1})

    result = materialize([written_by_itself, stored], resources={"io_manager": memory})
    assert memory.values == {("stored",): 5}
    first, second = result.get_asset_materialization_events()
    assert first.data["metadata"] == {"rows": {"type": "int", "value": 3}}
    assert first.data["tags"] == {"by": "hand", "orchord/data_version": "v7"}
    assert second.data["tags"] == {"orchord/code_version": "2"}


def test_metadata_of_body_context_and_manager_come_together(tmp_path: Path) -> None:
    @asset
    def described(context: AssetExecutionContext) -> Output[int]:
        context.add_output_metadata({"by_context": 1})
        context.add_asset_metadata({"by_asset": 2})
        context.set_data_version("described", DataVersion("d1"))
        return Output(1, metadata={"by_output": 3}, tags={"tag": "x"})

    event = materialize([described]).get_asset_materialization_events()[0]
    assert set(event.data["metadata"]) == {"by_context", "by_asset", "by_output", "path"}
    assert event.data["tags"] == {"tag": "x", "orchord/data_version": "d1"}


def test_the_context_knows_its_assets() -> None:
    seen: dict[str, Any] = {}

    @asset(key_prefix="shop")
    def sales(context: AssetExecutionContext, orders: list[int]) -> int:
        seen.update(
            key=context.asset_key,
            selected=context.selected_asset_keys,
            names=context.selected_output_names,
            upstream=context.asset_key_for_input("orders"),
            made=context.asset_key_for_output(),
            output=context.output_for_asset_key(AssetKey(["shop", "sales"])),
            has=context.has_assets_def,
            definition=context.assets_def.key,
            subset=context.is_subset,
            op=context.op_execution_context is context,
        )
        return 1

    assert materialize_to_memory([orders, sales]).success
    key = AssetKey(["shop", "sales"])
    assert seen == {
        "key": key,
        "selected": {key},
        "names": {"result"},
        "upstream": AssetKey("orders"),
        "made": key,
        "output": "result",
        "has": True,
        "definition": key,
        "subset": False,
        "op": True,
    }


@multi_asset(outs={"low": AssetOut(), "high": AssetOut()})
def bounds(orders: list[int]) -> Any:
    return min(orders), max(orders)


def test_a_multi_asset_returns_a_tuple() -> None:
    result = materialize_to_memory([orders, bounds])
    assert (result.asset_value("low"), result.asset_value("high")) == (1, 3)


@multi_asset(specs=[AssetSpec("a"), AssetSpec("b", deps=["a"]), AssetSpec("c")], can_subset=True)
def some(context: AssetExecutionContext) -> Iterator[Any]:
    for key in sorted(context.selected_asset_keys):
        yield MaterializeResult(asset_key=key, metadata={"subset": context.is_subset})


@pytest.mark.parametrize(("selection", "made"), [(None, ["a", "b", "c"]), (["b"], ["b"]), (["c", "a"], ["a", "c"])])
def test_a_body_that_can_be_subset_makes_what_is_selected(selection: Any, made: list[str]) -> None:
    result = materialize_to_memory([some], selection=selection)
    assert [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()] == made
    flags = {event.data["metadata"]["subset"]["value"] for event in result.get_asset_materialization_events()}
    assert flags == {selection is not None}


def test_a_body_that_makes_what_is_not_selected_fails() -> None:
    @multi_asset(specs=[AssetSpec("a"), AssetSpec("b")], can_subset=True)
    def greedy() -> Iterator[Any]:
        yield MaterializeResult(asset_key="a")
        yield MaterializeResult(asset_key="b")

    with pytest.raises(InvariantViolationError, match="does not make the asset 'b'|which this run does not select"):
        materialize_to_memory([greedy], selection=["a"])


def test_a_run_of_some_assets_of_a_job_makes_those_alone() -> None:
    from orchord.definitions.assets.catalog import AssetCatalog
    from orchord.definitions.assets.job import asset_job

    catalog = AssetCatalog([some, orders])
    job = asset_job("all_of_them", catalog.graph.materializable_keys, catalog)
    result = job.execute_in_process(asset_selection=["c"])
    assert [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()] == ["c"]


def test_a_result_of_several_assets_names_which() -> None:
    @multi_asset(specs=[AssetSpec("a"), AssetSpec("b")])
    def unclear() -> Iterator[Any]:
        yield MaterializeResult()

    with pytest.raises(InvariantViolationError, match="without asset_key, but makes 2 assets, so give asset_key="):
        materialize_to_memory([unclear])


def test_an_op_cannot_give_a_materialize_result() -> None:
    from orchord.definitions.job import job

    @op
    def body() -> Any:
        return MaterializeResult()

    @job
    def ops() -> None:
        body()

    with pytest.raises(InvariantViolationError, match="makes no asset; use Output instead"):
        ops.execute_in_process()


def test_the_context_of_an_op_has_no_asset_key() -> None:
    from orchord.definitions.job import job

    @op
    def body(context: Any) -> Any:
        return context.asset_key

    @job
    def ops() -> None:
        body()

    with pytest.raises(InvariantViolationError, match="asks for the one asset that the body makes; it makes none"):
        ops.execute_in_process()


def test_a_graph_asset_is_told_of_by_its_last_step_alone() -> None:
    @op
    def first(orders: list[int]) -> int:
        return len(orders)

    @op
    def second(x: int) -> int:
        return x * 10

    @graph_asset
    def scaled(orders):  # type: ignore[no-untyped-def]
        return second(first(orders))

    result = materialize_to_memory([orders, scaled])
    assert result.asset_value("scaled") == 30
    told = [(event.step_key, event.asset_key.to_user_string()) for event in result.get_asset_materialization_events()]
    assert told == [("orders", "orders"), ("scaled.second", "scaled")]


def test_an_observation_is_recorded_and_stores_nothing() -> None:
    @asset
    def watched() -> ObserveResult:
        return ObserveResult(metadata={"age": 3}, data_version=DataVersion("x"))

    result = materialize_to_memory([watched])
    assert not result.get_asset_materialization_events()
    observed = result.asset_observations_for_node("watched")[0]
    assert (observed.asset_key, observed.metadata["age"].value) == (AssetKey("watched"), 3)
    assert observed.tags == {"orchord/data_version": "x"}


def test_mistakes_of_the_assets_as_a_set_are_all_named() -> None:
    @asset(name="orders")
    def double() -> int:
        return 1

    with pytest.raises(InvalidDefinitionError) as caught:
        materialize([orders, double, 5])
    assert "The assets cannot be materialized (2 mistakes)" in str(caught.value)
