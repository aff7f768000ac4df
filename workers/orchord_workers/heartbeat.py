"""A worker's sign of life in the database, by which the monitor tells a dead worker from a slow one.

Written by a thread of the parent process: a pool child that is busy, or dead, does not stop it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime

from orchord.spi import OrchordInstance, StorageUnavailableError, WorkerRow, utc_now

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0


class Heartbeat:
    """Beats until it is stopped; then takes the worker's row away. ``on_beat`` is called with every beat."""

    def __init__(
        self,
        instance: OrchordInstance,
        worker_id: str,
        location: str,
        queues: tuple[str, ...],
        on_beat: Callable[[], None],
    ) -> None:
        self._instance = instance
        self._worker_id = worker_id
        self._location = location
        self._queues = queues
        self._on_beat = on_beat
        self._started_at: datetime = utc_now()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchord-heartbeat", daemon=True)

    def start(self) -> None:
        """Beat once, so that the worker is known before it takes work, then go on in the background."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and sign off."""
        self._stopped.set()
        if self._thread.ident is not None:  # a worker that never reached its broker never began to beat
            self._thread.join(timeout=10)
        try:
            self._instance.storage.workers.remove(self._worker_id)
        except StorageUnavailableError as error:
            logger.warning("Could not sign off: %s", error)

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                self._beat()
            except StorageUnavailableError as error:
                logger.warning("No heartbeat written: %s", error)

    def _beat(self) -> None:
        self._on_beat()
        self._instance.storage.workers.beat(
            WorkerRow(
                worker_id=self._worker_id,
                hostname=socket.gethostname(),
                pid=os.getpid(),
                location=self._location,
                queues=self._queues,
                started_at=self._started_at,
                last_seen_at=utc_now(),
            )
        )
