"""User code that the type checker must accept: assets, selections, schedules, sensors, IO managers, Definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import orchord as dg


@dg.asset(group_name="numbers", kinds={"python"}, owners=["team:data"], metadata={"rows": 3})
def numbers() -> list[int]:
    return [1, 2, 3]


@dg.asset(deps=[numbers])
def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    context.log.info("reporting")
    return dg.MaterializeResult(metadata={"rows": 3, "link": dg.MetadataValue.url("https://example.com")})


@dg.multi_asset(specs=[dg.AssetSpec("left", deps=["numbers"]), dg.AssetSpec(dg.AssetKey(["sides", "right"]))])
def sides() -> Iterator[dg.MaterializeResult[Any]]:
    yield dg.MaterializeResult(asset_key="left")
    yield dg.MaterializeResult(asset_key=dg.AssetKey(["sides", "right"]))


class Shelf(dg.ConfigurableIOManager):
    folder: str

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        context.add_output_metadata({"folder": self.folder})

    def load_input(self, context: dg.InputContext) -> Any:
        return context.asset_key


everything = dg.define_asset_job("everything", selection=dg.AssetSelection.groups("numbers").downstream() - "left")
nightly = dg.ScheduleDefinition(job=everything, cron_schedule="0 3 * * *")


@dg.sensor(job=everything, minimum_interval_seconds=5)
def watch(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    yield dg.RunRequest(run_key=context.cursor)
    yield dg.SkipReason("nothing new")


defs = dg.Definitions(
    assets=[numbers, report, sides],
    jobs=[everything],
    schedules=[nightly],
    sensors=[watch],
    resources={"io_manager": Shelf(folder="/tmp")},
)

assert_type(numbers, dg.AssetsDefinition)
assert_type(numbers.key, dg.AssetKey)
assert_type(defs, dg.Definitions)
assert_type(dg.materialize([numbers]).success, bool)


@dg.definitions
def late() -> dg.Definitions:
    return dg.Definitions(assets=dg.with_resources([numbers, report], {"io_manager": Shelf(folder="/tmp")}))


assert_type(late(), dg.Definitions)
assert_type(everything, dg.UnresolvedAssetJobDefinition)
assert_type(dg.with_resources([numbers], {}), list[dg.AssetsDefinition])
assert_type(dg.file_relative_path(__file__, "data.csv"), str)


@dg.asset
def looks_back(context: dg.AssetExecutionContext) -> None:
    latest = context.instance.get_latest_materialization_event(dg.AssetKey("numbers"))
    assert_type(latest, dg.EventLogEntry | None)
    if latest is not None and latest.asset_materialization is not None:
        assert_type(latest.asset_materialization.metadata["rows"], dg.MetadataValue)
    assert_type(context.instance.get_run_by_id(context.run_id), dg.Run | None)
    assert_type(context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])), list[dg.Run])


for event in dg.materialize([numbers]).all_events:
    assert_type(event, dg.DagsterEvent)
    assert_type(event.is_step_success, bool)
    assert_type(event.asset_key, dg.AssetKey | None)
