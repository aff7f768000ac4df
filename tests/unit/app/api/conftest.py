"""An instance on SQLite with a published code location, the API over it, and runs that a fake launcher ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchord.api.app import create_app
from orchord.api.state import Holding
from orchord.definitions.config.types import ANY, ConfigField, ScalarType, ShapeType
from orchord.events import ErrorInfo, utc_now
from orchord.instance import InstanceConfig, OrchordInstance
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.snapshot import (
    AssetSnapshot,
    EdgeSnapshot,
    GraphSnapshot,
    JobSnapshot,
    LocationSnapshot,
    NodeSnapshot,
    PortSnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
)
from orchord.storage import WorkerRow
from orchord.storage.values import TickEnd
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import Tick, TickStatus

FAKE_LAUNCHER = {"module": "orchord.testing.fake_launcher", "class": "FakeRunLauncher"}


def step(key: str, *upstream: str, asset: str | None = None) -> Step:
    inputs = tuple(StepInput(name, (OutputRef(name, "result"),)) for name in upstream)
    return Step(key, key, inputs, (StepOutput("result", asset_key=asset),))


def config_type() -> ShapeType:
    op_config = ShapeType("load_config", {"rows": ConfigField(ScalarType("Int"), is_required=False)})
    load = ShapeType("load", {"config": ConfigField(op_config, is_required=False)})
    ops = ShapeType("ops", {"load": ConfigField(load, is_required=False)})
    return ShapeType(
        "job",
        {
            "ops": ConfigField(ops, is_required=False),
            "resources": ConfigField(ANY, is_required=False),
            "execution": ConfigField(ANY, is_required=False),
            "loggers": ConfigField(ANY, is_required=False),
        },
    )


def numbers_job() -> JobSnapshot:
    plan = ExecutionPlan("numbers", (step("load"), step("clean", "load"), step("report", "clean")))
    port = PortSnapshot("result")
    graph = GraphSnapshot(
        (NodeSnapshot("load", "load", outputs=(port,)), NodeSnapshot("clean", "clean", inputs=(PortSnapshot("load"),))),
        (EdgeSnapshot("load", "result", "clean", "load"),),
    )
    return JobSnapshot(
        "numbers",
        plan,
        graph,
        config_type(),
        description="Adds numbers.",
        tags={"team": "sales"},
        default_config={"ops": {"load": {"config": {"rows": 3}}}},
        owners=("team:sales",),
    )


def asset_job() -> JobSnapshot:
    plan = ExecutionPlan(
        "assets", (step("raw__orders", asset="raw/orders"), step("orders", "raw__orders", asset="orders"))
    )
    return JobSnapshot("assets", plan, GraphSnapshot(), config_type(), is_asset_job=True)


def nightly() -> ScheduleSnapshot:
    return ScheduleSnapshot("nightly", "numbers", ("0 2 * * *", "30 2 * * *"), "Europe/Berlin")


def shop() -> LocationSnapshot:
    """A code location with two jobs, four assets, one of them external, and schedules and sensors."""
    return LocationSnapshot(
        "shop",
        jobs=(numbers_job(), asset_job()),
        assets=(
            AssetSnapshot(
                "raw/orders",
                "raw",
                deps=("upstream",),
                kinds=("python",),
                step_key="raw__orders",
                job_names=("assets",),
            ),
            AssetSnapshot(
                "orders", "mart", deps=("raw/orders",), kinds=("sql",), step_key="orders", job_names=("assets",)
            ),
            AssetSnapshot("graph", "mart"),
            AssetSnapshot("a/materializations", is_materializable=False, is_external=True),
        ),
        schedules=(nightly(), ScheduleSnapshot("every_minute", "numbers", ("* * * * *",), default_status="RUNNING")),
        sensors=(
            SensorSnapshot("files", job_names=("numbers",), minimum_interval_seconds=5),
            SensorSnapshot("hooks", job_names=("numbers",), default_status="RUNNING"),
            SensorSnapshot("on_failure", "RUN_STATUS", run_status="FAILURE", default_status="RUNNING"),
        ),
    )


OpenInstance = Callable[..., OrchordInstance]


@pytest.fixture
def open_instance(tmp_path: Path) -> Iterator[OpenInstance]:
    """Opens an instance; keywords are the fake launcher's config."""
    opened: list[OrchordInstance] = []

    def open_one(**launcher: object) -> OrchordInstance:
        document = {"run_launcher": {**FAKE_LAUNCHER, "config": launcher}}
        instance = OrchordInstance(tmp_path, InstanceConfig.parse(document, tmp_path))
        instance.storage.migrate()
        instance.storage.locations.put(shop())
        opened.append(instance)
        return instance

    yield open_one
    for instance in opened:
        instance.dispose()


@pytest.fixture
def instance(open_instance: OpenInstance) -> OrchordInstance:
    return open_instance()


@pytest.fixture
def with_worker(instance: OrchordInstance) -> None:
    now = utc_now()
    for worker_id, queue in (("w1", "steps.shop"), ("t1", "ticks.shop")):
        instance.storage.workers.beat(WorkerRow(worker_id, "host", 1, "shop", (queue,), now, now))


@pytest.fixture
def second_location(instance: OrchordInstance) -> None:
    instance.storage.locations.put(LocationSnapshot("annex", jobs=(numbers_job(),), schedules=(nightly(),)))


@pytest.fixture
def courier(instance: OrchordInstance) -> FakeCourier:
    assert isinstance(instance.courier, FakeCourier)
    return instance.courier


EndTicks = Callable[..., None]


@pytest.fixture
def end_ticks(instance: OrchordInstance) -> EndTicks:
    """Ends ticks as a tick worker would."""

    def end(ticks: Sequence[Tick], status: TickStatus, *, error: str | None = None, **fields: Any) -> None:
        for tick in ticks:
            token = f"token-{tick.tick_id}"
            assert instance.storage.ticks.claim(tick.tick_id, token, "w1", utc_now())
            told = None if error is None else ErrorInfo("UserError", error)
            instance.storage.ticks.finish(TickEnd(tick.tick_id, token, status, utc_now(), error=told, **fields))

    return end


Body = Callable[..., Any]


@pytest.fixture
def body() -> Body:
    """Reads an answer's JSON after a look at its status."""

    def read(answer: TestResponse, status: int = 200) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json

    return read


@pytest.fixture
def holding() -> Holding:
    return Holding(2)


@pytest.fixture
def client(instance: OrchordInstance, holding: Holding) -> Iterator[FlaskClient]:
    with create_app(instance, holding=holding).test_client() as opened:
        yield opened


ClientOf = Callable[[OrchordInstance], FlaskClient]


@pytest.fixture
def client_of() -> ClientOf:
    return lambda instance: create_app(instance, holding=Holding(2)).test_client()
