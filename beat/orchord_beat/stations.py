"""Who has to be there for a run to go on: the workers of its location, or launcher workers of a platform.

A station is a location's name, or the name of a queue of launches. What is sent where is orchord_workers.routing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from orchord.spi import (
    ExecutionPlan,
    NotFoundError,
    Place,
    Run,
    WorkerRow,
    launches_queue,
    place_of,
    runs_as_unit,
)

Stations = frozenset[str]
CACHED = 1024
_LAUNCHES = launches_queue("")


def manned(workers: Iterable[WorkerRow]) -> set[str]:
    """Return the stations that living workers serve."""
    found: set[str] = set()
    for worker in workers:
        if worker.takes_steps:
            found.add(worker.location)
        found.update(queue for queue in worker.queues if is_launches(queue))
    return found


def stations_of(run: Run, plan: ExecutionPlan) -> Stations:
    """Return the stations that a run's steps go to."""
    if runs_as_unit(run.executor):
        return frozenset({_station(run, Place(run.unit_place))})
    return frozenset({_station(run, place_of(run.executor, step)) for step in plan.steps}) or frozenset({run.location})


def is_launches(station: str) -> bool:
    """Whether a station is that of launcher workers."""
    return station.startswith(_LAUNCHES)


def is_served(stations: Stations, served: set[str]) -> bool:
    """Whether somebody is there who can bring a run on."""
    return not stations.isdisjoint(served)


class StationMap:
    """Remembers the stations of runs: those of one job and executor have the same.

    Args:
        plan_of: returns a run's plan.
    """

    def __init__(self, plan_of: Callable[[Run], ExecutionPlan]) -> None:
        self._plan_of = plan_of
        self._known: OrderedDict[tuple[object, ...], Stations] = OrderedDict()

    def of(self, run: Run) -> Stations:
        """Return the stations of a run. One whose plan is not there goes to its location, as far as can be known."""
        key = (run.job_snapshot_id, run.step_keys, run.executor, run.unit_place, run.location)
        found = self._known.get(key)
        if found is None:
            try:
                found = stations_of(run, self._plan_of(run))
            except NotFoundError:
                return frozenset({run.location})
            self._known[key] = found
            if len(self._known) > CACHED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found


def _station(run: Run, place: Place) -> str:
    return launches_queue(place) if place.is_container else run.location
