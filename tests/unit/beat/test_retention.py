"""What is removed by age, as the instance file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.instance.sections import RetentionSettings, RunRetention, TickRetention
from orchord.runs import Run, RunStatus, new_run_id
from orchord.storage.values import RunFilter, TickEnd, WorkerRow
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, TickStatus
from orchord_beat import retention as module
from orchord_beat.retention import Retention


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


def keeping(instance: OrchordInstance, settings: RetentionSettings) -> Retention:
    instance.config = msgspec.structs.replace(instance.config, retention=settings)
    return Retention(instance)


def a_tick(instance: OrchordInstance, kind: InstigatorKind, status: TickStatus, days_ago: float) -> None:
    at = utc_now() - timedelta(days=days_ago)
    key = InstigatorKey("here", kind, f"{status}-{days_ago}")
    (tick,) = instance.storage.ticks.make([NewTick(key, "key", at, 60.0)])
    instance.storage.ticks.claim(tick.tick_id, "token", "worker", at)
    assert instance.storage.ticks.finish(TickEnd(tick.tick_id, "token", status, at)).accepted


def left(instance: OrchordInstance) -> set[str]:
    return {tick.key.name for tick in instance.storage.ticks.page()}


def test_by_default_only_skipped_ticks_of_sensors_go_after_a_week(instance: OrchordInstance) -> None:
    for kind in InstigatorKind:
        for status in (TickStatus.SKIPPED, TickStatus.SUCCESS):
            for days in (6, 8):
                a_tick(instance, kind, status, days)
    Retention(instance).purge()
    sensors = [tick.key.name for tick in instance.storage.ticks.page() if tick.key.kind is InstigatorKind.SENSOR]
    assert sorted(sensors) == ["SKIPPED-6", "SUCCESS-6", "SUCCESS-8"]
    assert len(instance.storage.ticks.page()) == 7


def test_each_status_has_its_days(instance: OrchordInstance) -> None:
    settings = RetentionSettings(schedule=TickRetention(skipped=1, success=3, failure=-1))
    for status in (TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE):
        for days in (2, 4):
            a_tick(instance, InstigatorKind.SCHEDULE, status, days)
    keeping(instance, settings).purge()
    assert left(instance) == {"SUCCESS-2", "FAILURE-2", "FAILURE-4"}


def test_runs_go_with_all_that_belongs_to_them(instance: OrchordInstance) -> None:
    at = utc_now() - timedelta(days=40)
    run_ids = []
    for _ in range(3):
        run = Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", at)
        instance.storage.runs.create(run, [])
        instance.storage.runs.fail(run.run_id, None, at)
        run_ids.append(run.run_id)
    young = Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", utc_now())
    instance.storage.runs.create(young, [])
    instance.storage.runs.fail(young.run_id, None, utc_now())
    Retention(instance).purge()
    assert len(instance.storage.runs.page(RunFilter())) == 4
    keeping(instance, RetentionSettings(run=RunRetention(failure=30))).purge()
    assert [run.run_id for run in instance.storage.runs.page(RunFilter())] == [young.run_id]


def test_a_turn_is_bounded_and_the_rest_follows_soon(
    instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICKS_AT_ONCE", 1)
    monkeypatch.setattr(module, "BATCHES_PER_TURN", 2)
    for days in (8, 9, 10):
        a_tick(instance, InstigatorKind.SENSOR, TickStatus.SKIPPED, days)
    retention = Retention(instance)
    assert retention.purge() == module.NEXT_TURN_SECONDS
    assert left(instance) == {"SKIPPED-8"}
    retention.purge()
    assert left(instance) == set()


def test_workers_that_were_killed_are_shown_for_a_day_and_then_forgotten(instance: OrchordInstance) -> None:
    for name, hours in (("new", 23), ("old", 25)):
        seen = utc_now() - timedelta(hours=hours)
        instance.storage.workers.beat(WorkerRow(name, "host", 1, "here", ("steps.here",), seen, seen))
    Retention(instance).purge()
    assert [worker.worker_id for worker in instance.storage.workers.all()] == ["new"]
