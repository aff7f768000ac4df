"""What is remembered of schedules and sensors, and how the clock learns that it has changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchord.snapshot import LocationSnapshot
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus

SCHEDULE = InstigatorKey("home", InstigatorKind.SCHEDULE, "hourly")
SENSOR = InstigatorKey("home", InstigatorKind.SENSOR, "files")
AWAY = InstigatorKey("away", InstigatorKind.SENSOR, "files")


@pytest.fixture
def states(storage):
    """The states of the test's storage."""
    return storage.instigators


class TestStatus:
    def test_of_what_nobody_has_touched_nothing_is_remembered(self, states):
        assert states.state(SENSOR) == InstigatorState(SENSOR)
        assert states.states() == {}

    def test_a_schedule_that_is_started_begins_at_that_moment(self, states, life):
        at = life.now()
        state = states.set_status(SCHEDULE, InstigatorStatus.RUNNING, at)
        assert state == states.state(SCHEDULE)
        assert (state.status, state.started_at, state.planned_until) == (InstigatorStatus.RUNNING, at, at)

    def test_what_was_missed_while_it_was_stopped_is_not_made_up_for(self, states, life):
        began = life.now()
        states.set_status(SCHEDULE, InstigatorStatus.RUNNING, began)
        states.set_status(SCHEDULE, InstigatorStatus.STOPPED, began + timedelta(hours=1))
        assert states.state(SCHEDULE).planned_until == began
        states.set_status(SCHEDULE, None, began + timedelta(hours=5))
        state = states.state(SCHEDULE)
        assert (state.status, state.planned_until) == (None, began + timedelta(hours=5))

    def test_a_planned_time_ahead_is_kept(self, states, life):
        ahead = life.now(hours=1)
        life.storage.ticks.make([], {SCHEDULE: ahead})
        assert states.set_status(SCHEDULE, InstigatorStatus.RUNNING, life.now()).planned_until == ahead

    def test_a_sensor_that_is_started_is_due_by_its_own_interval(self, states, life):
        at = life.now()
        state = states.set_status(SENSOR, InstigatorStatus.RUNNING, at)
        assert (state.started_at, state.planned_until) == (at, None)

    def test_starting_what_is_started_changes_nothing(self, states, life):
        first = states.set_status(SCHEDULE, InstigatorStatus.RUNNING, life.now())
        assert states.set_status(SCHEDULE, InstigatorStatus.RUNNING, life.now(hours=1)) == first

    def test_states_are_found_by_location(self, states, life):
        for key in (SCHEDULE, SENSOR, AWAY):
            states.set_status(key, InstigatorStatus.STOPPED, life.now())
        assert set(states.states()) == {SCHEDULE, SENSOR, AWAY}
        assert set(states.states("away")) == {AWAY}

    def test_many_that_start_and_stop_at_once_are_all_counted(self, states, life, race):
        def turn(number):
            status = InstigatorStatus.RUNNING if number % 2 else InstigatorStatus.STOPPED
            return states.set_status(SENSOR, status, life.now()).version

        versions = race([lambda number=number: turn(number) for number in range(8)])
        assert states.state(SENSOR).version == max(versions)


class TestCursor:
    def test_a_cursor_is_set_and_taken_away(self, states):
        assert states.set_cursor(SENSOR, "a\x00b").cursor == "a\ufffdb"
        assert states.state(SENSOR).cursor == "a\ufffdb"
        assert states.set_cursor(SENSOR, None).cursor is None

    def test_forgetting_takes_all_away(self, states, life):
        states.set_status(SENSOR, InstigatorStatus.RUNNING, life.now())
        states.set_cursor(SENSOR, "5")
        states.forget(SENSOR)
        states.forget(AWAY)
        state = states.state(SENSOR)
        assert state == InstigatorState(SENSOR, version=state.version)
        assert states.states("away") == {}


class TestTheStamp:
    def test_it_changes_with_everything_that_the_clock_must_see(self, states, life):
        seen = [states.stamp()]

        def changed():
            seen.append(states.stamp())
            return seen[-1] not in seen[:-1]

        states.set_status(SENSOR, InstigatorStatus.RUNNING, life.now())
        assert changed()
        states.set_status(SENSOR, InstigatorStatus.STOPPED, life.now())
        assert changed()
        states.set_status(SENSOR, None, life.now())
        assert changed()
        states.forget(SENSOR)
        assert changed()
        states.set_status(SENSOR, InstigatorStatus.RUNNING, life.now())
        assert changed()

    def test_it_changes_with_every_location(self, states, life, storage):
        before = states.stamp()
        storage.locations.put(LocationSnapshot("home"))
        loaded = states.stamp()
        assert loaded != before
        states.set_status(SENSOR, InstigatorStatus.RUNNING, life.now())
        assert states.stamp() != loaded
        storage.locations.remove("home")
        assert states.stamp() != loaded

    def test_ticks_leave_it_as_it_is(self, states, life):
        states.set_status(SCHEDULE, InstigatorStatus.RUNNING, life.now())
        before = states.stamp()
        life.storage.ticks.make([], {SCHEDULE: life.now(hours=1), SENSOR: life.now()})
        assert states.stamp() == before
