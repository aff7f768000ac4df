"""The daemon: Celery beat with our scheduler in the main thread, and beside it the loops that keep an instance going.

Any number of daemons may run. One leads, by a lease (leadership.py), and makes ticks; what each loop does is in the
module that it is named for. The command's entry is main.py.
"""

from __future__ import annotations

import faulthandler
import functools
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable

from celery.beat import Service

from orchord.spi import (
    WAKE_CHANGES,
    WAKE_CLOCK,
    WAKE_QUEUE,
    DaemonRow,
    InstanceConfig,
    RunRetries,
    Settings,
    Storage,
    utc_now,
)
from orchord_beat import monitor as monitoring
from orchord_beat import retention, tick_watch
from orchord_beat.clock import READ_SECONDS, Clock
from orchord_beat.dispatcher import Dispatcher
from orchord_beat.leadership import STAND_BY_SECONDS, Leadership
from orchord_beat.loops import Loop, LoopThreads, Watchdog
from orchord_beat.monitor import Monitor
from orchord_beat.queue_loop import QueueLoop
from orchord_beat.retention import Retention
from orchord_beat.scheduler import OrchordScheduler
from orchord_beat.tick_watch import TickWatch
from orchord_beat.vigil import Vigil
from orchord_beat.wakes import Wakes
from orchord_workers.spi import BrokerWatch, WorkerProcess, broker_errors_translated, close_app, make_app

logger = logging.getLogger(__name__)

STOP_SECONDS = 4.0
# A change of a run is told at once when its end is published, and within this time when it is not.
CHANGES_SECONDS = 1.0
# Each run that ends calls for its changes to be told of. Where they end by the hundred a second, a turn, and the commit
# of its own that each turn costs, does for several; the first call after a rest is heeded at once.
GATHER_SECONDS = 0.05
# The queue loop says itself when it looks again.
QUEUE_SECONDS = 5.0
# One turn may launch or stop thousands of runs, or take away as many with what they printed.
LONG_TURN_SECONDS = 600.0
STUCK_EXIT_STATUS = 70


