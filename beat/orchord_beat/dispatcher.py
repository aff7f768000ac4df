"""The dispatcher: tells run status sensors, run retries and the run queue which statuses runs have come to.

Changes are written in the transaction that brings a run there (storage), and taken away here when everybody was told:
none is lost, whoever dies. What a sensor does with one is the tick workers'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchord.spi import (
    InstanceConfig,
    Instigator,
    InstigatorKind,
    NewTick,
    OrchordInstance,
    Run,
    RunChange,
    RunFilter,
    instigators,
    utc_now,
)
from orchord_beat.clock import send_ticks

logger = logging.getLogger(__name__)

CHANGES_AT_ONCE = 500


@dataclass
class Dispatcher:
    """Tells of changes, oldest first.

    Attributes:
        instance: Where they are.
        hearers: Are called with each batch before it is taken away: a batch may be told again, never not at all.
    """

    instance: OrchordInstance
    hearers: Sequence[Callable[[Sequence[RunChange]], object]] = ()
    _stamp: tuple[object, ...] | None = None
    _sensors: list[Instigator] = field(default_factory=list)

    def dispatch(self) -> float | None:
        """Tell of what there is, at most a batch. Returns 0.0 when there may be more at once."""
        changes = self.instance.storage.changes.page(CHANGES_AT_ONCE)
        if not changes:
            return None
        for hear in self.hearers:
            hear(changes)
        ticks = self._ticks(changes)
        made = self.instance.storage.changes.settle([change.id for change in changes], ticks)
        send_ticks(self.instance, made, utc_now())
        return 0.0 if len(changes) == CHANGES_AT_ONCE else None

    def _ticks(self, changes: Sequence[RunChange]) -> list[NewTick]:
        sensors = self._sensors_on()
        heard_of = {sensor.sensor.run_status for sensor in sensors}
        wanted = [change for change in changes if change.status.value in heard_of]
        if not wanted:
            return []
        some = RunFilter(run_ids={change.run_id for change in wanted})
        runs = {run.run_id: run for run in self.instance.storage.runs.page(some, limit=len(wanted))}
        return list(ticks_of(sensors, wanted, runs, self.instance.config))

    def _sensors_on(self) -> list[Instigator]:
        storage = self.instance.storage
        stamp = storage.instigators.stamp()
        if stamp != self._stamp:
            sensors = instigators(storage, InstigatorKind.SENSOR)
            self._sensors = [one for one in sensors if one.is_running and one.sensor.run_status is not None]
            self._stamp = stamp
        return self._sensors


def ticks_of(
    sensors: Iterable[Instigator], changes: Iterable[RunChange], runs: Mapping[str, Run], config: InstanceConfig
) -> Iterator[NewTick]:
    """Yield a tick for each sensor and each change that it waits for; of runs that were deleted there are none."""
    listening = list(sensors)
    for change in changes:
        run = runs.get(change.run_id)
        for one in listening:
            if run is not None and _is_meant(one, change, run):
                yield NewTick(
                    one.key,
                    f"run:{change.run_id}:{change.status.value}",
                    change.at,
                    one.time_limit_seconds(config),
                    payload={"run_id": change.run_id, "status": change.status.value},
                )


def _is_meant(one: Instigator, change: RunChange, run: Run) -> bool:
    sensor = one.sensor
    if sensor.run_status != change.status.value:
        return False
    if one.state.started_at is not None and change.at < one.state.started_at:
        # It was off when this happened.
        return False
    if not sensor.monitor_all_code_locations and run.location != one.key.location:
        return False
    return not sensor.monitored_jobs or run.job_name in sensor.monitored_jobs
