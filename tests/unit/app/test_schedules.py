"""Schedules as definitions: what they start, what one evaluation gives, and what is wrong with one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError, InvalidInvocationError, InvariantViolationError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


def context(**options) -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(scheduled_execution_time=NOON, **options)


def test_a_plain_schedule_is_named_after_its_job_and_asks_for_one_run():
    schedule = dg.ScheduleDefinition(
        job=idle, cron_schedule="* * * * *", run_config={"ops": {"nothing": {"config": 1}}}, tags={"a": 1}
    )
    assert (schedule.name, schedule.job_name, schedule.cron_schedule) == ("idle_schedule", "idle", "* * * * *")
    (request,) = schedule.evaluate_tick(context()).run_requests
    assert (request.job_name, request.run_config) == ("idle", {"ops": {"nothing": {"config": 1}}})
    assert request.tags == {"a": "1"}
    assert schedule.mistakes() == []


def test_functions_make_config_tags_and_the_decision():
    schedule = dg.ScheduleDefinition(
        name="made",
        job=idle,
        cron_schedule=["0 0 * * *", "@daily"],
        run_config_fn=lambda context: {"ops": {"nothing": {"config": context.scheduled_execution_time.day}}},
        tags_fn=lambda context: {"day": str(context.scheduled_execution_time.day)},
        should_execute=lambda context: context.scheduled_execution_time.hour == 12,
    )
    (request,) = schedule.evaluate_tick(context()).run_requests
    assert request.run_config == {"ops": {"nothing": {"config": 2}}}
    assert request.tags == {"day": "2"}
    early = dg.build_schedule_context(scheduled_execution_time=NOON.replace(hour=1))
    assert schedule.evaluate_tick(early).skip_message == "should_execute of 'made' said no."


@pytest.mark.parametrize(
    ("result", "configs", "message"),
    [
        (dg.RunRequest(run_key="a"), [{}], None),
        ([dg.RunRequest(), dg.RunRequest(run_config={"ops": {}})], [{}, {"ops": {}}], None),
        ({"ops": {"nothing": {}}}, [{"ops": {"nothing": {}}}], None),
        (dg.SkipReason("closed"), [], "closed"),
        (None, [], "It gave nothing, so no run was asked for."),
        ([], [], "It gave nothing, so no run was asked for."),
    ],
)
def test_what_a_function_may_give(result, configs, message):
    @dg.schedule(cron_schedule="0 0 * * *", job=idle)
    def nightly():
        return result

    tick = nightly.evaluate_tick(context())
    assert [request.run_config for request in tick.run_requests] == configs
    assert tick.skip_message == message


def test_a_generator_may_yield_requests():
    @dg.schedule(cron_schedule="0 0 * * *", job=idle)
    def nightly(context):
        yield dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    (request,) = nightly.evaluate_tick(context()).run_requests
    assert request.run_key == "2026-01-02T12:00:00+00:00"


def test_the_function_is_called_as_it_is_in_a_test():
    @dg.schedule(cron_schedule="0 0 * * *", job=idle)
    def nightly(context):
        return {"day": context.scheduled_execution_time.day}

    assert nightly(context()) == {"day": 2}
    with pytest.raises(InvalidInvocationError, match="'nightly' takes a ScheduleEvaluationContext first"):
        nightly()


def test_resources_come_by_parameter_or_by_context():
    class Greeter(dg.ConfigurableResource):
        word: str

    @dg.schedule(cron_schedule="0 0 * * *", job=idle)
    def nightly(context, greeter: Greeter):
        return dg.SkipReason(greeter.word + context.resources.greeter.word)

    assert nightly.required_resource_keys == {"greeter"}
    with context(resources={"greeter": Greeter(word="hi")}) as built:
        assert nightly.evaluate_tick(built).skip_message == "hihi"
    assert nightly(context(resources={"greeter": Greeter(word="a")}), greeter=Greeter(word="b")).skip_message == "ba"


def test_a_target_of_assets_becomes_a_job():
    @dg.asset
    def orders(): ...

    schedule = dg.ScheduleDefinition(name="assets", cron_schedule="0 0 * * *", target=dg.AssetSelection.assets(orders))
    assert schedule.job_name == "__anonymous_asset_job_assets"
    assert schedule.jobs[0].selection == dg.AssetSelection.assets("orders")


def test_a_decorated_schedule_keeps_its_place_and_docstring():
    @dg.schedule(cron_schedule="0 0 * * *", job=idle, default_status=dg.DefaultScheduleStatus.RUNNING)
    def nightly():
        """Every night."""

    assert nightly.origin.startswith("app/test_schedules.py:")
    assert nightly.description == "Every night."
    assert nightly.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_context_without_time_or_instance_says_what_to_give():
    empty = dg.build_schedule_context()
    with pytest.raises(InvariantViolationError, match=r"Give it to build_schedule_context\(\.\.\.\)"):
        _ = empty.scheduled_execution_time
    with pytest.raises(InvariantViolationError, match=r"has no instance\. Build it with instance="):
        _ = empty.instance


def test_every_mistake_of_a_schedule_is_told():
    schedule = dg.ScheduleDefinition(
        name="not a name",
        cron_schedule=["* * *", "0 0 31 2 x"],
        run_config={},
        run_config_fn=dict,
        tags={},
        tags_fn=dict,
        execution_timezone="Mars",
        owners=["nobody"],
    )
    text = "\n".join(schedule.mistakes())
    for part in (
        "a schedule cannot be named 'not a name'",
        "it has run_config= and run_config_fn=: keep one of them",
        "it has tags= and tags_fn=: keep one of them",
        "it has the owner 'nobody'",
        "it has no job: give it job=, job_name= or target=",
        "its cron_schedule '* * *' cannot be",
        "its cron_schedule '0 0 31 2 x' cannot be",
        "its execution_timezone 'Mars' is unknown",
    ):
        assert part in text
    assert dg.ScheduleDefinition(name="x", job=idle).mistakes() == [
        "it has no cron_schedule: give one, such as '0 6 * * *'"
    ]
    with_both = dg.ScheduleDefinition(
        name="x", job=idle, cron_schedule="0 0 * * *", execution_fn=dict, run_config={"ops": {}}
    )
    assert with_both.mistakes() == [
        "it has execution_fn= and run_config=: put the config into the RunRequest that the function gives"
    ]


def test_the_decorator_needs_its_cron_string():
    with pytest.raises(InvalidDefinitionError, match="@schedule is used without parentheses"):

        @dg.schedule
        def nightly(): ...


def test_a_schedule_without_a_function_is_not_called():
    with pytest.raises(InvariantViolationError, match="has no function to call. Use evaluate_tick"):
        dg.ScheduleDefinition(job=idle, cron_schedule="0 0 * * *")()


def test_arguments_of_a_wrong_type_are_mistakes_and_no_crash():
    schedule = dg.ScheduleDefinition(
        name="x", job=idle, cron_schedule=5, execution_timezone=5, default_status="RUNNING"
    )
    assert schedule.mistakes() == [
        "its default_status is 'RUNNING': give a DefaultScheduleStatus",
        "its cron_schedule 5 is no string: give one, such as '0 6 * * *'",
        "its execution_timezone 5 is unknown: give one such as 'Europe/Berlin'",
    ]


def test_tags_of_a_function_are_made_text_as_those_of_a_request():
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 1, 2, tzinfo=UTC))
    counted = dg.ScheduleDefinition(name="x", job=idle, cron_schedule="@daily", tags_fn=lambda _: {"rows": 3})
    assert counted.evaluate_tick(context).run_requests[0].tags == {"rows": "3"}
    wrong = dg.ScheduleDefinition(name="x", job=idle, cron_schedule="@daily", tags_fn=lambda _: "rows")
    with pytest.raises(InvalidDefinitionError, match="Tags of tags_fn of schedule 'x' cannot be used: they are 'rows'"):
        wrong.evaluate_tick(context)


def test_a_cron_string_that_is_never_due_is_a_mistake():
    never = dg.ScheduleDefinition(name="x", job=idle, cron_schedule=["0 0 29 2 *", "0 0 31 2,4 *"])
    assert never.mistakes() == ["its cron_schedule '0 0 31 2,4 *' is never due: no year has such a day"]