class Daemon:
    """One daemon process: its loops, and what they share. ``run`` returns when ``stop`` was called."""

    def __init__(self, settings: Settings) -> None:
        config = InstanceConfig.read(settings.home)
        self.app = make_app(config.celery)
        self._process = WorkerProcess(self.app, settings, code=None)
        self.instance = self._process.instance
        self.daemon_id = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        # One connection, which no other work can take: else the lease could run out while all goes well.
        self._lease_storage = Storage.open(config.storage_url, pool_size=1, max_overflow=1)
        self._stopping = threading.Event()
        self._vigil = Vigil()
        self._leadership = Leadership(
            self._lease_storage,
            DaemonRow(self.daemon_id, socket.gethostname(), os.getpid(), utc_now(), utc_now()),
            self._errors,
            self._on_leadership,
            self._vigil,
        )
        self._clock = Clock(self.instance)
        # After an outage of the database these two go on first: a tick is to be late by seconds.
        quick = functools.partial(Loop, pause_seconds=STAND_BY_SECONDS, longest_back_off_seconds=STAND_BY_SECONDS)
        self._clock_loop = quick("clock", self._clock.look, may_work=self._leadership.leads)
        self._lease_loop = quick("lease", self._leadership.renew)
        self._wakes = Wakes(self.app)
        self._loops = [self._lease_loop, Loop("wakes", self._wakes.listen, 0.0), *self._work_loops()]
        self._threads = LoopThreads()
        scheduler = functools.partial(OrchordScheduler, loop=self._clock_loop, stopping=self._stopping)
        self._service = Service(self.app, max_interval=READ_SECONDS, scheduler_cls=scheduler, remote_control=False)

    def _work_loops(self) -> list[Loop]:
        """Return the loops beside the clock, and let those that can be woken hear their calls."""
        leads = self._leadership.leads
        dispatcher = Dispatcher(self.instance, (RunRetries(self.instance).consider,))
        changes = Loop(
            *("changes", dispatcher.dispatch, CHANGES_SECONDS, leads),
            stuck_after_seconds=LONG_TURN_SECONDS,
            gather_seconds=GATHER_SECONDS,
        )
        self._wakes.on(WAKE_CHANGES, changes.wake)
        self._wakes.on(WAKE_CLOCK, self._read_again)
        look = QueueLoop(self.instance, self._process).run_once
        queue = Loop("queue", look, QUEUE_SECONDS, stuck_after_seconds=LONG_TURN_SECONDS)
        self._wakes.on(WAKE_QUEUE, queue.wake)
        purge = Retention(self.instance).purge
        watch = TickWatch(self.instance, self.waiting_messages, self._vigil)
        return [
            changes,
            queue,
            Loop("ticks", watch.look, tick_watch.LOOK_SECONDS, leads),
            Loop("monitor", self._monitoring(), monitoring.LOOK_SECONDS, leads, stuck_after_seconds=LONG_TURN_SECONDS),
            Loop("retention", purge, retention.LOOK_SECONDS, leads, stuck_after_seconds=LONG_TURN_SECONDS),
        ]

    def _monitoring(self) -> Callable[[], None]:
        monitor: list[Monitor] = []

        def look() -> None:
            if not monitor:
                watch = BrokerWatch(self.app)
                monitor.append(
                    Monitor(self._process.instance, self._process.mender, watch.waiting, watch.was_emptied, self._vigil)
                )
            with broker_errors_translated(self.app):
                monitor[0].look()

        return look

    def run(self) -> None:
        """Work until ``stop`` is called; then end all loops and give the lease back."""
        for loop in self._loops:
            self._threads.start(loop)
        watchdog = threading.Thread(target=self._watch, name="orchord-watchdog", daemon=True)
        watchdog.start()
        logger.info("Daemon %s is ready", self.daemon_id)
        try:
            self._service.start()
        finally:
            self._stopping.set()
            self._end(watchdog)

    def stop(self) -> None:
        """End the daemon, within a few seconds. Not to be called from a signal's handler: it takes locks."""
        self._stopping.set()
        self._service.stop()
        self._clock_loop.wake()

    def waiting_messages(self, queue: str) -> int:
        """Return how many messages wait in a queue.

        Raises:
            BrokerUnavailableError: the broker cannot be reached.
        """
        with broker_errors_translated(self.app), self.app.connection_for_write() as connection:
            try:
                declared = connection.default_channel.queue_declare(queue=queue, passive=True)
            except connection.channel_errors:
                # No such queue, as after a flush of the broker: nothing waits in it.
                return 0
            return int(declared.message_count)

    def _end(self, watchdog: threading.Thread) -> None:
        left = self._threads.stop(time.monotonic() + STOP_SECONDS)
        if left:
            logger.warning("Loops did not end in time: %s", ", ".join(left))
        watchdog.join(1.0)
        self._wakes.close()
        self._leadership.give_back()
        self._lease_storage.dispose()
        self._process.close()
        close_app(self.app)

    def _errors(self) -> dict[str, str]:
        return {loop.name: loop.error for loop in [self._clock_loop, *self._loops] if loop.error is not None}

    def _on_leadership(self, leads: bool) -> None:
        self._clock.forget_soon()
        if leads:
            for loop in [self._clock_loop, *self._loops]:
                if loop is not self._lease_loop:
                    loop.wake()

    def _read_again(self) -> None:
        self._clock.read_again()
        self._clock_loop.wake()

    def _watch(self) -> None:
        watchdog = Watchdog([self._clock_loop, *self._loops], _end_at_once)
        while not self._stopping.wait(1.0):
            watchdog.look()


def _end_at_once(loop: str, seconds: float) -> None:
    """End a process in which a loop hangs. Its supervisor starts a new one; another daemon takes the lease over."""
    logger.critical("Loop '%s' has not gone on for %.0f s: the daemon ends, to be started anew", loop, seconds)
    faulthandler.dump_traceback(sys.stderr)
    logging.shutdown()
    os._exit(STUCK_EXIT_STATUS)
