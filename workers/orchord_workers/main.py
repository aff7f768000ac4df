"""A worker from start to stop: load user code, publish its snapshot, consume its location's queues.

What a task does is tasks.py and step_runner.py; what pool children share is process.py.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.sharedctypes import Value
from typing import Any

from billiard.process import current_process
from celery import signals
from celery.platforms import SecurityWarning

from orchord.spi import (
    PLAIN_QUEUE,
    CodeLocation,
    CodeLocationLoadError,
    ErrorInfo,
    Heartbeat,
    LocationTarget,
    OrchordInstance,
    Settings,
    Shipper,
    end_process_of_stuck_steps,
    load_location,
    log_shipper,
    step_template,
    steps_queue,
)
from orchord_workers.app import make_app
from orchord_workers.interrupts import INTERRUPT_SIGNAL
from orchord_workers.lost import LostChildren, when_idle
from orchord_workers.orphans import OrphanReports
from orchord_workers.process import WorkerProcess
from orchord_workers.stopping import GRACE_SECONDS, Stopper
from orchord_workers.tasks import register_tasks
from orchord_workers.ticks.template import TickFleet, tick_fleet
from orchord_workers.ticks.worker import run_tick_worker

logger = logging.getLogger(__name__)


def run_worker(
    settings: Settings,
    target: LocationTarget,
    *,
    concurrency: int | None = None,
    log_level: str = "INFO",
    only: str | None = None,
    queues: Sequence[str] = (),
) -> None:
    """Run a worker fleet for one code location; return when it was asked to stop.

    Args:
        settings: Where the instance lives.
        target: The user code to load and serve.
        concurrency: How many steps run at once (default: the instance's ``celery: worker_concurrency``).
        log_level: The least level that is logged.
        only: ``steps`` or ``ticks``; None: both, ticks in a process of their own.
        queues: Names of the queues to take steps from; empty: the location's plain one, and those of the instance's
            ``celery: queues``. A worker without the plain queue evaluates no ticks.

    Raises:
        CodeLocationLoadError: the user code cannot be imported. The location shows the error.
    """
    instance = OrchordInstance.from_home(settings)
    code = _loaded(instance, target)
    if only == "ticks":
        instance.dispose()
        run_tick_worker(settings, code, log_level=log_level)
        return
    names = queues or (PLAIN_QUEUE, *instance.config.celery.queues)
    fleet = tick_fleet(settings, code, log_level) if only is None and PLAIN_QUEUE in names else None
    # No connection may be open while the fleet and the pool fork.
    instance.storage.dispose()
    if fleet is not None:
        fleet.start()
    template = step_template(settings, code)
    consumed = tuple(dict.fromkeys(steps_queue(code.name, name) for name in names))
    watched = Value("b", 0, lock=False)
    process = _process(instance, settings, code, consumed[0], lambda: bool(watched.value))
    process.template = template
    worker = process.app.Worker(
        hostname=f"{code.name}@{process.worker_id}",
        concurrency=concurrency or instance.config.celery.worker_concurrency or 2,
        queues=list(consumed),
        loglevel=log_level,
        pool="prefork",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    on_beat = _on_beat(instance, process, worker, watched, fleet)
    heartbeat = Heartbeat(instance.storage, process.worker_id, code.name, consumed, on_beat)
    _connect_signals(process, heartbeat, log_shipper(instance, process.worker_id))
    try:
        worker.start()
    finally:
        if fleet is not None:
            fleet.stop()
        if template is not None:
            template.close()
    instance.dispose()
    if worker.exitcode:
        sys.exit(worker.exitcode)


def _loaded(instance: OrchordInstance, target: LocationTarget) -> CodeLocation:
    """Load the user's code, and publish what it is or why it cannot be had."""
    try:
        code = load_location(target)
    except CodeLocationLoadError as error:
        instance.storage.locations.put_error(
            target.location_name, ErrorInfo("CodeLocationLoadError", str(error), error.user_traceback)
        )
        instance.dispose()
        raise
    instance.storage.locations.put(code.snapshot)
    return code


def _process(
    instance: OrchordInstance, settings: Settings, code: CodeLocation, own_queue: str, is_watched: Callable[[], bool]
) -> WorkerProcess:
    """Make what the parent and its pool children share, and the Celery app with its tasks.

    Args:
        instance: The parent's instance.
        settings: Where the instance lives.
        code: The location's code.
        own_queue: Where the worker reports its own dead children: a queue that it takes from itself.
        is_watched: Whether somebody follows the worker's task events.
    """
    app = make_app(instance.config.celery, location=code.name)
    app.conf.task_default_queue = own_queue
    process = WorkerProcess(app, settings, code, is_watched=is_watched)
    app.conf.orchord_worker_id = process.worker_id
    app.conf.orchord_interrupts = process.interrupts
    app.conf.orchord_lost_children = LostChildren(instance, app, process.worker_id, process.interrupts.board)
    register_tasks(process)
    # Celery warns root of pickled messages, which are code; ours are JSON alone.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    return process


def _on_beat(
    instance: OrchordInstance, process: WorkerProcess, worker: Any, watched: Any, fleet: TickFleet | None
) -> Callable[[], None]:
    """Return what the parent looks after with each heartbeat: watchers, work that must stop, orphans, ticks."""
    lost: LostChildren = process.app.conf.orchord_lost_children

    def attend_to(process_id: int, run_id: str) -> None:
        when_idle(worker, lambda: lost.attend(process_id, run_id))

    orphans = OrphanReports(instance, process.worker_id, lambda: pool_children(worker), attend_to)
    longest_grace = instance.config.run_monitoring.cancel_timeout_seconds or GRACE_SECONDS
    stopper = Stopper(instance, process.interrupts, process.worker_id, min(GRACE_SECONDS, longest_grace))

    def on_beat() -> None:
        watched.value = has_watchers(worker)
        stopper.look()
        orphans.look()
        if fleet is not None and fleet.has_died():
            logger.error("The process that keeps the tick worker has died: this worker stops, to be started again")
            os.kill(os.getpid(), signal.SIGTERM)

    return on_beat


def _connect_signals(process: WorkerProcess, heartbeat: Heartbeat, shipper: Shipper | None) -> None:
    """Tie the process's life to Celery's signals. Weak references would be collected: these are closures."""

    def opened_in_child(**_: Any) -> None:
        signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)
        end_process_of_stuck_steps()
        process.interrupts.board.take_place(current_process().index)
        process.open()

    def closed_in_child(**_: Any) -> None:
        process.close()

    def ready(**_: Any) -> None:
        heartbeat.start()
        if shipper is not None:
            shipper.start()
        logger.info("Worker %s is ready", process.worker_id)

    def stopping(**_: Any) -> None:
        # Written by the next beat. What is killed from now on was not killed by its step (the monitor).
        heartbeat.retire()

    def stopped(**_: Any) -> None:
        if shipper is not None:
            shipper.stop()
        heartbeat.stop()

    signals.worker_process_init.connect(opened_in_child, weak=False)
    signals.worker_process_shutdown.connect(closed_in_child, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.worker_shutdown.connect(stopped, weak=False)


def pool_children(worker: Any) -> set[int]:
    """Return the process ids of a worker's living pool children."""
    pool = worker.consumer.pool if worker.consumer is not None else None
    return {process.pid for process in pool._pool._pool if process.is_alive()} if pool is not None else set()


def has_watchers(worker: Any) -> bool:
    """Return whether somebody follows the worker's task events.

    Flower turns them on when it starts: then every step travels as a task of its own, to be seen.
    """
    dispatcher = worker.consumer.event_dispatcher if worker.consumer is not None else None
    if dispatcher is None or not dispatcher.enabled:
        return False
    # Without any group every event is sent; Celery itself asks for the group "worker" alone.
    return not dispatcher.groups or "task" in dispatcher.groups
