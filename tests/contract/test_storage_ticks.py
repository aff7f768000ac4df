"""Ticks are made once, claimed by one, and end with all that they bring about or with nothing."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from orchord.events import ErrorInfo, EventType
from orchord.runs import RunStatus
from orchord.storage import TickEnd
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, TickStatus

SCHEDULE = InstigatorKey("home", InstigatorKind.SCHEDULE, "hourly")
SENSOR = InstigatorKey("home", InstigatorKind.SENSOR, "files")


@pytest.fixture
def ticks(storage):
    """The ticks of the test's storage."""
    return storage.ticks


class Clock:
    """Makes ticks with few words."""

    def __init__(self, life):
        self.life = life
        self.tokens = 0

    def new(self, tick_key="t1", key=SCHEDULE, **fields):
        given = {"planned_at": self.life.now(), "time_limit_seconds": 60.0} | fields
        return NewTick(key, tick_key, **given)

    def made(self, tick_key="t1", key=SCHEDULE, **fields):
        (tick,) = self.life.storage.ticks.make([self.new(tick_key, key, **fields)])
        return tick

    def claimed(self, tick, **fields):
        self.tokens += 1
        token = fields.get("token", f"token{self.tokens}")
        claimed = self.life.storage.ticks.claim(tick.tick_id, token, "worker", self.life.now())
        assert claimed is not None
        return claimed

    def end(self, tick, status=TickStatus.SUCCESS, **fields):
        return TickEnd(tick.tick_id, tick.token, status, fields.pop("at", self.life.now()), **fields)


@pytest.fixture
def clock(life):
    """Makes ticks on the test's storage."""
    return Clock(life)


class TestMaking:
    def test_a_tick_is_stored_as_it_was_asked_for(self, clock, ticks):
        tick = clock.made(key=SENSOR, lane="sensor:files", payload={"a": [1, "\x00"]}, time_limit_seconds=2.5)
        stored = ticks.find(tick.tick_id)
        assert stored == tick
        assert (stored.key, stored.tick_key, stored.lane) == (SENSOR, "t1", "sensor:files")
        assert stored.status is TickStatus.PENDING
        assert stored.payload == {"a": [1, "\ufffd"]}
        assert stored.time_limit_seconds == 2.5
        assert (stored.tries, stored.token, stored.sent_at, stored.is_dry_run) == (0, None, None, False)

    def test_a_key_makes_one_tick_however_often_it_is_asked_for(self, clock, ticks):
        first = clock.made("t1")
        assert ticks.make([clock.new("t1"), clock.new("t2"), clock.new("t2")])[0].tick_key == "t2"
        assert ticks.make([clock.new("t1"), clock.new("t2")]) == []
        assert ticks.find_by_key(SCHEDULE, "t1") == first
        assert ticks.find_by_key(SENSOR, "t1") is None
        # The same key of another schedule is another tick.
        assert ticks.make([clock.new("t1", SENSOR)])

    def test_new_ticks_come_back_in_the_order_given(self, clock, ticks):
        keys = [f"t{number}" for number in (5, 1, 4, 2, 3)]
        assert [tick.tick_key for tick in ticks.make([clock.new(key) for key in keys])] == keys

    def test_nothing_to_make_is_no_mistake(self, ticks):
        assert ticks.make([]) == []

    def test_planned_times_are_noted_and_never_go_backwards(self, clock, ticks, life):
        now = life.now()
        ticks.make([clock.new("t1")], {SCHEDULE: now, SENSOR: now})
        ticks.make([], {SCHEDULE: now - timedelta(hours=1), SENSOR: now + timedelta(hours=1)})
        states = life.storage.instigators.states()
        assert states[SCHEDULE].planned_until == now
        assert states[SENSOR].planned_until == now + timedelta(hours=1)

    def test_a_sensor_is_not_due_again_while_its_tick_is_open(self, clock, ticks):
        first = clock.made("due:1", SENSOR, lane="sensor:files")
        assert ticks.make([clock.new("due:2", SENSOR, lane="sensor:files")]) == []
        first = clock.claimed(first)
        assert ticks.make([clock.new("due:3", SENSOR, lane="sensor:files")]) == []
        # A push waits behind it, and another sensor has a lane of its own.
        made = ticks.make(
            [
                clock.new("push:1", SENSOR, lane="sensor:files"),
                clock.new("due:3", SENSOR, lane="sensor:other"),
                clock.new("due:4", SENSOR, lane="sensor:other"),
            ]
        )
        assert [tick.tick_key for tick in made] == ["push:1", "due:3"]
        ticks.finish(clock.end(first, TickStatus.SKIPPED))
        assert ticks.make([clock.new("due:5", SENSOR, lane="sensor:files")])

    def test_a_thousand_are_made_quickly(self, clock, ticks, life):
        keys = [InstigatorKey("home", InstigatorKind.SCHEDULE, f"s{number}") for number in range(1000)]
        now = life.now()
        best = 9.0
        for batch in range(3):
            new = [clock.new(f"t{batch}", key) for key in keys]
            began = time.perf_counter()
            made = ticks.make(new, dict.fromkeys(keys, now))
            best = min(best, time.perf_counter() - began)
            assert len(made) == 1000
        # 0.05 s on a quiet machine; the limit is wide for a busy one.
        assert best < 1.0

    def test_two_daemons_at_once_make_every_tick_once(self, clock, open_storage, race):
        storages = [open_storage() for _ in range(4)]
        keys = [InstigatorKey("home", InstigatorKind.SCHEDULE, f"s{number}") for number in range(40)]
        planned = dict.fromkeys(keys, clock.life.now())
        new = [clock.new("t", key) for key in keys]
        orders = [new, new[::-1], new, new[::-1]]
        acts = [
            lambda storage=storage, order=order: storage.ticks.make(order, planned)
            for storage, order in zip(storages, orders, strict=True)
        ]
        made = [tick.key.name for result in race(acts) for tick in result]
        assert sorted(made) == sorted(key.name for key in keys)

    def test_two_daemons_at_once_make_one_tick_of_a_sensor(self, clock, open_storage, race, ticks):
        storages = [open_storage() for _ in range(4)]
        for number in range(5):
            lane = f"sensor:{number}"
            acts = [
                lambda storage=storage, key=key, lane=lane: storage.ticks.make([clock.new(key, SENSOR, lane=lane)])
                for key, storage in zip((f"due:{number}{letter}" for letter in "abcd"), storages, strict=True)
            ]
            assert sum(len(made) for made in race(acts)) == 1


