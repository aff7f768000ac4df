"""A process's sign of life in the database, by which the monitor tells a dead process from a slow one.

Written by a thread: a worker's pool child that is busy, or dead, does not stop it, nor does a long step.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime

from orchord.errors import StorageUnavailableError
from orchord.events import utc_now
from orchord.storage import Storage, WorkerRow

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0


class Heartbeat:
    """Beats until it is stopped; then takes the process's row away.

    Args:
        storage: the database.
        worker_id: the identity of the process.
        location: the code location that it works for.
        queues: the queues that it consumes; none for a process that carries out a run of its own.
        on_beat: is called with every beat.
    """

    def __init__(
        self,
        storage: Storage,
        worker_id: str,
        location: str,
        queues: tuple[str, ...] = (),
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._worker_id = worker_id
        self._location = location
        self._queues = queues
        self._on_beat = on_beat
        self._started_at: datetime = utc_now()
        self._has_beaten = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchord-heartbeat", daemon=True)

    def start(self, *, beats_at_once: bool = True) -> None:
        """Go on beating in the background; by default beat once first, so that a worker is known before it works."""
        if beats_at_once:
            self._beat()
        self._thread.start()

    def retire(self) -> None:
        """Say that the process takes no further work; it goes on beating until ``stop``."""
        self._queues = ()

    def stop(self) -> None:
        """Stop beating and sign off."""
        self._stopped.set()
        if self._thread.ident is not None:  # a worker that never reached its broker never began to beat
            self._thread.join(timeout=10)
        if not self._has_beaten:
            return
        try:
            self._storage.workers.remove(self._worker_id)
        except StorageUnavailableError as error:
            logger.warning("Could not sign off: %s", error)

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                self._beat()
            except StorageUnavailableError as error:
                logger.warning("No heartbeat written: %s", error)
            except Exception:  # boundary: our own faults; a thread that ended here would have a living process buried
                logger.exception("No heartbeat written")

    def _beat(self) -> None:
        self._storage.workers.beat(
            WorkerRow(
                worker_id=self._worker_id,
                hostname=socket.gethostname(),
                pid=os.getpid(),
                location=self._location,
                queues=self._queues,
                started_at=self._started_at,
                last_seen_at=self._storage.clock(),
            )
        )
        self._has_beaten = True
        # After the sign of life: what fails here must not have a living process buried.
        self._on_beat()
