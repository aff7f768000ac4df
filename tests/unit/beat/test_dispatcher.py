"""Who is told which statuses runs have come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.runs import Run, RunStatus, new_run_id
from orchord.snapshot import LocationSnapshot, SensorSnapshot
from orchord.storage.values import RunChange
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorStatus, Tick
from orchord_beat import dispatcher as module
from orchord_beat.dispatcher import Dispatcher


def on_failure(name: str, **fields: object) -> SensorSnapshot:
    return SensorSnapshot(name, "RUN_STATUS", run_status="FAILURE", default_status="RUNNING", **fields)  # type: ignore[arg-type]


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        made.__dict__["courier"] = FakeCourier(made)
        yield made


def publish(instance: OrchordInstance, *sensors: SensorSnapshot, location: str = "here") -> None:
    instance.storage.locations.put(LocationSnapshot(location, sensors=sensors))


def a_failed_run(instance: OrchordInstance, job: str = "a_job", location: str = "here") -> str:
    run = Run(new_run_id(), job, location, RunStatus.STARTING, "snapshot", utc_now())
    instance.storage.runs.create(run, [])
    instance.storage.runs.fail(run.run_id, None, utc_now())
    return run.run_id


def sent(instance: OrchordInstance) -> list[Tick]:
    courier = instance.courier
    assert isinstance(courier, FakeCourier)
    return courier.ticks


def test_a_sensor_is_evaluated_once_for_a_run_that_came_to_its_status(instance: OrchordInstance) -> None:
    publish(instance, on_failure("alarm"))
    run_id = a_failed_run(instance)
    dispatcher = Dispatcher(instance)
    assert dispatcher.dispatch() is None
    (tick,) = sent(instance)
    assert tick.key.name == "alarm"
    assert tick.tick_key == f"run:{run_id}:FAILURE"
    assert tick.payload == {"run_id": run_id, "status": "FAILURE"}
    assert tick.lane is None
    assert instance.storage.changes.count() == 0
    dispatcher.dispatch()
    assert len(sent(instance)) == 1


def test_all_runs_of_a_burst_are_told_of_in_bulk(instance: OrchordInstance) -> None:
    publish(instance, on_failure("alarm"))
    failed = [a_failed_run(instance) for _ in range(40)]
    Dispatcher(instance).dispatch()
    assert [tick.payload["run_id"] for tick in sent(instance) if tick.payload] == failed


def test_more_than_a_batch_goes_on_at_once(instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGES_AT_ONCE", 2)
    a_failed_run(instance)
    dispatcher = Dispatcher(instance)
    turns = [dispatcher.dispatch() for _ in range(2)]
    assert turns[0] == 0.0
    while dispatcher.dispatch() == 0.0:
        pass
    assert instance.storage.changes.count() == 0


def test_jobs_and_locations_that_a_sensor_does_not_watch_are_left_out(instance: OrchordInstance) -> None:
    publish(instance, on_failure("chosen", monitored_jobs=("other_job",)), on_failure("here_only"))
    publish(instance, on_failure("everywhere", monitor_all_code_locations=True), location="there")
    a_failed_run(instance)
    Dispatcher(instance).dispatch()
    assert [tick.key.name for tick in sent(instance)] == ["here_only", "everywhere"]


def test_what_happened_while_a_sensor_was_off_stays_untold(instance: OrchordInstance) -> None:
    publish(instance, on_failure("alarm"))
    key = InstigatorKey("here", InstigatorKind.SENSOR, "alarm")
    instance.storage.instigators.set_status(key, InstigatorStatus.STOPPED, utc_now())
    a_failed_run(instance)
    instance.storage.instigators.set_status(key, InstigatorStatus.RUNNING, utc_now() + timedelta(seconds=1))
    Dispatcher(instance).dispatch()
    assert sent(instance) == []


def test_a_sensor_that_is_started_is_told_from_then_on(instance: OrchordInstance) -> None:
    publish(instance, SensorSnapshot("alarm", "RUN_STATUS", run_status="FAILURE"))
    dispatcher = Dispatcher(instance)
    a_failed_run(instance)
    dispatcher.dispatch()
    key = InstigatorKey("here", InstigatorKind.SENSOR, "alarm")
    instance.storage.instigators.set_status(key, InstigatorStatus.RUNNING, utc_now())
    a_failed_run(instance)
    dispatcher.dispatch()
    assert len(sent(instance)) == 1


def test_hearers_are_told_before_a_change_is_taken_away_and_again_after_a_fault(instance: OrchordInstance) -> None:
    run_id = a_failed_run(instance)
    heard: list[tuple[str, RunStatus]] = []

    def hear(changes: Sequence[RunChange]) -> None:
        heard.extend((change.run_id, change.status) for change in changes)
        if len(heard) == len(changes):
            raise ValueError("a fault of the first time")

    dispatcher = Dispatcher(instance, [hear])
    with pytest.raises(ValueError, match="first time"):
        dispatcher.dispatch()
    dispatcher.dispatch()
    assert heard.count((run_id, RunStatus.FAILURE)) == 2
    assert instance.storage.changes.count() == 0


def test_a_run_that_was_deleted_is_passed_over(instance: OrchordInstance) -> None:
    publish(instance, on_failure("alarm"))
    instance.storage.runs.delete(a_failed_run(instance))
    Dispatcher(instance).dispatch()
    assert sent(instance) == []
    assert instance.storage.changes.count() == 0


def test_without_a_broker_ticks_wait_and_the_change_is_settled(instance: OrchordInstance) -> None:
    publish(instance, on_failure("alarm"))
    a_failed_run(instance)
    courier = instance.courier
    assert isinstance(courier, FakeCourier)
    courier.is_away = True
    Dispatcher(instance).dispatch()
    (tick,) = instance.storage.ticks.page()
    assert tick.sent_at is None
    assert instance.storage.changes.count() == 0
