"""Schedules and sensors as the instance knows them: what the code says of each, joined with what is remembered of it.

Starting, stopping and evaluating them is instigating.py; when their ticks are due is the daemon's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from orchord.definitions.cron import next_times
from orchord.definitions.sensor_definition import DEFAULT_INTERVAL_SECONDS
from orchord.errors import ConflictError, LocationNotFoundError, NotFoundError, did_you_mean
from orchord.snapshot import LocationSnapshot, ScheduleSnapshot, SensorSnapshot
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorState, InstigatorStatus

if TYPE_CHECKING:
    from orchord.instance.config import InstanceConfig
    from orchord.storage import LocationRow, Storage

RUN_STATUS_KIND = "RUN_STATUS"


class Instigator(msgspec.Struct, frozen=True):
    """One schedule or sensor. ``definition`` is what its code says, ``state`` what changes of it."""

    key: InstigatorKey
    definition: ScheduleSnapshot | SensorSnapshot
    state: InstigatorState

    @property
    def status(self) -> InstigatorStatus:
        """Whether it is on: as somebody has set it, else as the code says."""
        return self.state.status or InstigatorStatus(self.definition.default_status)

    @property
    def is_running(self) -> bool:
        """Whether it is on."""
        return self.status is InstigatorStatus.RUNNING

    @property
    def schedule(self) -> ScheduleSnapshot:
        """What the code says, of a schedule."""
        assert isinstance(self.definition, ScheduleSnapshot)
        return self.definition

    @property
    def sensor(self) -> SensorSnapshot:
        """What the code says, of a sensor."""
        assert isinstance(self.definition, SensorSnapshot)
        return self.definition

    @property
    def lane(self) -> str | None:
        """The lane of its ticks: a sensor that keeps a cursor is evaluated once at a time."""
        if self.key.kind is InstigatorKind.SCHEDULE or self.sensor.kind == RUN_STATUS_KIND:
            return None
        return f"sensor:{self.key.name}"

    @property
    def interval_seconds(self) -> float | None:
        """The time between two ticks of a sensor; None for what is not evaluated by the clock at such a distance."""
        if self.key.kind is InstigatorKind.SCHEDULE or self.sensor.kind == RUN_STATUS_KIND:
            return None
        given = self.sensor.minimum_interval_seconds
        return float(DEFAULT_INTERVAL_SECONDS if given is None else given)

    def time_limit_seconds(self, config: InstanceConfig) -> float:
        """Return how long one evaluation may take: as the code says, else as the instance file does."""
        if self.definition.timeout_seconds is not None:
            return self.definition.timeout_seconds
        section = config.schedules if self.key.kind is InstigatorKind.SCHEDULE else config.sensors
        return float(section.timeout_seconds)

    def next_ticks(self, count: int, after: datetime) -> list[datetime]:
        """Return the planned times of a schedule's next ticks after a moment, whether it is on or not; aware, in UTC.

        They may be fewer than ``count``: not every cron string goes on for ever.
        """
        schedule = self.schedule
        return list(islice(next_times(schedule.cron_schedule, schedule.execution_timezone, after), count))


def instigators(storage: Storage, kind: InstigatorKind, location: str | None = None) -> list[Instigator]:
    """Return the schedules or the sensors of one code location, or of all, by location and name.

    Raises:
        LocationNotFoundError: no code location has this name.
    """
    states = storage.instigators.states(location)
    found = [
        _joined(snapshot.name, kind, definition, states)
        for snapshot in _snapshots(storage.locations.all(), location)
        for definition in _definitions(snapshot, kind)
    ]
    return sorted(found, key=lambda item: item.key)


def find_instigator(storage: Storage, kind: InstigatorKind, name: str, location: str | None = None) -> Instigator:
    """Return one schedule or sensor.

    Raises:
        LocationNotFoundError: no code location has this name.
        NotFoundError: there is no such schedule or sensor; the nearest name is told.
        ConflictError: several locations have one of this name, and none is named.
    """
    known = [
        (snapshot.name, definition)
        for snapshot in _snapshots(storage.locations.all(), location)
        for definition in _definitions(snapshot, kind)
    ]
    found = [(place, definition) for place, definition in known if definition.name == name]
    word = kind.value.lower()
    if len(found) > 1:
        places = ", ".join(place for place, _ in found)
        raise ConflictError(f"Several locations have a {word} '{name}': {places}. Name the location too.")
    if not found:
        where = f" in location '{location}'" if location is not None else ""
        hint = did_you_mean(name, (definition.name for _, definition in known))
        raise NotFoundError(f"No {word} is called '{name}'{where}.{hint}")
    place, definition = found[0]
    key = InstigatorKey(place, kind, name)
    return Instigator(key, definition, storage.instigators.state(key))


def _snapshots(rows: Iterable[LocationRow], location: str | None) -> Iterator[LocationSnapshot]:
    listed = list(rows)
    if location is not None and all(row.name != location for row in listed):
        hint = did_you_mean(location, (row.name for row in listed))
        raise LocationNotFoundError(f"No code location is called '{location}'.{hint}")
    for row in listed:
        if row.snapshot is not None and location in (None, row.name):
            yield row.snapshot


def _definitions(snapshot: LocationSnapshot, kind: InstigatorKind) -> Iterable[ScheduleSnapshot | SensorSnapshot]:
    return snapshot.schedules if kind is InstigatorKind.SCHEDULE else snapshot.sensors


def _joined(
    location: str,
    kind: InstigatorKind,
    definition: ScheduleSnapshot | SensorSnapshot,
    states: dict[InstigatorKey, InstigatorState],
) -> Instigator:
    key = InstigatorKey(location, kind, definition.name)
    return Instigator(key, definition, states.get(key) or InstigatorState(key))
