"""Whether the process answers, and whether everything that a run needs can be reached.

These routes stand outside of /api/v1, where load balancers and probes look for them.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from importlib.metadata import version

from orchord.api.models.health import CheckBody, LivenessBody, ReadinessBody
from orchord.api.problems import RETRY_AFTER_SECONDS, ProblemError
from orchord.api.routing import Routes
from orchord.api.state import the_instance
from orchord.errors import BrokerUnavailableError, StorageUnavailableError

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
    """Tell whether runs can be started and carried out: database, broker, and a live worker for each location."""
    checks = [check_database(), check_broker()]
    if checks[0].is_ok:
        checks += check_workers()
    wrong = [f"{check.name}: {check.detail}" for check in checks if not check.is_ok]
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
        return CheckBody(name="database", is_ok=False, detail=str(error))
    return CheckBody(name="database", is_ok=True, detail="reachable")


def check_broker() -> CheckBody:
    """Ask the run launcher whether it can hand out work."""
    try:
        the_instance().run_launcher.check()
    except BrokerUnavailableError as error:
        return CheckBody(name="broker", is_ok=False, detail=str(error))
    return CheckBody(name="broker", is_ok=True, detail="reachable")


def workers_alive() -> Counter[str]:
    """Return how many workers of each location have reported themselves of late."""
    storage = the_instance().storage
    reported = storage.workers.alive(storage.clock() - WORKER_SILENCE)
    # A process that carries out a run of its own reports itself too, and consumes no queue.
    return Counter(worker.location for worker in reported if worker.queues)


def check_workers() -> list[CheckBody]:
    """Count the live workers of each code location."""
    alive = workers_alive()
    names = sorted({row.name for row in the_instance().storage.locations.all()} | set(alive))
    if not names:
        return [CheckBody(name="workers", is_ok=False, detail="no worker has published a code location yet")]
    return [
        CheckBody(
            name=f"workers of {name}",
            is_ok=alive[name] > 0,
            detail=f"{alive[name]} alive" if alive[name] else "none alive; start one with `orchord worker`",
        )
        for name in names
    ]
