"""Ticks whose message, worker or time was lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.storage import Storage
from orchord.storage.values import WorkerRow
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus
from orchord.wire import ticks_queue
from orchord_beat import tick_watch as module
from orchord_beat.monitor import DEAD_AFTER
from orchord_beat.tick_watch import MOST_TRIES, OVERDUE_GRACE, QUIET, TickWatch

SENSOR = InstigatorKey("here", InstigatorKind.SENSOR, "looking")
SCHEDULE = InstigatorKey("here", InstigatorKind.SCHEDULE, "hourly")
SECOND = timedelta(seconds=1)


class Wall:
    def __init__(self) -> None:
        self.now = utc_now()

    def forward(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(Storage, "clock", lambda storage: wall.now)
    return wall


class Watched:
    """An instance with ticks, one tick worker, and the watch."""

    def __init__(self, instance: OrchordInstance, wall: Wall) -> None:
        self.instance, self.wall = instance, wall
        self.courier = FakeCourier(instance)
        instance.__dict__["courier"] = self.courier
        self.waiting = 0
        self.watch = TickWatch(instance, lambda queue: self.waiting)

    def worker(self, name: str = "worker") -> None:
        now = self.wall.now
        self.instance.storage.workers.beat(WorkerRow(name, "host", 1, "here", (ticks_queue("here"),), now, now))

    def tick(self, key: InstigatorKey = SENSOR, number: int = 0, planned_at: datetime | None = None) -> Tick:
        lane = "sensor:looking" if key is SENSOR else None
        new = NewTick(key, f"push:{number}", planned_at or self.wall.now, 60.0, lane=lane)
        return self.instance.storage.ticks.make([new])[0]

    def claim(self, tick: Tick, worker: str = "worker") -> None:
        assert self.instance.storage.ticks.claim(tick.tick_id, f"t{tick.tick_id}", worker, self.wall.now)

    def look(self, *, after: timedelta = timedelta(0), alive: tuple[str, ...] = ("worker",)) -> list[int]:
        """Look after a time in which these workers lived; return the ticks sent by that."""
        before = len(self.courier.ticks)
        end = self.wall.now + after
        while True:
            for name in alive:
                self.worker(name)
            self.watch.look()
            if self.wall.now >= end:
                return [tick.tick_id for tick in self.courier.ticks[before:]]
            self.wall.forward(min(2 * SECOND, end - self.wall.now))

    def stored(self, tick: Tick) -> Tick:
        found = self.instance.storage.ticks.find(tick.tick_id)
        assert found is not None
        return found


@pytest.fixture
def watched(wall: Wall) -> Iterator[Watched]:
    with OrchordInstance.ephemeral() as instance:
        yield Watched(instance, wall)


def test_a_tick_whose_message_was_never_sent_is_sent_at_once(watched: Watched) -> None:
    tick = watched.tick()
    assert watched.look() == [tick.tick_id]
    assert watched.stored(tick).sent_at == watched.wall.now
    assert watched.look() == []


def test_a_message_that_was_lost_is_sent_again_and_then_ever_rarer(watched: Watched) -> None:
    tick = watched.tick()
    watched.look()
    assert watched.look(after=QUIET - SECOND) == []
    assert watched.look(after=2 * SECOND) == [tick.tick_id]
    assert watched.look(after=60 * SECOND) == [tick.tick_id] * 2


def test_a_message_that_may_wait_its_turn_is_not_doubled(watched: Watched) -> None:
    watched.tick()
    watched.look()
    watched.waiting = 3
    assert watched.look(after=50 * SECOND) == []


def test_what_a_busy_worker_has_taken_ahead_is_not_doubled(watched: Watched) -> None:
    ticks = [watched.tick(SCHEDULE, number) for number in range(4)]
    watched.look()
    watched.look(after=QUIET)
    watched.claim(ticks[0])
    assert watched.look(after=QUIET - SECOND) == []


def test_a_tick_that_later_ones_have_overtaken_was_lost(watched: Watched) -> None:
    lost = watched.tick(SCHEDULE, 1)
    watched.look()
    watched.wall.forward(QUIET - SECOND)
    later = watched.tick(SCHEDULE, 2)
    watched.look()
    watched.claim(later)
    assert watched.look(after=2 * SECOND) == [lost.tick_id]


def test_nothing_is_sent_where_no_worker_would_take_it(watched: Watched) -> None:
    tick = watched.tick()
    assert watched.look(after=20 * SECOND, alive=()) == []
    assert watched.look() == [tick.tick_id]


def test_of_a_lane_only_the_oldest_is_sent_and_none_while_one_is_under_way(watched: Watched) -> None:
    first, second = watched.tick(number=1), watched.tick(number=2)
    assert watched.look() == [first.tick_id]
    watched.claim(first)
    assert watched.look(after=30 * SECOND) == []
    assert watched.stored(second).status is TickStatus.PENDING


def test_ticks_claimed_together_may_wait_for_the_longest_of_them_and_are_tried_again(watched: Watched) -> None:
    ticks, now = watched.instance.storage.ticks, watched.wall.now
    new = [NewTick(SCHEDULE, f"t{number}", now, limit) for number, limit in enumerate((60.0, 200.0))]
    quick, long = ticks.make(new)
    ticks.claim_many([quick.tick_id, long.tick_id], "together", "worker", now)
    watched.look(after=200 * SECOND)
    assert watched.stored(quick).status is TickStatus.STARTED, "it may not have begun"
    watched.look(after=OVERDUE_GRACE + 2 * SECOND)
    assert {watched.stored(tick).status for tick in (quick, long)} == {TickStatus.PENDING}
    watched.claim(quick)
    watched.look(after=60 * SECOND + OVERDUE_GRACE + 2 * SECOND)
    assert watched.stored(quick).status is TickStatus.FAILURE, "it was alone with its time"


def test_a_tick_beyond_its_time_limit_fails_and_its_lane_goes_on(watched: Watched) -> None:
    first, second = watched.tick(number=1), watched.tick(number=2)
    watched.claim(first)
    assert watched.look(after=60 * SECOND + OVERDUE_GRACE) == []
    assert watched.look(after=SECOND) == [second.tick_id]
    ended = watched.stored(first)
    assert ended.status is TickStatus.FAILURE
    assert ended.error is not None
    assert ended.error.message == "The tick took longer than its time limit of 60 s."


def test_a_tick_of_a_dead_worker_is_tried_again_and_not_for_ever(watched: Watched) -> None:
    tick = watched.tick()
    for number in range(1, MOST_TRIES + 1):
        watched.claim(tick, f"worker{number}")
        sent = watched.look(after=DEAD_AFTER + 4 * SECOND, alive=("other",))
        assert sent == ([tick.tick_id] if number < MOST_TRIES else [])
    ended = watched.stored(tick)
    assert ended.status is TickStatus.FAILURE
    assert ended.error is not None
    assert ended.error.message == "The worker that evaluated the tick, worker3, has died."


def test_a_living_worker_keeps_its_tick(watched: Watched) -> None:
    tick = watched.tick()
    watched.claim(tick)
    watched.look(after=50 * SECOND)
    assert watched.stored(tick).status is TickStatus.STARTED


def test_after_an_outage_workers_have_time_to_speak_up_again(watched: Watched) -> None:
    tick = watched.tick()
    watched.claim(tick)
    watched.look()
    watched.wall.forward(timedelta(seconds=40))
    assert watched.look(alive=()) == []
    assert watched.look(after=50 * SECOND - QUIET, alive=("worker",)) == []
    assert watched.stored(tick).status is not TickStatus.PENDING


def test_of_ticks_that_waited_a_night_for_a_worker_the_newest_are_evaluated(watched: Watched) -> None:
    night = watched.wall.now - timedelta(hours=8)
    ticks = [watched.tick(SCHEDULE, number, night + timedelta(hours=number)) for number in range(8)]
    assert watched.look() == [tick.tick_id for tick in ticks[-5:]]
    missed = watched.stored(ticks[0])
    assert missed.status is TickStatus.FAILURE
    assert missed.error is not None
    assert missed.error.message.startswith("No tick worker of the location took it in time")


def test_without_a_broker_the_next_look_tries_again(watched: Watched) -> None:
    tick = watched.tick()
    watched.courier.is_away = True
    assert watched.look() == []
    watched.courier.is_away = False
    assert watched.look() == [tick.tick_id]


def test_ticks_of_a_location_without_workers_hide_no_others(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICKS_PER_LOOK", 5)
    far = InstigatorKey("far", InstigatorKind.SENSOR, "on_runs")
    old = watched.wall.now - timedelta(hours=1)
    watched.instance.storage.ticks.make([NewTick(far, f"run:{number}", old, 60.0) for number in range(8)])
    lost, hanging = watched.tick(SCHEDULE, 1), watched.tick(SCHEDULE, 2)
    watched.claim(hanging)
    assert watched.look() == [lost.tick_id]
    watched.look(after=timedelta(seconds=60) + OVERDUE_GRACE + 2 * SECOND)
    assert watched.stored(hanging).status is TickStatus.FAILURE
