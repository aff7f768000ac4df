"""Daemons: which are alive, which one leads, and what went wrong in them.

Whether one is there at all is also told by /readyz, in health.py.
"""

from __future__ import annotations

from orchord.api.models.daemons import DaemonBody, DaemonList
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.instance.daemons import known_daemons

routes = Routes("daemons", "The processes that make ticks, let queued runs go and mend what was lost.")


@routes.get("/daemons", {200: DaemonList})
def list_daemons() -> DaemonList:
    """List the daemons, the leader first; one that went without a word is listed until it is forgotten."""
    return DaemonList(
        items=[
            DaemonBody(
                daemon_id=known.row.daemon_id,
                hostname=known.row.hostname,
                pid=known.row.pid,
                started_at=known.row.started_at,
                last_seen_at=known.row.last_seen_at,
                is_alive=known.is_alive,
                is_leader=known.is_leader,
                errors=known.row.errors,
            )
            for known in known_daemons(the_instance().storage)
        ]
    )
