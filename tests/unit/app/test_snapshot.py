"""Snapshots: what of a location they hold, that they survive encoding, and that no secret is in them."""

from __future__ import annotations

import orchord as dg
from orchord.definitions.config.check import check_config
from orchord.runs import RunStatus
from orchord.snapshot import (
    EdgeSnapshot,
    LocationSnapshot,
    decode_job,
    decode_location,
    encode,
    snapshot_of,
)


class Database(dg.ConfigurableResource):
    """Where rows are."""

    url: str
    password: str


class Limits(dg.Config):
    rows: int = 10


@dg.op(ins={"start": dg.In(dg.Nothing)}, out={"low": dg.Out(int), "high": dg.Out(is_required=False)}, tags={"a": "b"})
def split(config: Limits):
    """Splits."""
    return 1, 2


@dg.op(pool="warehouse")
def add(left, right):
    return left + right


@dg.graph
def adding(left):
    return add(left, left)


@dg.job(
    description="All of it.",
    tags={"domain": "numbers"},
    metadata={"rows": 3},
    owners=["team:data"],
    config={"ops": {"split": {"config": {"rows": 5}}}},
)
def everything():
    low, high = split()
    adding(low)


@dg.asset(
    group_name="shop", kinds={"python"}, owners=["team:data"], tags={"t": "1"}, metadata={"rows": 3}, code_version="2"
)
def orders(database: Database):
    """Orders."""


@dg.multi_asset(outs={"low": dg.AssetOut(io_manager_key="lake"), "high": dg.AssetOut()})
def parts(orders): ...


@dg.asset_sensor(asset_key="orders", job=everything)
def on_orders(context, event): ...


@dg.multi_asset_sensor(monitored_assets=dg.AssetSelection.groups("shop"), job=everything)
def on_shop(context): ...


@dg.run_status_sensor(run_status=RunStatus.SUCCESS, monitored_jobs=[everything])
def on_success(context): ...


@dg.sensor(job=everything, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def watcher():
    """Watches."""


DEFS = dg.Definitions(
    assets=[orders, parts, dg.AssetSpec("outside")],
    jobs=[everything, dg.define_asset_job("shop", "group:shop")],
    schedules=[
        dg.ScheduleDefinition(job=everything, cron_schedule=["0 0 * * *", "@daily"], execution_timezone="Asia/Tokyo")
    ],
    sensors=[on_orders, on_shop, on_success, watcher],
    resources={
        "database": Database(url="postgres://x", password=dg.EnvVar("DB_PASSWORD")),
        "lake": dg.InMemoryIOManager(),
        "plain": {"token": "s3cr3t-value"},
    },
    executor=dg.in_process_executor,
)


def snapshot() -> LocationSnapshot:
    return snapshot_of(DEFS.resolve(), "here")


def test_a_snapshot_survives_encoding():
    taken = snapshot()
    read = decode_location(encode(taken))
    assert read == taken
    assert read.snapshot_id == taken.snapshot_id
    for job in taken.jobs:
        again = decode_job(encode(job))
        assert again == job
        assert again.snapshot_id == job.snapshot_id
        assert len(job.snapshot_id) == 64


def test_the_same_definitions_have_the_same_snapshot_id():
    assert snapshot().snapshot_id == snapshot_of(DEFS.resolve(), "here").snapshot_id
    assert snapshot_of(DEFS.resolve(), "there").snapshot_id != snapshot().snapshot_id


def test_a_job_is_told_with_plan_graph_config_and_labels():
    job = snapshot().job_by_name["everything"]
    assert [step.key for step in job.plan.steps] == ["split", "adding.add"]
    assert (job.description, job.tags, job.run_tags) == ("All of it.", {"domain": "numbers"}, {"domain": "numbers"})
    assert job.metadata == {"rows": {"type": "int", "value": 3}}
    assert (job.owners, job.executor, job.is_asset_job) == (("team:data",), "in_process_executor", False)
    assert job.default_config == {"ops": {"split": {"config": {"rows": 5}}}}
    assert check_config(job.config_type, {"ops": {"split": {"config": {"rows": 7}}}}).mistakes == []
    assert check_config(job.config_type, {"ops": {"spilt": {}}}).mistakes
    assert job.graph.edges == (EdgeSnapshot("split", "low", "adding", "left"),)
    split_node, adding_node = job.graph.nodes
    assert (split_node.description, split_node.tags) == ("Splits.", {"a": "b"})
    assert [(port.name, port.type_name, port.is_required) for port in split_node.outputs] == [
        ("low", "Int", True),
        ("high", "Any", False),
    ]
    assert [port.type_name for port in split_node.inputs] == ["Nothing"]
    assert adding_node.graph is not None
    assert adding_node.graph.nodes[0].pool == "warehouse"


def test_an_asset_is_told_with_labels_edges_and_what_makes_it():
    assets = snapshot().asset_by_key
    made = assets["orders"]
    assert (made.group_name, made.kinds, made.owners, made.code_version) == ("shop", ("python",), ("team:data",), "2")
    assert (made.description, made.metadata) == ("Orders.", {"rows": {"type": "int", "value": 3}})
    assert made.tags == {"t": "1", "dagster/kind/python": ""}
    assert (made.step_key, made.output_name, made.job_names) == ("orders", "result", ("shop", "__ASSET_JOB"))
    assert (assets["low"].deps, assets["low"].neighbours) == (("orders",), ("high",))
    assert (assets["low"].step_key, assets["low"].output_name, assets["low"].io_manager_key) == ("parts", "low", "lake")
    outside = assets["outside"]
    assert (outside.is_external, outside.is_materializable, outside.step_key) == (True, False, None)


def test_an_asset_job_says_which_assets_its_nodes_make():
    job = snapshot().job_by_name["__ASSET_JOB"]
    assert job.is_asset_job
    assert {node.name: node.asset_keys for node in job.graph.nodes} == {"orders": ("orders",), "parts": ("low", "high")}
    assert set(job.asset_keys) == {"orders", "low", "high"}


def test_schedules_and_sensors_are_told():
    taken = snapshot()
    (schedule,) = taken.schedules
    assert (schedule.name, schedule.job_name) == ("everything_schedule", "everything")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (("0 0 * * *", "@daily"), "Asia/Tokyo")
    sensors = {sensor.name: sensor for sensor in taken.sensors}
    assert {name: sensor.kind for name, sensor in sensors.items()} == {
        "on_orders": "ASSET",
        "on_shop": "MULTI_ASSET",
        "on_success": "RUN_STATUS",
        "watcher": "STANDARD",
    }
    assert sensors["on_orders"].monitored_assets == sensors["on_shop"].monitored_assets == ("orders",)
    assert (sensors["on_success"].run_status, sensors["on_success"].monitored_jobs) == ("SUCCESS", ("everything",))
    watching = sensors["watcher"]
    assert (watching.job_names, watching.minimum_interval_seconds) == (("everything",), 5)
    assert (watching.description, watching.default_status) == ("Watches.", "RUNNING")


def test_resources_are_told_by_class_and_config_and_never_by_value():
    taken = snapshot()
    resources = {resource.key: resource for resource in taken.resources}
    assert (resources["database"].type_name, resources["database"].description) == ("Database", "Where rows are.")
    assert resources["lake"].is_io_manager
    assert resources["io_manager"].is_io_manager
    assert not resources["plain"].is_io_manager
    payload = encode(taken)
    assert b"s3cr3t-value" not in payload
    assert b"DB_PASSWORD" in payload
