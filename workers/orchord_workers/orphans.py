"""Attempts that a worker's own dead pool children still hold, found by comparing storage with the pool.

A dead child is reported at once by the request it worked on (lost.py). That report is a message, and a broker that
loses it would leave an attempt that runs for ever, as its worker is alive: so each worker looks for itself too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from orchord.spi import BrokerUnavailableError, OrchordInstance, utc_now
from orchord_workers.app import broker_errors_translated
from orchord_workers.canvas import Canvas

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
# A child that has just been forked, or has just died, is not judged yet.
YOUNGEST = timedelta(seconds=5)


class OrphanReports:
    """Looks now and then. ``living`` returns the process ids of the pool children that are alive."""

    def __init__(
        self, instance: OrchordInstance, canvas: Canvas, worker_id: str, living: Callable[[], set[int]]
    ) -> None:
        self._instance = instance
        self._canvas = canvas
        self._worker_id = worker_id
        self._living = living
        self._next_look = time.monotonic() + LOOK_SECONDS

    def look(self) -> int:
        """Report every dead child that holds an attempt, if it is time to. Returns how many were reported."""
        if time.monotonic() < self._next_look:
            return 0
        self._next_look = time.monotonic() + LOOK_SECONDS
        living = self._living()
        if not living:
            return 0
        oldest_start = utc_now() - YOUNGEST
        dead: dict[int, str] = {}
        for attempt in self._instance.storage.attempts.running_of_worker(self._worker_id):
            is_old = attempt.started_at is not None and attempt.started_at < oldest_start
            if is_old and attempt.process_id not in living:
                dead[attempt.process_id] = attempt.run_id
        try:
            with broker_errors_translated(self._canvas.app):
                for process_id, run_id in dead.items():
                    queue = self._canvas.app.conf.task_default_queue
                    self._canvas.send_lost(queue, self._worker_id, process_id, run_id)
        except BrokerUnavailableError as error:
            logger.warning("Dead pool children could not be reported: %s", error)
        return len(dead)
