"""Sensors as definitions: what one evaluation gives, cursors, and sensors on assets and runs."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

import orchord as dg
from orchord.definitions.sensors import SensorEvaluationContext
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
    with pytest.raises(InvalidDefinitionError, match="A cursor is a string, not 3"):
        dg.SensorResult(cursor=3)
    with pytest.raises(InvalidDefinitionError, match="RunRequest run_key is 3; give a string"):
        dg.RunRequest(run_key=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dg.SkipReason({"no": "file"}), "A SkipReason is text, not"),
        (lambda: dg.SensorResult(skip_reason=5), "A SkipReason is text, not 5"),
        (lambda: dg.SensorResult(run_requests=dg.RunRequest()), "SensorResult run_requests is RunRequest.*Give a list"),
        (lambda: dg.SensorResult(run_requests=["orders"]), "run_requests holds 'orders'. Give RunRequests"),
        (lambda: dg.SensorResult(asset_events="orders"), "asset_events is 'orders'. Give a list"),
        (lambda: dg.SensorResult(asset_events=["orders"]), "asset_events holds 'orders'. Give AssetMaterializations"),
        (lambda: dg.RunRequest(job_name=5), "RunRequest job_name is 5; give the job's name as text"),
    ],
)
def test_results_of_a_wrong_type_are_refused_where_they_are_made(make, message):
    with pytest.raises(InvalidDefinitionError, match=message):
        make()


def test_a_cursor_that_somebody_set_wrongly_is_named():
    @dg.asset_sensor(asset_key="orders", job=idle)
    def on_orders(context, event): ...

    @dg.multi_asset_sensor(monitored_assets=["orders"], job=idle)
    def on_many(context):
        context.latest_materialization_records_by_key()

    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(InvariantViolationError, match="The cursor of asset sensor 'on_orders' is 'zz', and no id"):
            on_orders.evaluate_tick(dg.build_sensor_context(instance, cursor="zz"))
        for cursor in ("zz", "5", '{"orders": "x"}', '{"orders": []}'):
            context = dg.build_multi_asset_sensor_context(
                monitored_assets=["orders"], instance=instance, cursor=cursor, sensor_name="on_many"
            )
            with pytest.raises(InvariantViolationError, match="The cursor of multi-asset sensor 'on_many' is"):
                on_many.evaluate_tick(context)


def test_a_default_status_that_is_none_is_a_mistake():
    sensor = dg.SensorDefinition("x", evaluation_fn=lambda context: None, job=idle, default_status="RUNNING")
    assert sensor.mistakes() == ["its default_status is 'RUNNING': give a DefaultSensorStatus"]


def test_the_first_tick_after_a_start_is_known():
    now = utc_now()
    assert dg.build_sensor_context().is_first_tick_since_sensor_start
    again = dg.build_sensor_context(last_sensor_start_time=now, last_tick_completion_time=now + timedelta(seconds=1))
    assert not again.is_first_tick_since_sensor_start
    assert again.last_tick_completion_time == (now + timedelta(seconds=1)).timestamp()
    assert again.last_tick_completion_timestamp == again.last_tick_completion_time
    assert dg.build_sensor_context(last_sensor_start_time=5.0).last_sensor_start_time == 5.0


def test_run_requests_take_config_objects_and_keys_in_any_form():
    request = dg.RunRequest(
        run_config=dg.RunConfig(ops={"nothing": {"config": {"a": 1}}}), asset_selection=["x", dg.AssetKey("y")]
    )
    assert request.run_config["ops"] == {"nothing": {"config": {"a": 1}}}
    assert request.asset_selection == (dg.AssetKey("x"), dg.AssetKey("y"))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def materialized(instance, *keys, partition=None):
    events = [dg.AssetMaterialization(key, partition=partition) for key in keys]
    return [instance.report_runless_asset_event(event).id for event in events]


def test_an_asset_sensor_sees_every_materialization_once_and_in_order(instance):
    @dg.asset_sensor(asset_key="orders", job=idle)
    def watcher(context, event):
        return dg.RunRequest(run_key=str(event.id))

    def tick(cursor=None):
        made = watcher.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        return [int(request.run_key) for request in made.run_requests], made.cursor, made.skip_message

    nothing = ([], "0", "No new materialization of orders.")
    assert tick() == nothing
    ids = materialized(instance, "orders", "items", "orders", "orders")
    assert tick("0") == ([ids[0], ids[2], ids[3]], str(ids[3]), None)
    assert tick() == ([ids[3]], str(ids[3]), None), "without a cursor, the newest is the first"
    assert tick(str(ids[3])) == ([], str(ids[3]), nothing[2])
    assert list(map(repr, [watcher(dg.build_sensor_context(), SimpleNamespace(id=9))]))


def test_an_asset_sensor_begins_with_what_happened_since_it_was_started(instance):
    @dg.asset_sensor(asset_key="orders", job=idle)
    def watcher(context, event):
        return dg.RunRequest(run_key=str(event.id))

    materialized(instance, "orders")
    start = utc_now()
    ids = materialized(instance, "orders", "orders")
    tick = watcher.evaluate_tick(dg.build_sensor_context(instance=instance, last_sensor_start_time=start))
    assert [int(request.run_key) for request in tick.run_requests] == ids


def test_an_asset_sensor_leaves_the_rest_of_a_burst_to_its_next_tick(instance, monkeypatch):
    monkeypatch.setattr("orchord.definitions.asset_sensors.EVENTS_PER_EVALUATION", 2)
    calls = []

    @dg.asset_sensor(asset_key="orders", job=idle)
    def watcher(context, event):
        calls.append(event.id)

    ids = materialized(instance, "orders", "orders", "orders")
    first = watcher.evaluate_tick(dg.build_sensor_context(instance=instance, cursor="0"))
    assert (first.cursor, first.has_more) == (str(ids[1]), True)
    second = watcher.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=first.cursor))
    assert (second.cursor, second.has_more, calls) == (str(ids[2]), False, ids)

    hurried = SensorEvaluationContext(instance, "0", may_go_on=lambda: False)
    assert watcher.evaluate_tick(hurried).cursor == str(ids[0]), "it consumes one event at least"


def test_a_multi_asset_sensor_consumes_what_it_likes(instance):
    from orchord.definitions.sensors import build_multi_asset_sensor_context

    @dg.multi_asset_sensor(monitored_assets=["orders", "items"], job=idle)
    def watcher(context):
        new = {key: event for key, event in context.latest_materialization_records_by_key().items() if event}
        if len(new) == 2:
            context.advance_all_cursors()
            return dg.RunRequest()
        return dg.SkipReason(f"{len(new)} new")

    def tick(cursor=None):
        context = build_multi_asset_sensor_context(
            monitored_assets=["orders", "items"], instance=instance, cursor=cursor
        )
        return watcher.evaluate_tick(context)

    (orders,) = materialized(instance, "orders")
    assert tick().skip_message == "1 new"
    (items,) = materialized(instance, "items")
    done = tick()
    assert (len(done.run_requests), done.cursor) == (1, f'{{"items": {items}, "orders": {orders}}}')
    materialized(instance, "items")
    assert tick(done.cursor).skip_message == "1 new"


def test_a_multi_asset_sensor_can_have_every_event_and_the_partitions_that_it_passed_over(instance):
    from orchord.definitions.sensors import build_multi_asset_sensor_context

    key = dg.AssetKey("orders")

    def context(cursor=None):
        return build_multi_asset_sensor_context(monitored_assets=[key], instance=instance, cursor=cursor)

    def ids(events):
        return [event.id for event in events]

    plain = materialized(instance, "orders", "orders", "orders")
    now = context()
    assert ids(now.materialization_records_for_key(key)) == plain
    assert ids(now.materialization_records_for_key(key, limit=2)) == plain[:2]
    now.advance_cursor({key: now.materialization_records_for_key(key)[1]})
    assert now.get_cursor_by_asset(key) == plain[1]
    assert ids(now.materialization_records_for_key(key)) == plain[2:]
    now.advance_cursor({key: now.latest_materialization_records_by_key()[key]})
    assert (now.get_trailing_unconsumed_events(key), now.cursor) == ([], f'{{"orders": {plain[2]}}}')

    for partition in ("a", "b", "a", "c"):
        materialized(instance, "orders", partition=partition)
    newest = context(now.cursor)
    newest.advance_cursor(newest.latest_materialization_records_by_key())
    later = context(newest.cursor)
    trailing = later.get_trailing_unconsumed_events(key)
    assert [event.partition_key for event in trailing] == ["b", "a"]
    assert later.latest_materialization_records_by_key() == {key: None}
    later.advance_cursor({key: trailing[0]})
    assert ids(later.get_trailing_unconsumed_events(key)) == ids(trailing[1:])
    later.advance_all_cursors()
    assert later.get_trailing_unconsumed_events(key) == []


def test_a_sensor_reads_the_payload_of_a_push():
    @dg.sensor(job=idle)
    def watcher(context):
        return dg.SkipReason(f"{context.payload}")

    assert watcher.evaluate_tick(dg.build_sensor_context(payload={"a": 1})).skip_message == "{'a': 1}"
    assert watcher.evaluate_tick(dg.build_sensor_context()).skip_message == "None"


def test_a_request_for_assets_needs_no_job():
    @dg.sensor()
    def watcher(context):
        return dg.RunRequest(asset_selection=["orders"])

    assert watcher.evaluate_tick(dg.build_sensor_context()).run_requests[0].job_name == "__ASSET_JOB"


@pytest.mark.parametrize("limit", [0, -1, True, "5", float("inf")])
def test_a_time_limit_that_cannot_be_is_a_mistake(limit):
    @dg.sensor(job=idle, timeout_seconds=limit)
    def watcher(context):
        """Never called."""

    @dg.schedule("* * * * *", job=idle, timeout_seconds=limit)
    def clock(context):
        """Never called."""

    expected = [f"its timeout_seconds is {limit!r}: give a number of seconds above 0"]
    assert watcher.mistakes() == clock.mistakes() == expected


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
