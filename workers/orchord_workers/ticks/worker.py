"""A tick worker from start to stop: a Celery worker on a location's queue of ticks, whose pool grows when it is busy.

Who starts it is template.py, or ``orchord worker --only ticks``. What a task does is runner.py.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from functools import cached_property
from typing import Any

from celery import Celery, Task, signals
from celery.platforms import SecurityWarning

from orchord.spi import TICKS_TASK, CodeLocation, Heartbeat, OrchordInstance, Settings, ticks_queue
from orchord_workers.app import make_app
from orchord_workers.process import new_worker_id
from orchord_workers.tasks import requeued_when_storage_is_away
from orchord_workers.ticks.lost import TicksRequest
from orchord_workers.ticks.marks import Marks
from orchord_workers.ticks.room import RoomForOthers
from orchord_workers.ticks.runner import TickRunner

logger = logging.getLogger(__name__)

LEAST_PROCESSES = 2
# A sensor that hangs holds a process until its time limit; the others go on in further ones.
MOST_PROCESSES = 32


class TickProcess:
    """What the tasks of one process share: made in the parent, opened again in every pool child."""

    def __init__(self, app: Celery, settings: Settings, code: CodeLocation) -> None:
        self.app = app
        self.settings = settings
        self.code = code
        self.worker_id = f"{new_worker_id()}-ticks"
        self.marks = Marks()

    @cached_property
    def runner(self) -> TickRunner:
        """The runner of this process."""
        instance = OrchordInstance.from_home(self.settings, tells=False)
        return TickRunner(instance, self.code, self.worker_id, os.getpid(), self.marks)

    def open(self) -> None:
        """Make ready what the first task would otherwise wait for."""
        _ = self.runner

    def close(self) -> None:
        """Give connections back."""
        runner = self.__dict__.pop("runner", None)
        if runner is not None:
            runner.instance.dispose()


class TicksTask(Task):  # type: ignore[misc]  # celery has no types
    """A task whose ticks are fenced in storage, and whose loss is reported.

    Attributes:
        marks: which tick each process is at.
    """

    marks: Marks
    Request = f"{TicksRequest.__module__}:{TicksRequest.__name__}"


def register_ticks(process: TickProcess) -> None:
    """Register the task on the process's app."""

    @process.app.task(name=TICKS_TASK, base=TicksTask, marks=process.marks)  # type: ignore[untyped-decorator]
    def ticks(
        tick_ids: list[int],
        lane: str | None = None,
        lost_worker_id: str | None = None,
        lost_process_id: int = 0,
        lost_at_tick: int | None = None,
    ) -> None:
        with requeued_when_storage_is_away():
            if lost_worker_id is not None:
                process.runner.process_lost(lost_worker_id, lost_process_id, lost_at_tick)
            process.runner.run(tick_ids, lane)


def run_tick_worker(
    settings: Settings, code: CodeLocation, *, log_level: str = "INFO", parent_id: int | None = None
) -> None:
    """Run a tick worker for one code location; return when it was asked to stop.

    Args:
        settings: Where the instance lives.
        code: The location's code, loaded.
        log_level: The least level that is logged.
        parent_id: Stop when this process is no longer the parent.
    """
    # Who began this process has told already what of the instance file changes nothing.
    instance = OrchordInstance.from_home(settings, tells=False)
    app = make_app(instance.config.celery, location=code.name)
    app.conf.task_default_queue = ticks_queue(code.name)
    app.conf.worker_autoscaler = f"{RoomForOthers.__module__}:{RoomForOthers.__name__}"
    process = TickProcess(app, settings, code)
    app.conf.orchord_worker_id = process.worker_id
    register_ticks(process)
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Two lines for each of thousands of ticks that found nothing; what comes of the others is logged by the runner.
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    least = instance.config.tick_workers or LEAST_PROCESSES
    worker = app.Worker(
        hostname=f"ticks.{code.name}@{process.worker_id}",
        autoscale=f"{max(least, MOST_PROCESSES)},{least}",
        queues=[ticks_queue(code.name)],
        loglevel=log_level,
        pool="prefork",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )

    def on_beat() -> None:
        if parent_id is not None and os.getppid() != parent_id:
            logger.error("The process that forked this tick worker has ended: it stops too")
            os.kill(os.getpid(), signal.SIGTERM)

    heartbeat = Heartbeat(instance.storage, process.worker_id, code.name, (ticks_queue(code.name),), on_beat)
    _connect_signals(process, heartbeat)
    # No connection may be open while the pool forks.
    instance.storage.dispose()
    worker.start()
    instance.dispose()
    if worker.exitcode:
        sys.exit(worker.exitcode)


def _connect_signals(process: TickProcess, heartbeat: Heartbeat) -> None:
    """Tie the process's life to Celery's signals. Weak references would be collected: these are closures."""

    def opened_in_child(**_: Any) -> None:
        process.open()

    def closed_in_child(**_: Any) -> None:
        process.close()

    def ready(**_: Any) -> None:
        heartbeat.start()
        logger.info("Tick worker %s is ready", process.worker_id)

    def stopped(**_: Any) -> None:
        heartbeat.stop()

    signals.worker_process_init.connect(opened_in_child, weak=False)
    signals.worker_process_shutdown.connect(closed_in_child, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutdown.connect(stopped, weak=False)