class TestClaiming:
    def test_a_claimed_tick_is_started(self, clock, ticks, life):
        tick = clock.made()
        at = life.now()
        claimed = ticks.claim(tick.tick_id, "token", "worker", at)
        assert claimed == ticks.find(tick.tick_id)
        assert (claimed.status, claimed.token, claimed.worker_id) == (TickStatus.STARTED, "token", "worker")
        assert (claimed.started_at, claimed.tries) == (at, 1)

    def test_a_tick_is_claimed_once(self, clock, ticks, life):
        tick = clock.made()
        clock.claimed(tick, token="mine")
        assert ticks.claim(tick.tick_id, "other", "worker", life.now()) is None
        assert ticks.claim(99999, "other", "worker", life.now()) is None

    def test_a_claim_that_is_sent_again_has_won(self, clock, ticks, life):
        tick = clock.made()
        first = clock.claimed(tick, token="mine")
        assert ticks.claim(tick.tick_id, "mine", "worker", life.now()) == first

    def test_one_of_many_wins(self, clock, open_storage, race):
        storages = [open_storage() for _ in range(4)]
        for number in range(5):
            tick = clock.made(f"t{number}")
            acts = [
                lambda storage=storage, token=f"{number}{place}", tick=tick: storage.ticks.claim(
                    tick.tick_id, token, "w", clock.life.now()
                )
                for place, storage in enumerate(storages)
            ]
            assert sum(result is not None for result in race(acts)) == 1

    def test_ticks_of_a_lane_are_under_way_one_at_a_time(self, clock, ticks, life):
        first, second = (clock.made(f"push:{number}", SENSOR, lane="sensor:files") for number in (1, 2))
        elsewhere = InstigatorKey("away", InstigatorKind.SENSOR, "files")
        third = clock.made("push:1", elsewhere, lane="sensor:files")
        first = clock.claimed(first)
        assert ticks.claim(second.tick_id, "other", "worker", life.now()) is None
        assert ticks.claim_next("home", "sensor:files", "other", "worker", life.now()) is None
        assert ticks.claim(third.tick_id, "third", "worker", life.now()) is not None
        ticks.finish(clock.end(first))
        assert ticks.claim(second.tick_id, "other", "worker", life.now()) is not None

    def test_the_next_of_a_lane_is_its_oldest(self, clock, ticks, life):
        made = [clock.made(f"push:{number}", SENSOR, lane="sensor:files") for number in range(3)]
        for tick in made:
            claimed = ticks.claim_next("home", "sensor:files", f"x{tick.tick_id}", "worker", life.now())
            assert claimed.tick_id == tick.tick_id
            ticks.finish(clock.end(claimed))
        assert ticks.claim_next("home", "sensor:files", "x", "worker", life.now()) is None

    def test_many_that_claim_in_one_lane_never_hold_two(self, clock, open_storage, race, ticks):
        storages = [open_storage() for _ in range(4)]
        for _ in range(5):
            made = [clock.made(f"push:{clock.tokens}{n}", SENSOR, lane="sensor:files") for n in range(4)]
            clock.tokens += 1
            acts = [
                lambda storage=storage, tick=tick: storage.ticks.claim(
                    tick.tick_id, f"token{tick.tick_id}", "w", clock.life.now()
                )
                for storage, tick in zip(storages, made, strict=True)
            ]
            (won,) = [tick for tick in race(acts) if tick is not None]
            ticks.finish(clock.end(won))
            for tick in made:
                ticks.delete(tick.tick_id)

    def test_a_tick_that_is_given_back_can_be_claimed_again(self, clock, ticks, life):
        claimed = clock.claimed(clock.made())
        assert not ticks.release([claimed.tick_id], "other")
        assert ticks.release([claimed.tick_id], claimed.token)
        stored = ticks.find(claimed.tick_id)
        assert (stored.status, stored.tries, stored.token, stored.started_at) == (TickStatus.PENDING, 0, None, None)
        assert not ticks.finish(clock.end(claimed)).accepted
        assert clock.claimed(stored).tries == 1

    def test_ticks_are_claimed_together_but_for_those_that_are_not_free(self, clock, ticks, life):
        made = [clock.made(f"t{number}") for number in range(4)]
        in_lane = clock.made("push:1", SENSOR, lane="sensor:files")
        taken = clock.claimed(made[1])
        at = life.now()
        wanted = [tick.tick_id for tick in (made[3], made[1], in_lane, made[0], made[0])]
        claimed = ticks.claim_many(wanted, "together", "worker", at)
        assert [tick.tick_id for tick in claimed] == [made[3].tick_id, made[0].tick_id], "in the order given"
        for tick in claimed:
            assert ticks.find(tick.tick_id) == tick
            assert (tick.status, tick.token, tick.worker_id) == (TickStatus.STARTED, "together", "worker")
            assert (tick.started_at, tick.tries) == (at, 1)
        assert ticks.find(taken.tick_id).token == taken.token
        assert ticks.find(in_lane.tick_id).status is TickStatus.PENDING
        assert ticks.claim_many(wanted, "other", "worker", life.now()) == []
        assert ticks.claim_many([], "other", "worker", life.now()) == []

    def test_a_claim_of_many_that_is_sent_again_is_told_of_all_that_it_holds(self, clock, ticks, life):
        numbers = [clock.made(f"t{number}").tick_id for number in range(3)]
        first = ticks.claim_many(numbers, "mine", "worker", life.now())
        assert ticks.claim_many(numbers, "mine", "worker", life.now()) == first

    def test_many_that_claim_together_never_share_a_tick(self, clock, open_storage, race):
        storages = [open_storage() for _ in range(4)]
        for turn in range(5):
            numbers = [clock.made(f"{turn}:{number}").tick_id for number in range(25)]
            acts = [
                lambda storage=storage, place=place, some=numbers[:: 1 if place % 2 else -1]: storage.ticks.claim_many(
                    some, f"token{place}", "w", clock.life.now()
                )
                for place, storage in enumerate(storages)
            ]
            claimed = [tick.tick_id for ticks in race(acts) for tick in ticks]
            assert sorted(claimed) == numbers

    def test_claimed_ticks_can_begin_later_or_be_given_back_together(self, clock, ticks, life):
        numbers = [clock.made(f"t{number}").tick_id for number in range(3)]
        ticks.claim_many(numbers, "mine", "worker", life.now())
        ticks.give_up(numbers[0], ErrorInfo("TickTimeout", "over"), life.now())
        later = life.now(seconds=5)
        assert ticks.renew(numbers, "mine", later) == set(numbers[1:])
        assert ticks.renew(numbers, "other", life.now(seconds=9)) == set()
        assert ticks.renew([], "mine", later) == set()
        assert [ticks.find(number).started_at for number in numbers[1:]] == [later, later]
        assert ticks.release(numbers, "other") == 0
        assert ticks.release(numbers, "mine") == 2
        assert [ticks.find(number).tries for number in numbers[1:]] == [0, 0]
        assert [ticks.find(number).status for number in numbers] == [TickStatus.FAILURE, *[TickStatus.PENDING] * 2]


