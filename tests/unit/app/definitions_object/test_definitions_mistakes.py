"""What a Definitions refuses: every mistake of it at once, numbered, with the user's file, line and nearest name."""

from __future__ import annotations

import pytest

import orchord as dg
from orchord.errors import InvalidDefinitionError

HERE = "definitions_object/test_definitions_mistakes.py"


def refused(**parts) -> str:
    with pytest.raises(InvalidDefinitionError) as caught:
        dg.Definitions(**parts).resolve()
    return str(caught.value)


def line_of(definition) -> str:
    return f"{HERE}:{definition.__wrapped__.__code__.co_firstlineno}"


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


@dg.asset
def orders(): ...


def test_two_assets_of_one_key():
    @dg.asset(name="orders")
    def again(): ...

    text = refused(assets=[orders, again])
    assert text.startswith(f"Definitions ({HERE}:")
    assert (
        f"two assets have the key 'orders' ({line_of(orders.op)} and {line_of(again.op)}):"
        " rename one of them, or give it a key_prefix" in text
    )


def test_an_asset_that_is_made_and_external():
    assert (
        f"the asset 'orders' is both made here ({line_of(orders.op)}) and listed as external: remove the AssetSpec or"
        " SourceAsset" in refused(assets=[orders, dg.AssetSpec("orders")])
    )


def test_an_external_asset_listed_twice():
    assert "the external asset 'x' is listed twice" in refused(assets=[dg.AssetSpec("x"), dg.SourceAsset("x")])


def test_two_assets_whose_ops_have_one_name():
    @dg.asset(key_prefix="shop")
    def items(): ...

    @dg.asset
    def shop__items(): ...

    text = refused(assets=[items, shop__items])
    assert "the assets 'shop/items' and 'shop__items'" in text
    assert "have ops of the same name 'shop__items': rename one of the functions, or give it name=" in text


def test_a_cycle_among_assets_is_named_with_its_path():
    @dg.asset(deps=["second"])
    def first(): ...

    @dg.asset(deps=["third"])
    def second(): ...

    @dg.asset(deps=["first"])
    def third(): ...

    text = refused(assets=[first, second, third])
    assert text.endswith(
        f"{line_of(first.op)}: assets depend on each other in a cycle: first -> third -> second -> first"
    )


def test_an_asset_that_loads_what_does_not_exist():
    @dg.asset
    def report(ordres): ...

    assert (
        f"{line_of(report.op)}: 'report' loads the asset 'ordres', which does not exist. Did you mean 'orders'? List an"
        " AssetSpec for it, if it is made elsewhere." in refused(assets=[orders, report])
    )


def test_a_resource_that_is_nowhere_is_told_once_for_all_who_need_it():
    @dg.asset(required_resource_keys={"databse"})
    def first(): ...

    @dg.asset(required_resource_keys={"databse"})
    def second(): ...

    @dg.op(required_resource_keys={"client"})
    def call(): ...

    @dg.job
    def calling():
        call()

    text = refused(assets=[first, second], jobs=[calling, dg.define_asset_job("both")], resources={"database": 1})
    assert text.count("databse") == 1
    assert (
        f"{line_of(first.op)}: asset first and 1 more need the resource 'databse', which is nowhere. Did you mean"
        " 'database'? Add it to resources=" in text
    )
    assert f"{line_of(call)}: step 'call' of job 'calling' needs the resource 'client', which is nowhere." in text


def test_two_jobs_of_one_name():
    @dg.job(name="idle")
    def other():
        nothing()

    assert "two jobs are named 'idle' (" in refused(jobs=[idle, other])


def test_a_job_cannot_take_the_implicit_jobs_name():
    @dg.job(name="__ASSET_JOB")
    def other():
        nothing()

    assert "a job is named '__ASSET_JOB', which is the name of the job over all assets" in refused(jobs=[other])


