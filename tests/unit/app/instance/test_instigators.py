"""Schedules and sensors as the instance knows them: what the code says, joined with what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchord.errors import ConflictError, LocationNotFoundError, NotFoundError
from orchord.instance import OrchordInstance
from orchord.instance.instigators import Instigator
from orchord.snapshot import LocationSnapshot, ScheduleSnapshot, SensorSnapshot
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus

SCHEDULE, SENSOR = InstigatorKind.SCHEDULE, InstigatorKind.SENSOR


@pytest.fixture
def known(instance: OrchordInstance) -> OrchordInstance:
    """An instance with two locations that have schedules of one name."""
    for name in ("east", "west"):
        instance.storage.locations.put(
            LocationSnapshot(
                name,
                schedules=(ScheduleSnapshot("daily", "diamond", ("@daily",)),),
                sensors=(SensorSnapshot(f"watch_{name}", timeout_seconds=5.0),),
            )
        )
    return instance


def test_all_are_listed_by_location_and_name(known: OrchordInstance) -> None:
    assert [item.key for item in known.schedules()] == [
        InstigatorKey("east", SCHEDULE, "daily"),
        InstigatorKey("west", SCHEDULE, "daily"),
    ]
    assert [item.key.name for item in known.sensors("west")] == ["watch_west"]


def test_what_is_not_there_is_told(known: OrchordInstance) -> None:
    with pytest.raises(NotFoundError, match=r"No sensor is called 'watch_wast'\. Did you mean 'watch_west'\?"):
        known.instigator(SENSOR, "watch_wast")
    with pytest.raises(NotFoundError, match=r"No sensor is called 'watch_west' in location 'east'\."):
        known.instigator(SENSOR, "watch_west", "east")
    with pytest.raises(LocationNotFoundError, match=r"No code location is called 'wets'\. Did you mean 'west'\?"):
        known.instigator(SENSOR, "watch_west", "wets")
    with pytest.raises(ConflictError, match=r"Several locations have a schedule 'daily': east, west\. Name the"):
        known.instigator(SCHEDULE, "daily")


def test_starting_one_leaves_the_other_of_its_name_alone(known: OrchordInstance) -> None:
    assert known.start_instigator(SCHEDULE, "daily", "east").is_running
    assert not known.instigator(SCHEDULE, "daily", "west").is_running
    started = known.instigator(SCHEDULE, "daily", "east").state.started_at
    assert known.start_instigator(SCHEDULE, "daily", "east").state.started_at == started


def test_the_code_decides_until_somebody_does() -> None:
    key = InstigatorKey("east", SENSOR, "s")
    on = SensorSnapshot("s", default_status="RUNNING")
    assert Instigator(key, on, InstigatorState(key)).is_running
    assert not Instigator(key, on, InstigatorState(key, InstigatorStatus.STOPPED)).is_running


def test_a_definitions_own_time_limit_goes_before_the_instances(known: OrchordInstance) -> None:
    assert known.instigator(SENSOR, "watch_west").time_limit_seconds(known.config) == 5.0
    assert known.instigator(SCHEDULE, "daily", "east").time_limit_seconds(known.config) == 60.0


@pytest.mark.parametrize(
    ("kind", "definition", "lane", "interval"),
    [
        (SENSOR, SensorSnapshot("s"), "sensor:s", 30.0),
        (SENSOR, SensorSnapshot("s", "ASSET", minimum_interval_seconds=0), "sensor:s", 0.0),
        (SENSOR, SensorSnapshot("s", "RUN_STATUS", run_status="FAILURE"), None, None),
        (SCHEDULE, ScheduleSnapshot("s", "j", ("@daily",)), None, None),
    ],
)
def test_sensors_with_a_cursor_are_evaluated_one_after_another(kind, definition, lane, interval) -> None:
    key = InstigatorKey("east", kind, "s")
    found = Instigator(key, definition, InstigatorState(key))
    assert (found.lane, found.interval_seconds) == (lane, interval)


def test_next_ticks_end_when_the_calendar_has_no_more() -> None:
    key = InstigatorKey("east", SCHEDULE, "s")
    at = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    daily = Instigator(key, ScheduleSnapshot("s", "j", ("@daily", "0 12 * * *")), InstigatorState(key))
    assert [(time.day, time.hour) for time in daily.next_ticks(3, at)] == [(1, 12), (2, 0), (2, 12)]
    never = Instigator(key, ScheduleSnapshot("s", "j", ("0 0 31 2 *",)), InstigatorState(key))
    assert never.next_ticks(3, at) == []


def test_all_of_a_kind_are_turned_on_and_off_at_once(known: OrchordInstance) -> None:
    known.stop_instigator(SENSOR, "watch_west")
    assert [item.is_running for item in known.set_all_instigators(SENSOR, InstigatorStatus.RUNNING, "east")] == [True]
    assert [item.is_running for item in known.sensors()] == [True, False]
    assert {item.status for item in known.set_all_instigators(SCHEDULE, InstigatorStatus.STOPPED)} == {"STOPPED"}
    assert {item.state.status for item in known.set_all_instigators(SENSOR, None)} == {None}


def test_wiping_forgets_ticks_and_states_of_one_kind(known: OrchordInstance) -> None:
    known.start_instigator(SCHEDULE, "daily", "east")
    known.set_sensor_cursor("watch_east", "7")
    assert known.wipe_instigators(SCHEDULE) == 0
    assert not known.instigator(SCHEDULE, "daily", "east").is_running
    assert known.instigator(SENSOR, "watch_east").state.cursor == "7"