class TestTheEnd:
    def test_runs_events_tick_and_cursor_are_stored_together(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR, lane="sensor:files"))
        runs = [
            life.make(run_key="a", idempotency_key="sensor:home:files:a", tags={"orchord/run_key": "a"}, priority=3),
            life.make(run_key="b", idempotency_key="sensor:home:files:b", status=RunStatus.QUEUED),
        ]
        first = (life.event(EventType.ENGINE_EVENT, "made"), life.event(EventType.RUN_STARTING, "starting"))
        at = life.now()
        end = clock.end(
            tick,
            at=at,
            runs=[(runs[0], first), (runs[1], ())],
            events=[life.materialization("orders"), life.event(EventType.ASSET_OBSERVATION, "s", asset_key="orders")],
            cursor="5",
            keeps_cursor=False,
            data={"requested": 2, "log": [{"message": "hello"}]},
        )
        result = ticks.finish(end)
        assert result.accepted
        assert result.created == (runs[0].run_id, runs[1].run_id)
        assert (result.existing, result.status) == ({}, TickStatus.SUCCESS)
        stored = ticks.find(tick.tick_id)
        assert (stored.status, stored.run_ids, stored.ended_at) == (TickStatus.SUCCESS, result.created, at)
        assert (stored.cursor, stored.data) == ("5", {"requested": 2, "log": [{"message": "hello"}]})
        assert life.storage.runs.get(runs[0].run_id) == runs[0]
        assert life.status(runs[1]) is RunStatus.QUEUED
        assert life.types(runs[0]) == ["ENGINE_EVENT", "RUN_STARTING"]
        assert life.storage.assets.latest()["orders"].event.message == "made orders"
        assert len(life.storage.assets.after(["orders"])) == 1
        state = life.storage.instigators.state(SENSOR)
        assert (state.cursor, state.last_run_key, state.last_tick_ended_at) == ("5", "b", at)
        changes = [(change.run_id, change.status) for change in life.storage.changes.page()]
        assert changes == [(run.run_id, run.status) for run in runs]

    def test_a_run_key_has_one_run_for_good(self, clock, ticks, life):
        first, second = (clock.claimed(clock.made(f"t{number}", SENSOR)) for number in range(2))
        old = life.make(run_key="a", idempotency_key="k:a")
        ticks.finish(clock.end(first, runs=[(old, ())]))
        again, new = life.make(run_key="a", idempotency_key="k:a"), life.make(run_key="b", idempotency_key="k:b")
        result = ticks.finish(clock.end(second, runs=[(again, [life.event()]), (new, ())]))
        assert result.created == (new.run_id,)
        assert result.existing == {"a": old.run_id}
        assert life.storage.runs.find(again.run_id) is None
        assert life.types(again) == []
        stored = ticks.find(second.tick_id)
        assert (stored.run_ids, stored.data) == ((new.run_id,), {"deduplicated": ["a"]})

    def test_a_run_key_that_comes_twice_in_one_tick_has_one_run(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR))
        twice = [life.make(run_key="a", idempotency_key="k:a") for _ in range(2)]
        result = ticks.finish(clock.end(tick, runs=[(run, ()) for run in twice]))
        assert result.created == (twice[0].run_id,)
        assert result.existing == {"a": twice[0].run_id}

    def test_a_tick_whose_runs_were_all_there_is_skipped(self, clock, ticks, life):
        first, second = (clock.claimed(clock.made(f"t{number}", SENSOR)) for number in range(2))
        ticks.finish(clock.end(first, runs=[(life.make(run_key="a", idempotency_key="k:a"), ())]))
        end = clock.end(
            second,
            runs=[(life.make(run_key="a", idempotency_key="k:a"), ())],
            cursor="moved",
            keeps_cursor=False,
        )
        assert ticks.finish(end).status is TickStatus.SKIPPED
        stored = ticks.find(second.tick_id)
        assert stored.status is TickStatus.SKIPPED
        assert stored.skip_reason == "Every run that was asked for was made by an earlier tick."
        assert life.storage.instigators.state(SENSOR).cursor == "moved"

    def test_run_keys_may_hold_anything(self, clock, ticks, life):
        first, second = (clock.claimed(clock.made(f"t{number}", SENSOR)) for number in range(2))
        strange = {"run_key": "a\x00\ud800b", "idempotency_key": "k:a\x00\ud800b", "tags": {"key": "a\x00b"}}
        old = life.make(**strange)
        assert ticks.finish(clock.end(first, runs=[(old, ())])).created == (old.run_id,)
        result = ticks.finish(clock.end(second, runs=[(life.make(**strange), ())]))
        assert result.existing == {"a\x00\ud800b": old.run_id}
        assert life.storage.instigators.state(SENSOR).last_run_key == "a\ufffd?b"

    def test_a_skipped_tick_says_why_and_moves_the_cursor(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR))
        ticks.finish(clock.end(tick, TickStatus.SKIPPED, skip_reason="no files", cursor="7", keeps_cursor=False))
        assert ticks.find(tick.tick_id).skip_reason == "no files"
        assert life.storage.instigators.state(SENSOR).cursor == "7"

    def test_a_tick_that_does_not_touch_the_cursor_leaves_it(self, clock, ticks, life):
        life.storage.instigators.set_cursor(SENSOR, "before")
        ticks.finish(clock.end(clock.claimed(clock.made(key=SENSOR)), TickStatus.SKIPPED))
        assert life.storage.instigators.state(SENSOR).cursor == "before"

    def test_a_failed_tick_keeps_the_cursor_and_the_error(self, clock, ticks, life):
        life.storage.instigators.set_cursor(SENSOR, "before")
        tick = clock.claimed(clock.made(key=SENSOR))
        error = ErrorInfo("ValueError", "no\x00thing", "stack")
        ticks.finish(clock.end(tick, TickStatus.FAILURE, error=error, cursor="after", keeps_cursor=False))
        assert ticks.find(tick.tick_id).error == ErrorInfo("ValueError", "no\ufffdthing", "stack")
        state = life.storage.instigators.state(SENSOR)
        assert state.cursor == "before"
        assert state.last_tick_ended_at is not None

    def test_a_token_that_does_not_hold_the_tick_writes_nothing(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR))
        run = life.make()
        stale = TickEnd(tick.tick_id, "stale", TickStatus.SUCCESS, life.now(), runs=[(run, ())], cursor="x")
        assert not ticks.finish(stale).accepted
        assert life.storage.runs.find(run.run_id) is None
        assert ticks.find(tick.tick_id) == tick
        assert ticks.finish(clock.end(tick)).accepted
        later = clock.end(tick, at=life.now(hours=1), runs=[(run, ())])
        assert not ticks.finish(later).accepted
        assert life.storage.runs.find(run.run_id) is None

    def test_an_end_that_is_sent_again_gets_the_first_answer(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR))
        old = life.run(run_key="a", idempotency_key="k:a")
        runs = [life.make(run_key="a", idempotency_key="k:a"), life.make(run_key="b", idempotency_key="k:b")]
        end = clock.end(tick, runs=[(run, ()) for run in runs], events=[life.materialization("orders")])
        first = ticks.finish(end)
        assert first.existing == {"a": old.run_id}
        assert ticks.finish(end) == first
        assert len(life.storage.assets.after(["orders"])) == 1

    def test_a_dry_run_writes_its_tick_alone(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR, is_dry_run=True))
        run = life.make()
        end = clock.end(
            tick,
            runs=[(run, ())],
            events=[life.materialization("orders")],
            cursor="5",
            keeps_cursor=False,
            data={"requests": [{"run_key": None}]},
        )
        assert ticks.finish(end).accepted
        stored = ticks.find(tick.tick_id)
        assert (stored.status, stored.cursor, stored.run_ids) == (TickStatus.SUCCESS, "5", ())
        assert stored.data == {"requests": [{"run_key": None}]}
        assert life.storage.runs.find(run.run_id) is None
        assert life.storage.assets.latest() == {}
        assert life.storage.instigators.states() == {}

    def test_hundreds_of_runs_come_of_one_tick(self, clock, ticks, life):
        tick = clock.claimed(clock.made(key=SENSOR))
        runs = [
            (life.make(run_key=f"{number}", idempotency_key=f"k:{number}", tags={"n": str(number)}), [life.event()])
            for number in range(600)
        ]
        began = time.perf_counter()
        result = ticks.finish(clock.end(tick, runs=runs))
        assert time.perf_counter() - began < 3.0
        assert result.created == tuple(run.run_id for run, _ in runs)
        again = clock.claimed(clock.made("t2", SENSOR))
        copies = [(life.make(run_key=run.run_key, idempotency_key=run.idempotency_key), ()) for run, _ in runs]
        assert len(ticks.finish(clock.end(again, runs=copies)).existing) == 600

    def test_ticks_that_ask_for_the_same_runs_at_once_make_each_once(self, clock, open_storage, race, life):
        storages = [open_storage() for _ in range(4)]
        made = [clock.claimed(clock.made(f"t{number}", SENSOR)) for number in range(4)]
        acts = []
        for number, (storage, tick) in enumerate(zip(storages, made, strict=True)):
            runs = [(life.make(run_key=f"{key}", idempotency_key=f"k:{key}"), ()) for key in range(30)]
            end = clock.end(tick, runs=runs[::-1] if number % 2 else runs, events=[life.materialization(f"a{number}")])
            acts.append(lambda storage=storage, end=end: storage.ticks.finish(end))
        results = race(acts)
        assert all(result.accepted for result in results)
        assert sum(len(result.created) for result in results) == 30
        assert all(len(result.created) + len(result.existing) == 30 for result in results)
        assert len(life.storage.runs.page(limit=100)) == 30


