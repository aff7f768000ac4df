"""When a cron schedule is due: its times as aware UTC, in order, through every change of the clocks.

What a schedule does when it is due is schedules.py; who looks at the clock is the daemon. The cron strings themselves
are read by croniter, which is given times of the wall clock alone and knows of no time zone.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOURS_OF_A_DAY = 24
_DAY = timedelta(days=1)
_MINUTES_OF_AN_HOUR = 60
# No shift of a clock so far was longer: Samoa and Kwajalein left out a whole day.
_LONGEST_SHIFT = timedelta(days=1, hours=1)
# Before it, no time zone has other clocks than today's calendar can tell, and croniter knows no years.
_FIRST_TIME = datetime(1, 1, 8, tzinfo=UTC)


def next_times(crons: Sequence[str], timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the times at which a schedule is due, from the first one later than ``after``; it may never end.

    The rules for the two changes of a year are those that users of Dagster know. A schedule that is due in each hour
    follows time as it passes: in the hour that the clocks leave out it is not due, in the one that comes twice, twice.
    Any other is due as often as the calendar has its times: one that the clocks leave out is due when they have
    changed, and one that comes twice is due the second time. Times of several cron strings that are equal count once.

    Args:
        crons: cron strings of five fields, or nicknames such as ``@daily``.
        timezone: the name of the time zone whose clocks are meant.
        after: an aware time.

    Raises:
        ValueError: a cron string, or the time zone, is none.
    """
    zone = _zone(timezone)
    start = max(after.astimezone(UTC), _FIRST_TIME)
    last = start
    try:
        for time in heapq.merge(*(_times(cron, zone, start) for cron in crons)):
            if time > last:
                last = time
                yield time
    except OverflowError:
        # The calendar ends with the year 9999.
        return


def latest_times(
    crons: Sequence[str], timezone: str, after: datetime, until: datetime, count: int
) -> tuple[list[datetime], bool]:
    """Return the newest ``count`` times in ``(after, until]``, oldest first, and whether there are older ones.

    It looks back from ``until`` as far as it must: years in which nobody looked cost no more than the times returned.
    """
    window = timedelta(minutes=max(count, 1) + 1)
    while True:
        since = max(after, until - window)
        found: list[datetime] = []
        for time in next_times(crons, timezone, since):
            if time > until:
                break
            found.append(time)
        if len(found) > count or since == after:
            return found[len(found) - count :] if len(found) > count else found, len(found) > count
        window *= 4


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"time zone '{timezone}' is not known here: {error}") from error


def _times(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the times of one cron string, ascending; a time may come twice."""
    minutes, is_every_hour = _due_minutes(cron)
    # Times of the second round of an hour that comes twice, kept back until the first round is over.
    kept_back: list[datetime] = []
    for wall in _wall_times(cron, _wall_start(zone, after)):
        first, second = wall.replace(tzinfo=zone), wall.replace(tzinfo=zone, fold=1)
        shift = first.utcoffset() - second.utcoffset()  # type: ignore[operator]
        if not shift:
            instants = [first.astimezone(UTC)]
        elif is_every_hour and _fits(minutes, shift):
            instants = [first.astimezone(UTC), second.astimezone(UTC)] if shift > timedelta(0) else []
        elif shift > timedelta(0):
            instants = [second.astimezone(UTC)]
        else:
            instants = [_change_between(second.astimezone(UTC), first.astimezone(UTC), zone)]
        while kept_back and instants and kept_back[0] < instants[0]:
            yield heapq.heappop(kept_back)
        for instant in instants:
            if instant > after:
                heapq.heappush(kept_back, instant)
        if len(instants) == 1:
            while kept_back:
                yield heapq.heappop(kept_back)
    while kept_back:
        yield heapq.heappop(kept_back)


def _wall_times(cron: str, start: datetime) -> Iterator[datetime]:
    # croniter is heavy, and the instance can be used without looking ahead.
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

    iterator = croniter(cron, start)
    while True:
        try:
            yield iterator.get_next(datetime)
        except (CroniterBadDateError, ValueError):
            # A date that no calendar has, such as the 31st of February, or one after the year 9999.
            return


def _wall_start(zone: ZoneInfo, after: datetime) -> datetime:
    """Return a time of the wall clock before which none can be due later than ``after``."""
    is_calm = (after - _LONGEST_SHIFT).astimezone(zone).utcoffset() == (after + _DAY).astimezone(zone).utcoffset()
    wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
    return wall if is_calm else wall - _LONGEST_SHIFT


def _due_minutes(cron: str) -> tuple[frozenset[int], bool]:
    """Return the minutes of an hour at which a cron string is due, and whether it is so in each hour."""
    # As in _wall_times.
    from croniter import croniter  # noqa: PLC0415

    fields = croniter.expand(cron)[0]
    minutes = range(_MINUTES_OF_AN_HOUR) if fields[0] == ["*"] else fields[0]
    return frozenset(int(minute) for minute in minutes), fields[1] == ["*"] or len(fields[1]) == _HOURS_OF_A_DAY


def _fits(minutes: frozenset[int], shift: timedelta) -> bool:
    """Return whether an hour with these minutes looks the same when the clocks are moved by a shift."""
    moved = int(shift.total_seconds()) // _MINUTES_OF_AN_HOUR
    return {(minute + moved) % _MINUTES_OF_AN_HOUR for minute in minutes} == minutes


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which the clocks are changed, to the second."""
    offset = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
