"""Schedules: listing, reading, turning on and off, looking ahead, trying out, and their ticks.

Sensors are routes/sensors.py; how any of this is done is orchord.instance.instigating.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from orchord.api.models.instigators import (
    PlaceQuery,
    PreviewBody,
    PreviewQuery,
    ScheduleBody,
    ScheduleDetailBody,
    ScheduleDryRunBody,
    ScheduleList,
    SchedulePath,
)
from orchord.api.models.jobs import LocationQuery
from orchord.api.models.ticks import DryRunBody, TickPage, TickPageQuery
from orchord.api.routes.instigation import dry_run, last_ticks, tick_page
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.events import utc_now
from orchord.instance.instigators import Instigator
from orchord.ticks import InstigatorKind

SHOWN_NEXT = 5
SCHEDULE = InstigatorKind.SCHEDULE

routes = Routes("schedules", "Jobs that start by the clock.")


@routes.get("/schedules", {200: ScheduleList}, problems=(404,))
def list_schedules(query: LocationQuery) -> ScheduleList:
    """List the schedules of one code location, or of all."""
    now = utc_now()
    return ScheduleList(
        items=[
            ScheduleBody.of(found, next(iter(_ahead(found, 1, now)), None) if found.is_running else None)
            for found in the_instance().schedules(query.location)
        ]
    )


@routes.get("/schedules/<schedule>", {200: ScheduleDetailBody}, problems=(409,))
def read_schedule(path: SchedulePath, query: PlaceQuery) -> ScheduleDetailBody:
    """Read one schedule: whether it is on, the times of its next ticks, and its last ticks."""
    return _detailed(the_instance().instigator(SCHEDULE, path.schedule, query.location))


@routes.post("/schedules/<schedule>/start", {200: ScheduleDetailBody}, problems=(409,))
def start_schedule(path: SchedulePath, query: PlaceQuery) -> ScheduleDetailBody:
    """Turn a schedule on. Its ticks begin now: none is made up for from the time when it was off."""
    return _detailed(the_instance().start_instigator(SCHEDULE, path.schedule, query.location))


@routes.post("/schedules/<schedule>/stop", {200: ScheduleDetailBody}, problems=(409,))
def stop_schedule(path: SchedulePath, query: PlaceQuery) -> ScheduleDetailBody:
    """Turn a schedule off. Runs that it has started go on."""
    return _detailed(the_instance().stop_instigator(SCHEDULE, path.schedule, query.location))


@routes.post("/schedules/<schedule>/reset", {200: ScheduleDetailBody}, problems=(409,))
def reset_schedule(path: SchedulePath, query: PlaceQuery) -> ScheduleDetailBody:
    """Forget that a schedule was started or stopped: what its code says holds again."""
    return _detailed(the_instance().reset_instigator(SCHEDULE, path.schedule, query.location))


@routes.post("/schedules/<schedule>/dry-run", {200: DryRunBody}, problems=(409,))
def dry_run_schedule(path: SchedulePath, query: PlaceQuery, body: ScheduleDryRunBody) -> DryRunBody:
    """Evaluate a schedule on a worker and answer which runs it asks for; none is started.

    An evaluation that fails is an answer too: read `status` and `error`.
    """
    return dry_run(SCHEDULE, path.schedule, query.location, at=body.at)


@routes.get("/schedules/<schedule>/preview", {200: PreviewBody}, problems=(409,))
def preview_schedule(path: SchedulePath, query: PreviewQuery) -> PreviewBody:
    """Read the times of a schedule's next ticks, whether it is on or not."""
    found = the_instance().instigator(SCHEDULE, path.schedule, query.location)
    return PreviewBody(
        schedule=found.key.name,
        location=found.key.location,
        execution_timezone=found.schedule.execution_timezone,
        items=_ahead(found, query.count, query.after or utc_now()),
    )


@routes.get("/schedules/<schedule>/ticks", {200: TickPage}, problems=(409,))
def list_schedule_ticks(path: SchedulePath, query: TickPageQuery) -> TickPage:
    """List the ticks of a schedule, the newest first, by pages."""
    return tick_page(query, the_instance().instigator(SCHEDULE, path.schedule, query.location).key)


def _detailed(found: Instigator) -> ScheduleDetailBody:
    return ScheduleDetailBody.detailed(found, _ahead(found, SHOWN_NEXT, utc_now()), last_ticks(found.key))


def _ahead(found: Instigator, count: int, after: datetime) -> list[datetime]:
    zone = ZoneInfo(found.schedule.execution_timezone)
    return [time.astimezone(zone) for time in found.next_ticks(count, after)]