class TestGivingUp:
    ERROR = ErrorInfo("TickTimeout", "The tick took longer than 60 seconds.")

    def test_an_open_tick_fails_with_the_reason(self, clock, ticks, life):
        tick = clock.claimed(clock.made())
        at = life.now()
        assert ticks.give_up(tick.tick_id, self.ERROR, at) is TickStatus.FAILURE
        stored = ticks.find(tick.tick_id)
        assert (stored.status, stored.error, stored.ended_at) == (TickStatus.FAILURE, self.ERROR, at)
        assert life.storage.instigators.state(SCHEDULE).last_tick_ended_at == at
        assert not ticks.finish(clock.end(tick)).accepted
        assert ticks.give_up(tick.tick_id, self.ERROR, at) is None
        assert ticks.give_up(99999, self.ERROR, at) is None

    def test_a_tick_that_was_never_claimed_can_be_given_up(self, clock, ticks, life):
        assert ticks.give_up(clock.made().tick_id, self.ERROR, life.now(), tries_left=5) is TickStatus.FAILURE

    def test_a_tick_with_tries_left_waits_again(self, clock, ticks, life):
        tick = clock.claimed(clock.made())
        ticks.mark_sent([tick.tick_id], life.now())
        assert ticks.give_up(tick.tick_id, self.ERROR, life.now(), tries_left=1) is TickStatus.PENDING
        stored = ticks.find(tick.tick_id)
        assert (stored.status, stored.tries, stored.sent_at, stored.error) == (TickStatus.PENDING, 1, None, None)
        assert not ticks.finish(clock.end(tick)).accepted
        clock.claimed(stored)
        assert ticks.give_up(tick.tick_id, self.ERROR, life.now(), tries_left=1) is TickStatus.FAILURE

    def test_a_tick_that_was_claimed_anew_is_left_alone(self, clock, ticks, life):
        seen = clock.claimed(clock.made())
        assert ticks.give_up(seen.tick_id, self.ERROR, life.now(), tries_left=1) is TickStatus.PENDING
        assert ticks.claim(seen.tick_id, "another", "worker", life.now()) is not None
        assert ticks.give_up(seen.tick_id, self.ERROR, life.now(), token=seen.token) is None
        assert ticks.give_up(seen.tick_id, self.ERROR, life.now(), token="another") is TickStatus.FAILURE

    def test_a_tick_given_up_frees_its_lane(self, clock, ticks, life):
        first, second = (clock.made(f"push:{number}", SENSOR, lane="sensor:files") for number in (1, 2))
        clock.claimed(first)
        ticks.give_up(first.tick_id, self.ERROR, life.now())
        assert ticks.claim(second.tick_id, "second", "worker", life.now()) is not None

    def test_either_the_end_or_the_giving_up_counts(self, clock, open_storage, race, life):
        other, own = open_storage(), life.storage
        for number in range(10):
            tick, run = clock.claimed(clock.made(f"t{number}")), life.make()
            end = clock.end(tick, runs=[(run, ())])
            finished, given_up = race(
                [
                    lambda end=end: own.ticks.finish(end),
                    lambda tick=tick: other.ticks.give_up(tick.tick_id, self.ERROR, life.now()),
                ]
            )
            assert finished.accepted is (given_up is None)
            assert (own.runs.find(run.run_id) is not None) is finished.accepted


