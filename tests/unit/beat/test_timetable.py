"""Which ticks are to be made by when: schedules with missed times, sensors without drift."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from orchord.instance import InstanceConfig
from orchord.instance.instigators import Instigator
from orchord.instance.sections import ScheduleSettings
from orchord.snapshot import ScheduleSnapshot, SensorSnapshot
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus
from orchord_beat.timetable import Timetable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float = 0, **more: float) -> datetime:
    return NOON + timedelta(seconds=seconds, **more)


def config(tmp_path: Path, catchup: int = 5) -> InstanceConfig:
    default = InstanceConfig.default(tmp_path)
    return msgspec.structs.replace(default, schedules=ScheduleSettings(max_catchup_runs=catchup))


@pytest.fixture
def timetable(tmp_path: Path) -> Timetable:
    return Timetable(config(tmp_path))


def schedule(name: str = "hourly", cron: str = "0 * * * *", status: str = "RUNNING", **state: object) -> Instigator:
    key = InstigatorKey("here", InstigatorKind.SCHEDULE, name)
    definition = ScheduleSnapshot(name, "a_job", (cron,), default_status=status)
    return Instigator(key, definition, InstigatorState(key, **state))  # type: ignore[arg-type]


def sensor(name: str = "looking", interval: int | None = 10, kind: str = "STANDARD", **state: object) -> Instigator:
    key = InstigatorKey("here", InstigatorKind.SENSOR, name)
    definition = SensorSnapshot(name, kind, minimum_interval_seconds=interval, default_status="RUNNING")
    return Instigator(key, definition, InstigatorState(key, **state))  # type: ignore[arg-type]


def keys(timetable: Timetable, now: datetime) -> list[str]:
    return [tick.tick_key for tick in timetable.due(now).ticks]


class TestSchedules:
    def test_a_tick_is_due_at_each_time_and_has_it_as_its_key(self, timetable: Timetable) -> None:
        timetable.read([schedule()], after(minutes=30))
        assert timetable.next_at() == after(hours=1)
        assert keys(timetable, after(minutes=59)) == []
        due = timetable.due(after(hours=1, milliseconds=3))
        assert [tick.tick_key for tick in due.ticks] == ["2026-01-01T13:00:00+00:00"]
        assert [tick.planned_at for tick in due.ticks] == [after(hours=1)]
        assert list(due.planned_until.values()) == [after(hours=1)]
        assert timetable.next_at() == after(hours=2)

    def test_a_new_one_begins_now_and_where_it_began_is_remembered(self, timetable: Timetable) -> None:
        one = schedule()
        assert timetable.read([one], after(minutes=30)) == {one.key: after(minutes=30)}
        known = schedule(name="known", planned_until=NOON)
        assert timetable.read([one, known], after(minutes=31)) == {}

    def test_missed_times_are_made_up_for_as_far_as_is_allowed(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        timetable = Timetable(config(tmp_path, catchup=2))
        timetable.read([schedule(planned_until=NOON)], after(hours=5, minutes=30))
        due = timetable.due(after(hours=5, minutes=30))
        assert [tick.planned_at for tick in due.ticks] == [after(hours=4), after(hours=5)]
        assert "only the newest 2 are made up for" in caplog.text
        assert len(caplog.records) == 1
        assert timetable.next_at() == after(hours=6)
        assert keys(timetable, after(hours=5, minutes=31)) == []

    def test_fewer_missed_times_are_all_made_up_for_in_silence(
        self, timetable: Timetable, caplog: pytest.LogCaptureFixture
    ) -> None:
        timetable.read([schedule(planned_until=NOON)], after(hours=3, minutes=30))
        assert len(timetable.due(after(hours=3, minutes=30)).ticks) == 3
        assert not caplog.records

    def test_without_catch_up_only_what_is_on_time_is_made(self, tmp_path: Path) -> None:
        timetable = Timetable(config(tmp_path, catchup=0))
        timetable.read([schedule(planned_until=NOON)], after(hours=3, minutes=30))
        assert keys(timetable, after(hours=3, minutes=30)) == []
        # Another daemon took over a few seconds after the full hour: that one is not missed.
        timetable.clear()
        timetable.read([schedule(planned_until=NOON)], after(hours=3, seconds=8))
        assert keys(timetable, after(hours=3, seconds=8)) == ["2026-01-01T15:00:00+00:00"]

    def test_one_that_was_started_again_does_not_make_up_for_its_pause(self, timetable: Timetable) -> None:
        started = schedule(
            status="STOPPED",
            planned_until=after(hours=8, minutes=10),
            started_at=after(hours=8, minutes=10),
        )
        running = msgspec.structs.replace(
            started, state=msgspec.structs.replace(started.state, status=InstigatorStatus.RUNNING)
        )
        timetable.read([running], after(hours=8, minutes=10))
        assert keys(timetable, after(hours=8, minutes=11)) == []
        assert timetable.next_at() == after(hours=9)

    def test_one_that_is_off_is_never_due(self, timetable: Timetable) -> None:
        timetable.read([schedule()], NOON)
        timetable.read([schedule(status="STOPPED")], NOON)
        assert timetable.next_at() is None
        assert len(timetable) == 0

    def test_one_that_did_not_change_keeps_its_place_when_others_do(self, timetable: Timetable) -> None:
        timetable.read([schedule()], after(minutes=30))
        # Read late, after its time: it is not lost.
        timetable.read([schedule(), schedule(name="new", cron="30 * * * *")], after(hours=1, minutes=5))
        assert keys(timetable, after(hours=1, minutes=5)) == ["2026-01-01T13:00:00+00:00"]

    def test_new_code_changes_the_times(self, timetable: Timetable) -> None:
        timetable.read([schedule(planned_until=NOON)], after(minutes=1))
        timetable.read([schedule(cron="15 * * * *", planned_until=NOON)], after(minutes=2))
        assert timetable.next_at() == after(minutes=15)

    def test_one_that_cannot_be_read_is_left_out_and_the_others_go_on(
        self, timetable: Timetable, caplog: pytest.LogCaptureFixture
    ) -> None:
        timetable.read([schedule(name="broken", cron="61 * * * *"), schedule()], NOON)
        assert timetable.next_at() == after(hours=1)
        assert "Schedule 'broken' of location 'here' cannot be read" in caplog.text

    def test_one_in_a_time_zone_that_is_not_known_here_is_left_out_and_the_others_go_on(
        self, timetable: Timetable, caplog: pytest.LogCaptureFixture
    ) -> None:
        far = schedule("far")
        far = msgspec.structs.replace(
            far, definition=msgspec.structs.replace(far.definition, execution_timezone="Mars/X")
        )
        timetable.read([far, schedule("well")], NOON)
        assert [key.name for key in timetable.due(after(hours=1)).planned_until] == ["well"]
        assert "Schedule 'far' of location 'here' cannot be read: time zone 'Mars/X' is not known here" in caplog.text

    def test_one_that_cannot_get_past_a_time_takes_no_other_with_it(
        self, timetable: Timetable, caplog: pytest.LogCaptureFixture
    ) -> None:
        def times() -> Iterator[datetime]:
            raise OverflowError("date value out of range")
            yield NOON

        timetable.read([schedule("bad"), schedule("well")], NOON)
        timetable._entries[InstigatorKey("here", InstigatorKind.SCHEDULE, "bad")].times = times()
        assert [key.name for key in timetable.due(after(hours=1)).planned_until] == ["well"]
        assert "Schedule 'bad' of location 'here' stops: date value out of range" in caplog.text
        assert [key.name for key in timetable.due(after(hours=2)).planned_until] == ["well"]

    def test_one_that_is_due_on_no_day_is_left_out(self, timetable: Timetable) -> None:
        timetable.read([schedule(cron="0 0 31 2 *")], NOON)
        assert timetable.next_at() is None

    def test_a_thousand_are_due_in_one_go(self, timetable: Timetable) -> None:
        timetable.read([schedule(name=f"s{number}") for number in range(1000)], NOON)
        due = timetable.due(after(hours=1))
        assert len({tick.key for tick in due.ticks}) == len(due.planned_until) == 1000


class TestSensors:
    def test_one_is_due_at_once_and_then_at_whole_intervals_from_its_planned_time(self, timetable: Timetable) -> None:
        timetable.read([sensor()], NOON)
        assert keys(timetable, after(0.4)) == ["due:2026-01-01T12:00:00.000+00:00"]
        assert timetable.next_at() == after(10)
        assert keys(timetable, after(10.9)) == ["due:2026-01-01T12:00:10.000+00:00"]
        assert timetable.next_at() == after(20)

    def test_of_missed_times_only_the_newest_is_due(self, timetable: Timetable) -> None:
        timetable.read([sensor(planned_until=NOON)], after(34))
        assert keys(timetable, after(34)) == ["due:2026-01-01T12:00:30.000+00:00"]
        assert timetable.next_at() == after(40)

    def test_a_sensor_without_an_interval_has_thirty_seconds(self, timetable: Timetable) -> None:
        timetable.read([sensor(interval=None, planned_until=NOON)], after(1))
        assert timetable.next_at() == after(30)

    def test_an_interval_of_nothing_is_a_second(self, timetable: Timetable) -> None:
        timetable.read([sensor(interval=0, planned_until=NOON)], NOON)
        assert timetable.next_at() == after(1)

    def test_its_ticks_keep_to_its_lane_and_time_limit(self, timetable: Timetable) -> None:
        timetable.read([sensor()], NOON)
        (tick,) = timetable.due(NOON).ticks
        assert tick.lane == "sensor:looking"
        assert tick.time_limit_seconds == 60

    def test_sensors_on_runs_are_not_evaluated_by_the_clock(self, timetable: Timetable) -> None:
        timetable.read([sensor(kind="RUN_STATUS")], NOON)
        assert timetable.next_at() is None

    def test_many_that_appear_together_are_spread_over_their_interval(self, timetable: Timetable) -> None:
        timetable.read([sensor(name=f"s{number}") for number in range(100)], NOON)
        assert len(keys(timetable, after(1))) == 11
        assert len(keys(timetable, after(9.99))) == 89
        assert len(keys(timetable, after(11))) == 11
