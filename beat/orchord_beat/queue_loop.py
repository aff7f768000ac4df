"""The queue loop: runs leave the queue when there is room, and steps that wait for slots of pools are called.

Woken when a run ends or is submitted; it also looks by itself, so a call that is lost only costs time. It may run in
any number of daemons at once.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from orchord.spi import OrchordInstance, QueuedRunCoordinator, QueueSettings, RunQueue, unlimited_queue
from orchord_workers.spi import WorkerProcess

logger = logging.getLogger(__name__)

# While steps wait for slots: a slot may come free by a process that has died, and that nobody told of.
LOOK_AT_POOLS_SECONDS = 1.0
TIDY_SECONDS = 5.0
SILENT_AFTER = timedelta(seconds=10)


class QueueLoop:
    """Takes runs out of the queue, and calls the waiters of pools.

    Args:
        instance: the instance.
        process: what sends steps; its code is not needed.
    """

    def __init__(self, instance: OrchordInstance, process: WorkerProcess) -> None:
        self._instance = instance
        self._process = process
        self._queue: RunQueue | None = None
        self._tidy_at = 0.0

    def run_once(self) -> float:
        """Look once. Returns within how many seconds to look again, unless woken before.

        Raises:
            StorageUnavailableError, BrokerUnavailableError: it cannot be done now.
        """
        queue = self._queue or self._make_queue()
        dequeued = queue.dequeue()
        if dequeued:
            logger.info("%s run(s) left the queue", dequeued)
        pause = queue.settings.dequeue_interval_seconds
        if not queue.explain():
            pause = min(pause, 1.0)
        return min(pause, LOOK_AT_POOLS_SECONDS) if self._call_waiters() else pause

    def _make_queue(self) -> RunQueue:
        coordinator = self._instance.run_coordinator
        if isinstance(coordinator, QueuedRunCoordinator):
            self._queue = coordinator.queue
        else:
            # Runs that were queued before the instance file named another coordinator still go.
            self._queue = RunQueue(self._instance, QueueSettings(unlimited_queue()))
        return self._queue

    def _call_waiters(self) -> bool:
        """Call who can have a slot now. Returns whether anybody waits."""
        pools = self._instance.storage.pools
        if not pools.has_waiters():
            return False
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            pools.forget_dead()
            pools.forget_silent(self._instance.storage.clock() - SILENT_AFTER)
        slots = self._process.runner.slots
        slots.send(pools.call_all())
        slots.call_in_runs()
        return True