class TestLooking:
    def test_open_ticks_are_those_to_look_after(self, clock, ticks, life):
        pending, sent, long_sent, started, ended = (clock.made(f"t{number}") for number in range(5))
        clock.claimed(started)
        ticks.finish(clock.end(clock.claimed(ended)))
        ticks.mark_sent([sent.tick_id, started.tick_id], life.now())
        ticks.mark_sent([long_sent.tick_id], life.now(seconds=-60))
        ticks.mark_sent([], life.now())
        found = ticks.open(10, sent_before=life.now(seconds=-30))
        assert [tick.tick_id for tick in found] == [pending.tick_id, long_sent.tick_id, started.tick_id]
        assert [tick.tick_id for tick in ticks.open(1, sent_before=life.now())] == [pending.tick_id]

    def test_pages_go_from_the_newest_back(self, clock, ticks):
        made = [clock.made(f"t{number}") for number in range(5)]
        clock.made("dry", is_dry_run=True)
        other = clock.made("t", SENSOR)
        away = clock.made("t", InstigatorKey("away", InstigatorKind.SCHEDULE, "hourly"))
        ids = [tick.tick_id for tick in made][::-1]
        assert [tick.tick_id for tick in ticks.page(SCHEDULE)] == ids
        assert [tick.tick_id for tick in ticks.page(SCHEDULE, limit=2)] == ids[:2]
        assert [tick.tick_id for tick in ticks.page(SCHEDULE, limit=2, before_id=ids[1])] == ids[2:4]
        assert [tick.tick_id for tick in ticks.page(limit=2)] == [away.tick_id, other.tick_id]
        assert [tick.tick_id for tick in ticks.page(location="away")] == [away.tick_id]
        clock.claimed(made[2])
        found = ticks.page(SCHEDULE, statuses=[TickStatus.STARTED, TickStatus.FAILURE])
        assert [tick.tick_id for tick in found] == [made[2].tick_id]

    def test_what_is_not_there_is_none(self, ticks):
        assert ticks.find(99999) is None
        assert not ticks.delete(99999)

    def test_a_tick_can_be_deleted(self, clock, ticks):
        tick = clock.made()
        assert ticks.delete(tick.tick_id)
        assert ticks.find(tick.tick_id) is None

    def test_old_ticks_are_purged_by_kind_and_status(self, clock, ticks, life):
        kept = [clock.made("open"), clock.claimed(clock.made("started"))]
        for number in range(5):
            old = clock.claimed(clock.made(f"old{number}"))
            ticks.finish(clock.end(old, TickStatus.SKIPPED, at=life.now(days=-8)))
        failed = clock.claimed(clock.made("failed"))
        ticks.finish(clock.end(failed, TickStatus.FAILURE, at=life.now(days=-8)))
        young = clock.claimed(clock.made("young"))
        ticks.finish(clock.end(young, TickStatus.SKIPPED))
        sensors = clock.claimed(clock.made("old", SENSOR))
        ticks.finish(clock.end(sensors, TickStatus.SKIPPED, at=life.now(days=-8)))
        week = life.now(days=-7)
        assert ticks.purge(InstigatorKind.SCHEDULE, TickStatus.SKIPPED, week, 3) == 3
        assert ticks.purge(InstigatorKind.SCHEDULE, TickStatus.SKIPPED, week, 3) == 2
        assert ticks.purge(InstigatorKind.SCHEDULE, TickStatus.SKIPPED, week, 3) == 0
        assert ticks.purge(InstigatorKind.SCHEDULE, TickStatus.STARTED, life.now(), 3) == 0
        left = {tick.tick_id for tick in ticks.page()}
        assert left == {tick.tick_id for tick in [*kept, failed, young, sensors]}


