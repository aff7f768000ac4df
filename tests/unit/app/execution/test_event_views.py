"""Events as user code reads them: in results of runs, from ``context.instance``, and in sensors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import orchord as dg


@dg.asset(metadata={"kept": "on the definition"})
def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("making the table")
    context.log_event(dg.AssetObservation("watched", metadata={"age": 3}))
    return dg.MaterializeResult(metadata={"rows": 5}, tags={"kind": "full"})


@dg.op(out={"small": dg.Out(int), "large": dg.Out(int)})
def two():
    yield dg.Output(1, "small", metadata={"size": 1})
    yield dg.Output(100, "large")


@dg.op
def fails(small):
    raise dg.Failure("too small", metadata={"found": small}, allow_retries=False)


@dg.job
def failing():
    small, _ = two()
    fails(small)


@pytest.fixture
def instance() -> Iterator[dg.OrchordInstance]:
    with dg.OrchordInstance.ephemeral() as opened:
        yield opened


class TestInResults:
    def test_types_of_events(self):
        result = failing.execute_in_process(raise_on_error=False)
        succeeded = [event.step_key for event in result.all_events if event.is_step_success]
        failed = [event.step_key for event in result.all_events if event.is_step_failure]
        assert (succeeded, failed) == (["two"], ["fails"])
        first, last = result.all_events[0], result.all_events[-1]
        assert isinstance(first, dg.DagsterEvent)
        assert (first.event_type_value, first.event_type) == ("RUN_START", dg.DagsterEventType.RUN_START)
        assert (first.is_step_event, first.node_name, first.asset_key) == (False, None, None)
        assert (last.is_run_failure, last.is_job_failure, last.is_failure, last.is_job_success) == (
            True,
            True,
            True,
            False,
        )
        assert {event.job_name for event in result.all_events} == {"failing"}
        assert [event.node_name for event in result.all_events if event.is_step_start] == ["two", "fails"]
        assert [event for event in result.all_events if event.is_hook_event or event.is_asset_observation] == []
        assert last == last
        assert last != first
        assert repr(last).startswith("DagsterEvent(Event(type=")

    def test_outputs(self):
        result = failing.execute_in_process(raise_on_error=False)
        outputs = [event.step_output_data for event in result.all_events if event.is_successful_output]
        assert [(one.step_key, one.output_name, one.mistake) for one in outputs] == [
            ("two", "small", None),
            ("two", "large", None),
        ]
        assert outputs[0].metadata["size"].value == 1
        assert result.all_events[0].step_output_data is None

    def test_failures(self):
        result = failing.execute_in_process(raise_on_error=False)
        (event,) = result.get_step_failure_events()
        data = result.failure_data_for_node("fails")
        assert event.step_failure_data == event.event_specific_data == data
        assert data.error.cls_name == "Failure"
        assert "too small" in data.error_display_string
        assert data.user_failure_data.description == "too small"
        assert data.user_failure_data.metadata["found"].value == 1
        assert data.user_failure_data.allow_retries is False
        assert result.failure_data_for_node("two") is None

    def test_materializations_and_observations(self):
        result = dg.materialize([table])
        (made,) = [event for event in result.all_events if event.is_step_materialization]
        assert made.asset_key == dg.AssetKey("table")
        assert made.materialization == made.asset_materialization == made.step_materialization_data.materialization
        assert made.event_specific_data.materialization.metadata["rows"].value == 5
        assert made.materialization.tags["kind"] == "full"
        assert result.asset_materializations_for_node("table") == [made.materialization]
        (seen,) = result.get_asset_observation_events()
        assert (seen.asset_key, seen.asset_materialization) == (dg.AssetKey("watched"), None)
        assert seen.event_specific_data.asset_observation == seen.asset_observation
        assert result.asset_observations_for_node("table")[0].metadata["age"].value == 3


class TestFromTheInstance:
    def test_code_asks_its_own_instance(self, instance: dg.OrchordInstance):
        first = dg.materialize([table], instance=instance)
        found = {}

        @dg.op
        def asks(context: dg.OpExecutionContext):
            key = dg.AssetKey("table")
            found["latest"] = context.instance.get_latest_materialization_event(key)
            found["none"] = context.instance.get_latest_materialization_event(dg.AssetKey("other"))
            found["run"] = context.instance.get_run_by_id(first.run_id)
            found["self"] = context.instance.get_run_by_id(context.run_id)
            found["runs"] = context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
            found["events"] = context.instance.get_events(first.run_id, types=[dg.DagsterEventType.STEP_SUCCESS])
            found["logs"] = context.instance.all_logs(first.run_id)
            context.instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"rows": 6}))
            found["reported"] = context.instance.get_latest_materialization_event(key)

        @dg.job
        def asking():
            asks()

        result = asking.execute_in_process(instance=instance)
        latest = found["latest"]
        assert (latest.run_id, latest.step_key, latest.asset_key) == (first.run_id, "table", dg.AssetKey("table"))
        assert latest.asset_materialization.metadata["rows"].value == 5
        assert latest.dagster_event.asset_key == dg.AssetKey("table")
        assert latest.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
        assert datetime.fromtimestamp(latest.timestamp, UTC) == latest.event.timestamp
        assert (latest.storage_id, latest.event_log_entry) == (latest.id, latest)
        assert (found["none"], found["run"].status) == (None, dg.DagsterRunStatus.SUCCESS)
        assert found["self"].run_id == result.run_id
        assert [run.run_id for run in found["runs"]] == [first.run_id]
        assert [entry.step_key for entry in found["events"]] == ["table"]
        (line,) = [entry for entry in found["logs"] if not entry.is_dagster_event]
        assert (line.message, line.user_message, line.level) == ("making the table", "making the table", 20)
        assert (line.dagster_event, line.dagster_event_type, line.asset_materialization) == (None, None, None)
        assert found["reported"].asset_materialization.metadata["rows"].value == 6
        assert (found["reported"].run_id, found["reported"].partition_key) == ("", None)
        assert repr(latest).startswith("EventLogEntry(StoredEvent(id=")

    def test_a_run_without_an_instance_asks_an_empty_one(self):
        @dg.op
        def asks(context: dg.OpExecutionContext):
            return context.instance.get_runs(), context.instance.get_latest_materialization_event("table")

        @dg.job
        def asking():
            asks()

        assert asking.execute_in_process().output_for_node("asks") == ([], None)

    def test_sensors_see_materializations_and_failures(self, instance: dg.OrchordInstance):
        made = dg.materialize([table], instance=instance)
        failed = failing.execute_in_process(instance=instance, raise_on_error=False)

        @dg.asset_sensor(asset_key="table", job=failing)
        def on_table(context, event):
            rows = event.dagster_event.materialization.metadata["rows"].value
            return dg.RunRequest(run_key=f"{event.run_id}:{rows}")

        tick = on_table.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert [request.run_key for request in tick.run_requests] == [f"{made.run_id}:5"]

        context = dg.build_run_status_sensor_context(
            "on_failure", failed.all_events[-1], instance, failed.dagster_run
        ).for_run_failure()
        assert context.failure_event.is_run_failure
        (event,) = context.get_step_failure_events()
        assert (event.step_key, event.event_specific_data.error.cls_name) == ("fails", "Failure")
