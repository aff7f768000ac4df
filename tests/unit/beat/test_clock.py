"""The clock with a database: what is due is recorded once and sent, whoever fails in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from orchord.errors import StorageUnavailableError
from orchord.instance import OrchordInstance
from orchord.snapshot import LocationSnapshot, ScheduleSnapshot, SensorSnapshot
from orchord.storage.tick_store import TickStore
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorStatus, TickStatus
from orchord_beat import clock as module
from orchord_beat.clock import Clock

HOURLY = InstigatorKey("here", InstigatorKind.SCHEDULE, "hourly")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Wall:
    def __init__(self) -> None:
        self.now = NOON

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(module, "utc_now", lambda: wall.now)
    return wall


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        made.__dict__["courier"] = FakeCourier(made)
        hourly = ScheduleSnapshot("hourly", "a_job", ("0 * * * *",), default_status="RUNNING")
        made.storage.locations.put(LocationSnapshot("here", schedules=(hourly,)))
        yield made


def sent(instance: OrchordInstance) -> list[str]:
    courier = instance.courier
    assert isinstance(courier, FakeCourier)
    return [tick.tick_key for tick in courier.ticks]


def test_a_due_tick_is_recorded_sent_and_marked_as_sent(instance: OrchordInstance, wall: Wall) -> None:
    clock = Clock(instance)
    assert clock.look() == module.READ_SECONDS
    assert sent(instance) == []
    wall.forward(hours=1)
    clock.look()
    assert sent(instance) == ["2026-01-01T13:00:00+00:00"]
    (tick,) = instance.storage.ticks.page(HOURLY)
    assert tick.status is TickStatus.PENDING
    assert tick.sent_at == wall.now
    assert instance.storage.instigators.state(HOURLY).planned_until == wall.now


def test_two_clocks_make_a_tick_once(instance: OrchordInstance, wall: Wall) -> None:
    clocks = [Clock(instance), Clock(instance)]
    for clock in clocks:
        clock.look()
    wall.forward(hours=1)
    for clock in clocks:
        clock.look()
    assert sent(instance) == ["2026-01-01T13:00:00+00:00"]


def test_another_clock_goes_on_where_the_first_ended(instance: OrchordInstance, wall: Wall) -> None:
    Clock(instance).look()
    wall.forward(hours=2, minutes=30)
    Clock(instance).look()
    assert sent(instance) == ["2026-01-01T13:00:00+00:00", "2026-01-01T14:00:00+00:00"]


def test_what_was_started_or_loaded_anew_is_seen(instance: OrchordInstance, wall: Wall) -> None:
    clock = Clock(instance)
    clock.look()
    instance.storage.instigators.set_status(HOURLY, InstigatorStatus.STOPPED, wall.now)
    clock.read_again()
    clock.look()
    assert len(clock.timetable) == 0
    looking = SensorSnapshot("looking", minimum_interval_seconds=5, default_status="RUNNING")
    instance.storage.locations.put(LocationSnapshot("there", sensors=(looking,)))
    clock.read_again()
    clock.look()
    assert sent(instance) == ["due:2026-01-01T12:00:00.000+00:00"]


def test_without_a_broker_the_tick_waits_and_the_clock_goes_on(instance: OrchordInstance, wall: Wall) -> None:
    clock = Clock(instance)
    clock.look()
    wall.forward(hours=1)
    courier = instance.courier
    assert isinstance(courier, FakeCourier)
    courier.is_away = True
    clock.look()
    (tick,) = instance.storage.ticks.page(HOURLY)
    assert (tick.status, tick.sent_at) == (TickStatus.PENDING, None)


def test_a_tick_that_could_not_be_recorded_is_made_later(
    instance: OrchordInstance, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(instance)
    clock.look()
    wall.forward(hours=1)

    def away(*_: object) -> None:
        raise StorageUnavailableError("The database is away. Start it.")

    with monkeypatch.context() as broken:
        broken.setattr(TickStore, "make", away)
        with pytest.raises(StorageUnavailableError):
            clock.look()
    wall.forward(minutes=1)
    clock.look()
    assert sent(instance) == ["2026-01-01T13:00:00+00:00"]


def test_a_new_leader_makes_nothing_that_the_last_one_made(instance: OrchordInstance, wall: Wall) -> None:
    standing_by = Clock(instance)
    standing_by.look()
    wall.forward(hours=1)
    Clock(instance).look()
    standing_by.forget_soon()
    wall.forward(minutes=5)
    standing_by.look()
    assert sent(instance) == ["2026-01-01T13:00:00+00:00"]
    assert standing_by.timetable.next_at() == NOON + timedelta(hours=2)


def test_it_rests_until_the_next_tick_is_due(instance: OrchordInstance, wall: Wall) -> None:
    clock = Clock(instance)
    clock.look()
    wall.forward(minutes=59, seconds=59.8)
    assert clock.look() == pytest.approx(0.2)