class TestEndsTogether:
    @pytest.fixture
    def claimed(self, clock, ticks, life):
        """Claims ticks by one token."""

        def claim(*new):
            numbers = [tick.tick_id for tick in ticks.make(new)]
            return ticks.claim_many(numbers, f"token{numbers[0]}", "worker", life.now())

        return claim

    def test_each_tick_has_its_own_end(self, clock, ticks, life, claimed):
        other = InstigatorKey("home", InstigatorKind.SCHEDULE, "broken")
        hourly, again, broken, stale, dry, skipped = claimed(
            clock.new("t1"),
            clock.new("t2"),
            clock.new("t1", other),
            clock.new("t3"),
            clock.new("dry:1", is_dry_run=True),
            clock.new("t1", SENSOR),
        )
        runs = [life.make(tags={"n": str(number)}, status=RunStatus.QUEUED) for number in range(4)]
        first = [life.event(EventType.RUN_ENQUEUED, "made")]
        error = ErrorInfo("ValueError", "as told")
        results = ticks.finish_many(
            [
                clock.end(hourly, runs=[(runs[0], first), (runs[1], first)]),
                clock.end(again, at=life.now(seconds=1), runs=[(runs[2], first)]),
                clock.end(broken, TickStatus.FAILURE, error=error),
                TickEnd(stale.tick_id, "stale", TickStatus.SUCCESS, life.now(), runs=[(runs[3], first)]),
                clock.end(dry, data={"requests": []}),
                clock.end(skipped, TickStatus.SKIPPED, skip_reason="no files", cursor="7", keeps_cursor=False),
            ]
        )
        assert [result.accepted for result in results] == [True, True, True, False, True, True]
        assert [result.created for result in results[:3]] == [
            (runs[0].run_id, runs[1].run_id),
            (runs[2].run_id,),
            (),
        ]
        stored = [ticks.find(tick.tick_id) for tick in (hourly, again, broken, stale, dry, skipped)]
        assert [tick.status.value for tick in stored] == [
            "SUCCESS",
            "SUCCESS",
            "FAILURE",
            "STARTED",
            "SUCCESS",
            "SKIPPED",
        ]
        assert stored[0].run_ids == results[0].created
        assert stored[2].error == error
        assert stored[5].skip_reason == "no files"
        for run in runs[:3]:
            assert life.storage.runs.get(run.run_id) == run
            assert life.types(run) == ["RUN_ENQUEUED"]
        assert life.storage.runs.find(runs[3].run_id) is None
        assert {change.run_id for change in life.storage.changes.page()} == {run.run_id for run in runs[:3]}
        states = life.storage.instigators.states("home")
        assert states[SCHEDULE].last_tick_ended_at == stored[1].ended_at, "the later one"
        assert states[other].last_tick_ended_at == stored[2].ended_at
        assert states[SENSOR].cursor == "7"

    def test_a_run_key_of_two_ticks_has_one_run(self, clock, ticks, life, claimed):
        first, second = claimed(clock.new("t1"), clock.new("t2"))
        made = [life.make(run_key="a", idempotency_key="k:a") for _ in range(2)]
        one, other = ticks.finish_many(
            [clock.end(first, runs=[(made[0], ())]), clock.end(second, runs=[(made[1], ())])]
        )
        assert (one.created, one.status) == ((made[0].run_id,), TickStatus.SUCCESS)
        assert (other.created, other.existing, other.status) == ((), {"a": made[0].run_id}, TickStatus.SKIPPED)
        assert ticks.find(second.tick_id).data == {"deduplicated": ["a"]}

    def test_ends_that_are_sent_again_have_the_answers_of_the_first_time(self, clock, ticks, life, claimed):
        known = life.make(run_key="a", idempotency_key="k:a")
        (before,) = claimed(clock.new("t0"))
        ticks.finish(clock.end(before, runs=[(known, ())]))
        ends = [
            clock.end(tick, runs=[(life.make(), [life.event()]), (life.make(run_key="a", idempotency_key="k:a"), ())])
            for tick in claimed(clock.new("t1"), clock.new("t2"))
        ]
        answers = ticks.finish_many(ends)
        assert ticks.finish_many(ends) == answers
        assert ticks.finish_many([]) == []
        assert life.storage.changes.count() == 3

    def test_many_ends_take_as_many_statements_as_one(self, clock, ticks, life, claimed):
        def statements_for(*new):
            ends = [clock.end(tick, runs=[(life.make(tags={"a": "b"}), [life.event()])]) for tick in claimed(*new)]
            sent = []
            engine = life.storage.database.engine
            sa.event.listen(engine, "before_cursor_execute", note := lambda *given: sent.append(given[2]))
            ticks.finish_many(ends)
            sa.event.remove(engine, "before_cursor_execute", note)
            return len(sent)

        one = statements_for(clock.new("t0"))
        assert statements_for(*[clock.new(f"t{number}") for number in range(1, 26)]) == one
