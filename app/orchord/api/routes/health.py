"""Whether the process answers, and whether everything that a run needs can be reached.

These routes stand outside of /api/v1, where load balancers and probes look for them.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from importlib.metadata import version
from typing import Literal

from orchord.api.models.health import CheckBody, LivenessBody, ReadinessBody
from orchord.api.problems import RETRY_AFTER_SECONDS, ProblemError
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.errors import BrokerUnavailableError, StorageUnavailableError
from orchord.instance.daemons import daemons_in_words, known_daemons
from orchord.storage import WorkerRow

#: A worker that has not reported itself for so long does not count.
WORKER_SILENCE = timedelta(seconds=30)

_VERSION = version("orchord")

routes = Routes("health", "Whether the server, and everything behind it, works.", prefix=None)


@routes.get("/livez", {200: LivenessBody})
def live() -> LivenessBody:
    """Tell that this process answers. Asks nothing of the database or the broker."""
    return LivenessBody(status="alive", version=_VERSION)


@routes.get("/readyz", {200: ReadinessBody})
def ready() -> ReadinessBody:
    """Tell whether runs can be started and carried out: database, broker, and a live worker for each location.

    Without a daemon, or without who evaluates schedules and sensors, the server is ready all the same, as runs that are
    launched need neither; a check says so.
    """
    checks = [check_database(), check_broker()]
    if checks[0].is_ok:
        checks += [*check_workers(), *check_tick_workers(), check_daemons()]
    wrong = [f"{check.name}: {check.detail}" for check in checks if check.status == "failed"]
    if wrong:
        raise ProblemError(
            503,
            "not-ready",
            f"Not ready: {len(wrong)} of {len(checks)} checks failed.",
            wrong,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            extras={"checks": [check.model_dump() for check in checks]},
        )
    return ReadinessBody(status="ready", checks=checks)


def check_database() -> CheckBody:
    """Ask the database for a sign of life."""
    try:
        the_instance().storage.ping()
    except StorageUnavailableError as error:
        return checked("database", str(error), is_ok=False)
    return checked("database", "reachable")


def check_broker() -> CheckBody:
    """Ask the run launcher whether it can hand out work."""
    try:
        the_instance().run_launcher.check()
    except BrokerUnavailableError as error:
        return checked("broker", str(error), is_ok=False)
    return checked("broker", "reachable")


def workers_alive() -> Counter[str]:
    """Return how many workers of each location have reported themselves of late."""
    # Tick workers report themselves too, and processes that carry out a run of their own.
    return Counter(worker.location for worker in _reported() if worker.takes_steps)


def _reported() -> list[WorkerRow]:
    storage = the_instance().storage
    return storage.workers.alive(storage.clock() - WORKER_SILENCE)


def check_workers() -> list[CheckBody]:
    """Count the live workers of each code location."""
    alive = workers_alive()
    names = sorted({row.name for row in the_instance().storage.locations.all()} | set(alive))
    if not names:
        return [checked("workers", "no worker has published a code location yet", is_ok=False)]
    return [
        checked(
            f"workers of {name}",
            f"{alive[name]} alive" if alive[name] else "none alive; start one with `orchord worker`",
            is_ok=alive[name] > 0,
        )
        for name in names
    ]


def check_tick_workers() -> list[CheckBody]:
    """Look, for each code location that has schedules or sensors, for who evaluates them."""
    alive = Counter(worker.location for worker in _reported() if worker.takes_ticks)
    snapshots = [row.snapshot for row in the_instance().storage.locations.all() if row.snapshot is not None]
    return [
        checked(
            f"tick workers of {snapshot.name}",
            f"{alive[snapshot.name]} alive" if alive[snapshot.name] else "none alive; `orchord worker` starts one",
            is_ok=alive[snapshot.name] > 0,
            otherwise="warning",
        )
        for snapshot in snapshots
        if snapshot.schedules or snapshot.sensors
    ]


def check_daemons() -> CheckBody:
    """Count the live daemons: without one, no schedule or sensor is evaluated, and nothing that was lost is mended."""
    known = known_daemons(the_instance().storage)
    is_well = any(daemon.is_leader for daemon in known) and not any(
        daemon.row.errors for daemon in known if daemon.is_alive
    )
    return checked("daemons", daemons_in_words(known), is_ok=is_well, otherwise="warning")


def checked(
    name: str, detail: str, *, is_ok: bool = True, otherwise: Literal["warning", "failed"] = "failed"
) -> CheckBody:
    """Return one check; ``otherwise`` says how bad it is when it is not ok."""
    return CheckBody(name=name, is_ok=is_ok, status="ok" if is_ok else otherwise, detail=detail)