def test_things_that_are_none():
    text = refused(
        assets=[nothing], jobs=[orders], schedules=[idle], sensors=[3], executor="celery", resources={"a b": 1}
    )
    assert "assets= holds <OpDefinition 'nothing'>, which is no asset. Give functions under @asset" in text
    assert "jobs= holds <AssetsDefinition orders>, which is no job. Decorate it with @job" in text
    assert "schedules= holds <JobDefinition 'idle'>, which is no schedule. Decorate it with @schedule(...)" in text
    assert "sensors= holds 3, which is no sensor. Decorate it with @sensor(...)" in text
    assert "executor= is 'celery': give one such as in_process_executor" in text
    assert "resources= has the key 'a b': use letters, digits and underscores" in text


def test_schedules_and_sensors_with_mistakes():
    @dg.schedule(cron_schedule="61 * * * *", job_name="idel", execution_timezone="Europe/Atlantis")
    def often(): ...

    @dg.sensor(job_name="idel", minimum_interval_seconds=-1, required_resource_keys={"db"})
    def watcher(): ...

    @dg.run_failure_sensor(monitored_jobs=["idel"])
    def failing(context): ...

    text = refused(jobs=[idle], schedules=[often], sensors=[watcher, failing])
    assert "schedule 'often': no job is named 'idel'. Did you mean 'idle'?" in text
    assert "schedule 'often': its cron_schedule '61 * * * *' cannot be: give five fields" in text
    assert "schedule 'often': its execution_timezone 'Europe/Atlantis' is unknown" in text
    assert "sensor 'watcher': no job is named 'idel'. Did you mean 'idle'?" in text
    assert "sensor 'watcher': its minimum_interval_seconds is -1: give a number of seconds, 0 or more" in text
    assert "sensor 'watcher' needs the resource 'db', which is nowhere." in text
    assert "sensor 'failing': no job is named 'idel'." in text
    assert f"{HERE}:" in text.split("schedule 'often'")[0]


def test_names_of_schedules_and_sensors_are_their_own():
    @dg.schedule(cron_schedule="0 0 * * *", job=idle)
    def tick(): ...

    @dg.schedule(cron_schedule="0 0 * * *", job=idle, name="tick")
    def tock(): ...

    @dg.sensor(job=idle, name="tick")
    def sense(): ...

    text = refused(jobs=[idle], schedules=[tick, tock], sensors=[sense])
    assert "two schedules are named 'tick' (" in text
    assert "a schedule and a sensor are both named 'tick'" in text


def test_two_resources_that_assets_bring_under_one_key():
    @dg.asset(resource_defs={"db": dg.ResourceDefinition.hardcoded_resource(object())})
    def first(): ...

    @dg.asset(resource_defs={"db": dg.ResourceDefinition.hardcoded_resource(object())})
    def second(): ...

    assert "assets bring two different resources under the key 'db': give one of them another key" in refused(
        assets=[first, second]
    )


def test_a_multi_asset_sensor_on_an_unknown_asset():
    @dg.multi_asset_sensor(monitored_assets=["ordres"], job=idle)
    def watcher(context): ...

    assert "sensor 'watcher': no asset has the key 'ordres'. Did you mean 'orders'?" in refused(
        assets=[orders], sensors=[watcher]
    )


def test_everything_is_told_at_once_and_numbered():
    @dg.asset
    def report(ordres): ...

    @dg.asset(name="orders")
    def again(): ...

    text = refused(
        assets=[orders, again, report],
        jobs=[dg.define_asset_job("some", "ordesr"), idle],
        schedules=[dg.ScheduleDefinition(name="never", cron_schedule="never", job_name="idel")],
    )
    lines = text.splitlines()
    assert lines[0].endswith("cannot be right (5 mistakes):")
    assert [line[:4] for line in lines[1:]] == ["  1.", "  2.", "  3.", "  4.", "  5."]
    for part in (
        "two assets have the key",
        "'report' loads",
        "asset job 'some': no asset has the key 'ordesr'",
        "its cron_schedule 'never' cannot be",
        "no job is named 'idel'",
    ):
        assert part in text
