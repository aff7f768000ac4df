"""A launcher worker from start to stop: a Celery worker of few threads on the queues of what is to be launched.

What its tasks do is starter.py; who watches what they started is watchman.py.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery, signals
from celery.platforms import SecurityWarning

from orchord.spi import Heartbeat, OrchordError, OrchordInstance, Place, Settings, launches_queue
from orchord_workers.app import make_app
from orchord_workers.canvas import Canvas
from orchord_workers.containers.platform import Platform, PlatformError
from orchord_workers.contexts import RunContexts
from orchord_workers.endings import publish_end
from orchord_workers.launching.platforms import make_platform, places_of
from orchord_workers.launching.resync import Resync
from orchord_workers.launching.starter import Started, Starter
from orchord_workers.launching.tasks import PerThread, register_launch_tasks
from orchord_workers.launching.watchman import Watchman
from orchord_workers.mending import Mender
from orchord_workers.process import new_worker_id
from orchord_workers.step_runner import Holder, StepRunner

logger = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 4


def run_launcher_worker(
    settings: Settings,
    *,
    places: Sequence[str] = (),
    concurrency: int | None = None,
    log_level: str = "INFO",
) -> None:
    """Run a launcher worker; return when it was asked to stop. Containers go on without it.

    Args:
        settings: Where the instance lives.
        places: Platforms to start containers at: docker, k8s, ecs; empty: those of the instance's run launchers.
        concurrency: How many containers are being started at once. A container that runs occupies nobody.
        log_level: The least level that is logged.

    Raises:
        OrchordError: a platform cannot be spoken to as it is configured.
    """
    instance = OrchordInstance.from_home(settings)
    chosen = tuple(Place(name) for name in places) or places_of(instance)
    try:
        platforms = {place: make_platform(instance, place) for place in chosen}
    except PlatformError as error:
        raise OrchordError(f"The launcher worker cannot start: {error}") from error
    app = make_app(instance.config.celery)
    worker_id = new_worker_id()
    started = Started()
    watchmen = {
        place: Watchman(instance, place, platform, Mender(_runner(instance, app, worker_id)))
        for place, platform in platforms.items()
    }
    resyncs = [Resync(instance, watchman, worker_id, started) for watchman in watchmen.values()]
    starters = PerThread(lambda: Starter(instance, app, worker_id, platforms, started))
    register_launch_tasks(app, starters, watchmen)
    app.conf.orchord_worker_id = worker_id
    app.conf.orchord_interrupts = Interruption(watchmen)
    warnings.filterwarnings("ignore", category=SecurityWarning)
    queues = tuple(launches_queue(place) for place in chosen)
    worker = app.Worker(
        hostname=f"launcher@{worker_id}",
        concurrency=concurrency or DEFAULT_CONCURRENCY,
        queues=list(queues),
        loglevel=log_level,
        pool="threads",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )

    def on_beat() -> None:
        for resync in resyncs:
            resync.look_if_due()

    _connect_signals(Heartbeat(instance.storage, worker_id, "", queues, on_beat), watchmen, worker_id)
    try:
        worker.start()
    finally:
        _stop(watchmen, platforms)
    instance.dispose()
    if worker.exitcode:
        sys.exit(worker.exitcode)


class Interruption:
    """What a launcher worker does when it hears that a run is to stop (orchord_workers.interrupts)."""

    def __init__(self, watchmen: Mapping[Place, Watchman]) -> None:
        self._watchmen = watchmen

    def interrupt_run(self, run_id: str) -> int:
        """Ask all containers of a run to stop. Returns how many there are."""
        return sum(watchman.interrupt_run(run_id) for watchman in self._watchmen.values())


def _runner(instance: OrchordInstance, app: Celery, worker_id: str) -> StepRunner:
    """Make what a mender stands on: without user code, for the thread that acts."""
    return StepRunner(
        instance,
        Canvas(app),
        RunContexts(instance, None),
        holder=Holder(worker_id, 0),
        notify_end=lambda run_id, status: publish_end(app, run_id, status),
    )


def _connect_signals(heartbeat: Heartbeat, watchmen: Mapping[Place, Watchman], worker_id: str) -> None:
    """Tie the watch to Celery's signals. Weak references would be collected: these are closures."""

    def ready(**_: Any) -> None:
        heartbeat.start()
        for watchman in watchmen.values():
            watchman.start()
        logger.info("Launcher worker %s is ready for %s", worker_id, ", ".join(watchmen))

    def stopping(**_: Any) -> None:
        heartbeat.retire()

    def stopped(**_: Any) -> None:
        heartbeat.stop()

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.worker_shutdown.connect(stopped, weak=False)


def _stop(watchmen: Mapping[Place, Watchman], platforms: Mapping[Place, Platform]) -> None:
    for watchman in watchmen.values():
        watchman.stop()
    for platform in platforms.values():
        platform.close()
