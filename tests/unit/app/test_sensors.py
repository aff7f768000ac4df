"""Sensors as definitions: what one evaluation gives, cursors, and sensors on assets and runs."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError, InvariantViolationError
from orchord.events import utc_now
from orchord.runs import Run, RunStatus


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


@dg.job
def other():
    nothing()


class Materializations:
    """Stands for the instance: newest materializations by key, as ids."""

    def __init__(self, **ids: int) -> None:
        self.ids = ids

    def get_latest_materialization_event(self, key):
        found = self.ids.get(key.path[-1])
        return None if found is None else SimpleNamespace(id=found)


def test_a_sensor_of_a_generator_asks_for_its_jobs_run():
    @dg.sensor(job=idle, minimum_interval_seconds=5, tags={"from": "sensor"})
    def watcher():
        yield dg.RunRequest(run_key="a", tags={"own": "1"})
        yield dg.RunRequest(run_key="b")

    tick = watcher.evaluate_tick(dg.build_sensor_context())
    assert [(one.run_key, one.job_name) for one in tick.run_requests] == [("a", "idle"), ("b", "idle")]
    assert tick.run_requests[0].tags == {"from": "sensor", "own": "1"}
    assert watcher.minimum_interval_seconds == 5


def test_without_parentheses_and_without_a_job():
    @dg.sensor
    def watcher(context):
        return dg.SkipReason("nothing new")

    assert watcher.evaluate_tick(dg.build_sensor_context()).skip_message == "nothing new"
    assert watcher.job_name is None


def test_the_cursor_is_what_the_function_left():
    @dg.sensor(job=idle)
    def watcher(context):
        seen = int(context.cursor or 0)
        yield dg.RunRequest(run_key=str(seen))
        context.update_cursor(str(seen + 1))

    assert watcher.evaluate_tick(dg.build_sensor_context()).cursor == "1"
    assert watcher.evaluate_tick(dg.build_sensor_context(cursor="7")).cursor == "8"


def test_a_sensor_result_says_everything_at_once():
    @dg.sensor(jobs=[idle, other])
    def watcher(context):
        return dg.SensorResult(run_requests=[dg.RunRequest(job_name="other")], cursor="here")

    tick = watcher.evaluate_tick(dg.build_sensor_context())
    assert (tick.run_requests[0].job_name, tick.cursor) == ("other", "here")
    assert dg.SensorResult(skip_reason="none").skip_reason == dg.SkipReason("none")
    with pytest.raises(InvalidDefinitionError, match="SensorResult has both run_requests and skip_reason"):
        dg.SensorResult(run_requests=[dg.RunRequest()], skip_reason="none")


@pytest.mark.parametrize(
    ("result", "jobs", "problem"),
    [
        ([dg.RunRequest(), dg.SkipReason("x")], [idle], "gives both a RunRequest and a SkipReason"),
        (3, [idle], "Sensor 'watcher' gives 3. Give RunRequests, or a SkipReason."),
        ([dg.SensorResult(), dg.RunRequest()], [idle], "gives a SensorResult and something else"),
        (dg.RunRequest(), [idle, other], "asks for a run without job_name. It has several: idle, other."),
        (dg.RunRequest(), [], "asks for a run without job_name. It has no job: give it job= or jobs=."),
        (
            dg.RunRequest(job_name="idel"),
            [idle, other],
            "asks for a run of 'idel', which is none of its jobs. Did you mean",
        ),
    ],
)
def test_what_a_function_may_not_give(result, jobs, problem):
    @dg.sensor(jobs=jobs)
    def watcher():
        return result

    with pytest.raises(InvariantViolationError) as caught:
        watcher.evaluate_tick(dg.build_sensor_context())
    assert problem in str(caught.value)


def test_an_async_function_is_refused():
    @dg.sensor(job=idle)
    def watcher():
        async def later(): ...

        made = later()
        made.close()
        return made

    with pytest.raises(InvariantViolationError, match="Sensor 'watcher' is an async function"):
        watcher.evaluate_tick(dg.build_sensor_context())


def test_cursors_and_run_keys_are_text():
    with pytest.raises(InvalidDefinitionError, match="A cursor is a string, not 3"):
        dg.build_sensor_context().update_cursor(3)
    with pytest.raises(InvalidDefinitionError, match="RunRequest run_key is 3; give a string"):
        dg.RunRequest(run_key=3)


def test_the_first_tick_after_a_start_is_known():
    now = utc_now()
    assert dg.build_sensor_context().is_first_tick_since_sensor_start
    again = dg.build_sensor_context(last_sensor_start_time=now, last_tick_completion_time=now + timedelta(seconds=1))
    assert not again.is_first_tick_since_sensor_start
    assert again.last_tick_completion_timestamp == (now + timedelta(seconds=1)).timestamp()


def test_run_requests_take_config_objects_and_keys_in_any_form():
    request = dg.RunRequest(
        run_config=dg.RunConfig(ops={"nothing": {"config": {"a": 1}}}), asset_selection=["x", dg.AssetKey("y")]
    )
    assert request.run_config["ops"] == {"nothing": {"config": {"a": 1}}}
    assert request.asset_selection == (dg.AssetKey("x"), dg.AssetKey("y"))


def test_an_asset_sensor_sees_each_newest_materialization_once():
    @dg.asset_sensor(asset_key="orders", job=idle)
    def watcher(context, event):
        return dg.RunRequest(run_key=str(event.id))

    def tick(instance, cursor=None):
        return watcher.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))

    assert tick(Materializations()).skip_message == "No new materialization of orders."
    first = tick(Materializations(orders=4))
    assert ([one.run_key for one in first.run_requests], first.cursor) == (["4"], "4")
    assert tick(Materializations(orders=4), cursor="4").run_requests == ()
    assert tick(Materializations(orders=5), cursor="4").cursor == "5"
    assert list(map(repr, [watcher(dg.build_sensor_context(), SimpleNamespace(id=9))]))


def test_a_multi_asset_sensor_consumes_what_it_likes():
    from orchord.definitions.sensors import build_multi_asset_sensor_context

    @dg.multi_asset_sensor(monitored_assets=["orders", "items"], job=idle)
    def watcher(context):
        new = {key: event for key, event in context.latest_materialization_records_by_key().items() if event}
        if len(new) == 2:
            context.advance_all_cursors()
            return dg.RunRequest()
        return dg.SkipReason(f"{len(new)} new")

    def tick(cursor=None, **ids):
        context = build_multi_asset_sensor_context(
            monitored_assets=["orders", "items"], instance=Materializations(**ids), cursor=cursor
        )
        return watcher.evaluate_tick(context)

    assert tick(orders=1).skip_message == "1 new"
    done = tick(orders=1, items=2)
    assert (len(done.run_requests), done.cursor) == (1, '{"items": 2, "orders": 1}')
    assert tick(done.cursor, orders=1, items=3).skip_message == "1 new"


def test_run_status_sensors_are_called_for_one_run():
    from orchord.definitions.sensors import build_run_status_sensor_context

    run = Run("r1", "idle", "here", RunStatus.SUCCESS, "s", utc_now())
    seen = []

    @dg.run_status_sensor(run_status=RunStatus.SUCCESS, request_job=other, monitored_jobs=[idle])
    def on_success(context):
        seen.append(context.dagster_run.run_id)
        return dg.RunRequest()

    @dg.run_failure_sensor
    def on_failure(context: dg.RunFailureSensorContext):
        seen.append(context.failure_event)

    context = build_run_status_sensor_context("on_success", dagster_event="event", dagster_run=run)
    assert on_success.evaluate_run(context).run_requests[0].job_name == "other"
    assert on_failure.evaluate_run(context).run_requests == ()
    assert seen == ["r1", "event"]
    assert on_success.monitored_job_names == ("idle",)
    on_failure(context.for_run_failure())
    with pytest.raises(InvariantViolationError, match="build_run_status_sensor_context needs dagster_run="):
        build_run_status_sensor_context("x")


@pytest.mark.parametrize(
    "decorator", [dg.asset_sensor, dg.multi_asset_sensor, dg.run_status_sensor], ids=lambda one: one.__name__
)
def test_decorators_that_need_arguments_say_so(decorator):
    with pytest.raises(InvalidDefinitionError, match=f"@{decorator.__name__} is used without parentheses"):

        @decorator
        def watcher(context): ...


def test_a_context_has_the_resources_of_definitions_unless_others_are_given():
    @dg.sensor(job_name="j", required_resource_keys={"api", "db"})
    def watch(context):
        return dg.SkipReason(f"{context.resources.api} {context.resources.db}")

    defs = dg.Definitions(resources={"api": "live", "db": "live"})
    context = dg.build_sensor_context(definitions=defs, resources={"db": "fake"})
    assert watch(context).skip_message == "live fake"
    several = dg.build_multi_asset_sensor_context(monitored_assets=["a"], definitions=defs)
    assert several.resources.api == "live"
