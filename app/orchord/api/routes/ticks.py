"""Ticks of all schedules and sensors together, and one of them by its id.

Those of one schedule or sensor are listed beside it, in schedules.py and sensors.py.
"""

from __future__ import annotations

from orchord.api.models.ticks import TickBody, TickListQuery, TickPage, TickPath
from orchord.api.routes.instigation import tick_page
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.errors import NotFoundError

routes = Routes("ticks", "Each evaluation of a schedule or sensor, with the runs that it made.")


@routes.get("/ticks", {200: TickPage})
def list_ticks(query: TickListQuery) -> TickPage:
    """List the ticks of all schedules and sensors, the newest first, by pages."""
    return tick_page(query)


@routes.get("/ticks/<tick_id>", {200: TickBody})
def read_tick(path: TickPath) -> TickBody:
    """Read one tick."""
    tick = the_instance().storage.ticks.find(path.tick_id)
    if tick is None:
        raise NotFoundError(f"No tick has the id {path.tick_id}. Old ticks are removed after a time.")
    return TickBody.of(tick)
