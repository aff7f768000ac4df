"""The timetable: which ticks of which schedules and sensors are to be made by a given time. Pure: now is an argument.

It keeps, for each that is on, when it is due next (heap.py). Who reads them and makes the ticks is clock.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchord.spi import (
    InstanceConfig,
    Instigator,
    InstigatorKey,
    InstigatorKind,
    NewTick,
    latest_times,
    next_times,
)
from orchord_beat.heap import DueHeap

logger = logging.getLogger(__name__)

# A tick that is no later than this is on time: it is no missed one that is made up for.
ON_TIME = timedelta(seconds=60)


@dataclass
class DueTicks:
    """Ticks to make, and up to which planned time each schedule and sensor then has them."""

    ticks: list[NewTick] = field(default_factory=list)
    planned_until: dict[InstigatorKey, datetime] = field(default_factory=dict)


@dataclass
class _Entry:
    """One that is on. ``planned_until``: the newest tick's planned time; ``times``: a schedule's times after it."""

    instigator: Instigator
    planned_until: datetime
    next_at: datetime
    times: Iterator[datetime] = iter(())


class Timetable:
    """When the schedules and sensors that are on are due.

    Args:
        config: The instance file: how many missed ticks are made up for, and time limits.
    """

    def __init__(self, config: InstanceConfig) -> None:
        self._config = config
        self._entries: dict[InstigatorKey, _Entry] = {}
        self._heap: DueHeap[InstigatorKey] = DueHeap()

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, instigators: Iterable[Instigator], now: datetime) -> dict[InstigatorKey, datetime]:
        """Take in all schedules and sensors as they are now; what did not change keeps its place.

        Returns:
            Where those begin that never had a tick, to be remembered: another daemon that takes over then knows what
            it missed.
        """
        on = {one.key: one for one in instigators if one.is_running and _is_by_the_clock(one)}
        for key in [key for key in self._entries if key not in on]:
            self.forget(key)
        changed = [one for one in on.values() if not self._knows(one)]
        fresh_sensors = [one for one in changed if one.interval_seconds is not None and not one.state.planned_until]
        begins: dict[InstigatorKey, datetime] = {}
        for number, one in enumerate(fresh_sensors):
            # Sensors that appear together are spread over their interval, and stay so: else all were due at once for
            # good. Few are evaluated at once.
            share = number / len(fresh_sensors) if len(fresh_sensors) > FEW_SENSORS else 0.0
            self._put(one, now, now + timedelta(seconds=_interval(one) * share))
        for one in changed:
            if one.interval_seconds is not None:
                if one.state.planned_until:
                    self._put(one, one.state.planned_until, _next_of_sensor(one.state.planned_until, one, now))
            else:
                begins |= self._begin_schedule(one, now)
        return begins

    def forget(self, key: InstigatorKey) -> None:
        """Take one out."""
        self._entries.pop(key, None)
        self._heap.remove(key)

    def clear(self) -> None:
        """Forget everything: it is to be read again."""
        self._entries.clear()
        self._heap = DueHeap()

    def next_at(self) -> datetime | None:
        """Return when the next tick is due; None when nothing is on."""
        return self._heap.next_at()

    def due(self, now: datetime) -> DueTicks:
        """Return the ticks that are due by now, and go on to the next ones of the same schedules and sensors."""
        found = DueTicks()
        for key in self._heap.pop_due(now):
            entry = self._entries[key]
            if entry.instigator.interval_seconds is None:
                try:
                    planned = self._due_of_schedule(entry, now)
                except (ValueError, ArithmeticError) as error:
                    # At a time that it cannot get past: the others of this moment must not be lost with it.
                    logger.error("Schedule '%s' of location '%s' stops: %s", key.name, key.location, error)
                    self.forget(key)
                    continue
                prefix, timespec = "", "seconds"
            else:
                planned = [entry.next_at]
                entry.planned_until = entry.next_at
                entry.next_at = _next_of_sensor(entry.planned_until, entry.instigator, now)
                prefix, timespec = "due:", "milliseconds"
            found.planned_until[key] = entry.planned_until
            found.ticks += [
                NewTick(
                    key,
                    f"{prefix}{at.astimezone(UTC).isoformat(timespec=timespec)}",
                    at,
                    entry.instigator.time_limit_seconds(self._config),
                    lane=entry.instigator.lane,
                )
                for at in planned
            ]
            if entry.next_at != NEVER:
                self._heap.put(key, entry.next_at)
        return found

    def _knows(self, one: Instigator) -> bool:
        entry = self._entries.get(one.key)
        return (
            entry is not None
            and entry.instigator.definition == one.definition
            and entry.instigator.state.status == one.state.status
            and entry.instigator.state.started_at == one.state.started_at
        )

    def _put(self, one: Instigator, planned_until: datetime, next_at: datetime) -> _Entry:
        entry = self._entries[one.key] = _Entry(one, planned_until, next_at)
        self._heap.put(one.key, next_at)
        return entry

    def _begin_schedule(self, one: Instigator, now: datetime) -> dict[InstigatorKey, datetime]:
        since = one.state.planned_until or one.state.started_at or now
        times = next_times(one.schedule.cron_schedule, one.schedule.execution_timezone, since)
        try:
            next_at = next(times, NEVER)
        except ValueError as error:
            # From a location whose croniter or time zone data are newer than ours.
            logger.error("Schedule '%s' of location '%s' cannot be read: %s", one.key.name, one.key.location, error)
            self.forget(one.key)
            return {}
        if next_at == NEVER:
            self.forget(one.key)
            return {}
        self._put(one, since, next_at).times = times
        return {} if one.state.planned_until else {one.key: since}

    def _due_of_schedule(self, entry: _Entry, now: datetime) -> list[datetime]:
        """Return the planned times up to now that get a tick, oldest first."""
        planned = [entry.next_at]
        following = next(entry.times, NEVER)
        if following <= now or entry.next_at < now - ON_TIME:
            planned = self._caught_up(entry, now)
            schedule = entry.instigator.schedule
            entry.times = next_times(schedule.cron_schedule, schedule.execution_timezone, now)
            following = next(entry.times, NEVER)
            entry.planned_until = now
        else:
            entry.planned_until = entry.next_at
        entry.next_at = following
        return planned

    def _caught_up(self, entry: _Entry, now: datetime) -> list[datetime]:
        """Return what is made up for of the ticks that nobody made in their time."""
        most = self._config.schedules.max_catchup_runs
        schedule = entry.instigator.schedule
        times, are_older = latest_times(
            schedule.cron_schedule, schedule.execution_timezone, entry.planned_until, now, max(most, 1)
        )
        kept = times if most else [time for time in times if time >= now - ON_TIME]
        if are_older or len(kept) < len(times):
            logger.warning(
                "Schedule '%s' of location '%s' missed ticks after %s: only the newest %s are made up for "
                "(schedules: max_catchup_runs)",
                entry.instigator.key.name,
                entry.instigator.key.location,
                entry.planned_until.isoformat(timespec="seconds"),
                len(kept),
            )
        return kept


NEVER = datetime.max.replace(tzinfo=UTC)
FEW_SENSORS = 8


def _is_by_the_clock(one: Instigator) -> bool:
    return one.key.kind is InstigatorKind.SCHEDULE or one.interval_seconds is not None


def _interval(one: Instigator) -> float:
    # An interval of 0 means as often as can be, which is not all the time.
    return max(one.interval_seconds or 0.0, SHORTEST_INTERVAL_SECONDS)


SHORTEST_INTERVAL_SECONDS = 1.0


def _next_of_sensor(planned: datetime, one: Instigator, now: datetime) -> datetime:
    """Return when a sensor is due after a planned time: a whole number of intervals later, so that nothing drifts.

    Of those that were missed only the newest is due: it is late by one at most.
    """
    interval = _interval(one)
    missed = max(0, int((now - planned).total_seconds() / interval) - 1)
    return planned + timedelta(seconds=interval * (missed + 1))
