"""What a tick of a sensor on runs comes to: its work done, passed over, or failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.location import LocationTarget, load_location
from orchord.runs import Run, RunStatus, new_run_id
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus
from orchord_workers.ticks.runner import TickRunner

CODE = """
import orchord as dg

told = []

@dg.run_failure_sensor
def tells(context):
    told.append(context.dagster_run.run_id)

@dg.run_failure_sensor
def passes(context):
    return dg.SkipReason("not one of ours")

@dg.run_failure_sensor
def asks_for_nothing(context):
    return dg.SensorResult()

@dg.run_failure_sensor
def breaks(context):
    raise RuntimeError("no such channel")

defs = dg.Definitions(sensors=[tells, passes, asks_for_nothing, breaks])
"""


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


def evaluated(instance: OrchordInstance, folder: Path, sensor: str) -> Tick:
    (folder / "home.py").write_text(CODE)
    run = Run(new_run_id(), "a_job", "home", RunStatus.FAILURE, "snapshot", utc_now())
    instance.storage.runs.create(run, [])
    key = InstigatorKey("home", InstigatorKind.SENSOR, sensor)
    payload = {"run_id": run.run_id, "status": "FAILURE"}
    (tick,) = instance.storage.ticks.make([NewTick(key, f"run:{run.run_id}:FAILURE", utc_now(), 60.0, payload=payload)])
    code = load_location(LocationTarget(file=folder / "home.py"))
    TickRunner(instance, code, "worker", 1).run([tick.tick_id])
    ended = instance.storage.ticks.find(tick.tick_id)
    assert ended is not None
    return ended


def test_a_sensor_on_runs_that_returns_nothing_has_done_its_work(instance: OrchordInstance, tmp_path: Path) -> None:
    tick = evaluated(instance, tmp_path, "tells")
    assert (tick.status, tick.skip_reason) == (TickStatus.SUCCESS, None)


@pytest.mark.parametrize(
    ("sensor", "status", "reason"),
    [
        ("passes", TickStatus.SKIPPED, "not one of ours"),
        ("asks_for_nothing", TickStatus.SKIPPED, "It gave nothing, so no run was asked for."),
        ("breaks", TickStatus.FAILURE, None),
    ],
)
def test_a_sensor_on_runs_that_says_more_is_taken_at_its_word(
    instance: OrchordInstance, tmp_path: Path, sensor: str, status: TickStatus, reason: str | None
) -> None:
    tick = evaluated(instance, tmp_path, sensor)
    assert (tick.status, tick.skip_reason) == (status, reason)
