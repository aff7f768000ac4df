"""Times of cron schedules, above all where the clocks are changed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchord.definitions.cron import latest_times, next_times

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
# The evening before the clocks go forward, and back.
BERLIN_SPRING, BERLIN_AUTUMN = "2026-03-28T22:59", "2026-10-24T21:59"
NEW_YORK_SPRING, NEW_YORK_AUTUMN = "2026-03-08T04:59", "2026-11-01T03:59"
LORD_HOWE_SPRING, LORD_HOWE_AUTUMN = "2026-10-03T13:29", "2026-04-04T12:59"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walls(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times as day, clock and offset of the zone."""
    times = itertools.islice(next_times([cron], zone, at(after)), count)
    return [time.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z") for time in times]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "wanted"),
    [
        # Left out: due as soon as the clocks have changed.
        ("30 2 * * *", BERLIN, BERLIN_SPRING, ["29 03:00+0200", "30 02:30+0200"]),
        ("15 2 * * 0", NEW_YORK, NEW_YORK_SPRING, ["08 03:00-0400", "15 02:15-0400"]),
        ("15 2 * * *", LORD_HOWE, LORD_HOWE_SPRING, ["04 02:30+1100", "05 02:15+1100"]),
        # Two that move to the same moment are one.
        ("0,30 2 * * *", NEW_YORK, NEW_YORK_SPRING, ["08 03:00-0400", "09 02:00-0400", "09 02:30-0400"]),
        ("0 2,3 * * *", BERLIN, BERLIN_SPRING, ["29 03:00+0200", "30 02:00+0200"]),
        # Twice on the clock: due the second time, and only then.
        ("30 2 * * *", BERLIN, BERLIN_AUTUMN, ["25 02:30+0100", "26 02:30+0100"]),
        ("30 1 * * *", NEW_YORK, NEW_YORK_AUTUMN, ["01 01:30-0500", "02 01:30-0500"]),
        ("45 1 * * *", LORD_HOWE, LORD_HOWE_AUTUMN, ["05 01:45+1030", "06 01:45+1030"]),
        ("0 */2 * * *", BERLIN, BERLIN_AUTUMN, ["25 00:00+0200", "25 02:00+0100", "25 04:00+0100"]),
        # In each hour: as time passes.
        ("30 * * * *", BERLIN, BERLIN_SPRING, ["29 00:30+0100", "29 01:30+0100", "29 03:30+0200"]),
        ("30 * * * *", BERLIN, "2026-10-24T23:59", ["25 02:30+0200", "25 02:30+0100", "25 03:30+0100"]),
        ("0 * * * *", NEW_YORK, NEW_YORK_AUTUMN, ["01 00:00-0400", "01 01:00-0400", "01 01:00-0500", "01 02:00-0500"]),
        ("*/30 * * * *", LORD_HOWE, "2026-04-04T13:59", ["05 01:00+1100", "05 01:30+1100", "05 01:30+1030"]),
        # Half an hour is no whole turn of an hourly schedule: it keeps to its minute of the wall clock.
        ("0 * * * *", LORD_HOWE, LORD_HOWE_AUTUMN, ["05 00:00+1100", "05 01:00+1100", "05 02:00+1030"]),
        ("30 * * * *", LORD_HOWE, "2026-04-04T13:30", ["05 01:30+1030", "05 02:30+1030"]),
    ],
)
def test_a_change_of_the_clocks_makes_no_tick_twice_or_never(
    cron: str, zone: str, after: str, wanted: list[str]
) -> None:
    assert walls(cron, zone, after, len(wanted)) == wanted


def test_several_crons_are_merged_and_equal_times_count_once() -> None:
    times = itertools.islice(next_times(["0 6 * * *", "0 */6 * * *", "@daily"], "UTC", at("2026-01-01T00:00")), 5)
    assert [time.strftime("%d %H") for time in times] == ["01 06", "01 12", "01 18", "02 00", "02 06"]


def test_the_first_time_is_later_than_the_given_one() -> None:
    assert next(next_times(["* * * * *"], "UTC", at("2026-01-01T00:05"))) == at("2026-01-01T00:06")
    assert next(next_times(["* * * * *"], "UTC", at("2026-01-01T00:05:59"))) == at("2026-01-01T00:06")


def test_a_date_that_no_calendar_has_is_never_due() -> None:
    assert list(next_times(["0 0 31 2 *"], "UTC", at("2026-01-01T00:00"))) == []


def test_what_is_no_cron_string_is_refused() -> None:
    with pytest.raises(ValueError, match="61"):
        next(next_times(["61 * * * *"], "UTC", at("2026-01-01T00:00")))


def test_a_day_that_a_place_left_out_moves_to_the_next() -> None:
    # Samoa went from the evening of the 29th to the morning of the 31st of December 2011.
    assert walls("0 6 * * *", "Pacific/Apia", "2011-12-29T17:00", 2) == ["31 00:00+1400", "31 06:00+1400"]


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu"]),
    cron=st.sampled_from(["*/20 * * * *", "30 1-3 * * *", "0 */2 * * *", "15 2 * * *"]),
    start=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)),
    minutes=st.integers(0, 600),
)
def test_times_ascend_and_do_not_depend_on_where_one_began(zone: str, cron: str, start: datetime, minutes: int) -> None:
    first = start.replace(tzinfo=UTC)
    later = first + timedelta(minutes=minutes)
    times = list(itertools.takewhile(lambda time: time < first + timedelta(days=2), next_times([cron], zone, first)))
    assert times == sorted(set(times))
    begun_later = list(
        itertools.takewhile(lambda time: time < first + timedelta(days=2), next_times([cron], zone, later))
    )
    assert begun_later == [time for time in times if time > later]


def test_the_newest_times_are_found_without_walking_through_years() -> None:
    times, are_older = latest_times(["* * * * *"], "UTC", at("2016-01-01T00:00"), at("2026-01-01T00:00"), 3)
    assert [time.strftime("%H:%M") for time in times] == ["23:58", "23:59", "00:00"]
    assert are_older


def test_few_missed_times_are_all_returned() -> None:
    times, are_older = latest_times(["0 0 1 * *"], BERLIN, at("2025-10-15T00:00"), at("2026-01-15T00:00"), 5)
    assert [time.strftime("%m-%d %H") for time in times] == ["10-31 23", "11-30 23", "12-31 23"]
    assert not are_older


def test_none_was_missed_when_the_last_time_is_the_newest() -> None:
    assert latest_times(["0 * * * *"], "UTC", at("2026-01-01T10:00"), at("2026-01-01T10:59"), 5) == ([], False)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/New_York"])
def test_the_calendar_begins_and_ends(zone):
    end = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert list(next_times(["* * * * *", "@daily", "0 0 29 2 *"], zone, end)) == []
    assert list(next_times(["0 0 29 2 *"], zone, end - timedelta(days=20))) == []
    begin = datetime(1, 1, 1, tzinfo=UTC)
    assert next(next_times(["@daily"], zone, begin)).year == 1
