"""Attempts that a worker's own dead pool children still hold, found by comparing storage with the pool.

A dead child is noticed at once by the request it worked on (lost.py). What could not be done about it then, as with a
database that was away, would leave an attempt that runs for ever, as its worker is alive: so each worker looks too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from orchord.spi import OrchordInstance, utc_now

LOOK_SECONDS = 10.0
# A child that has just been forked, or has just died, is not judged yet.
YOUNGEST = timedelta(seconds=5)


class OrphanReports:
    """Looks now and then.

    Args:
        instance: The worker's.
        worker_id: Whose children they are.
        living: Returns the process ids of the pool children that are alive.
        report: Is told of each dead child that holds an attempt: its process id, and the attempt's run.
    """

    def __init__(
        self,
        instance: OrchordInstance,
        worker_id: str,
        living: Callable[[], set[int]],
        report: Callable[[int, str], None],
    ) -> None:
        self._instance = instance
        self._worker_id = worker_id
        self._living = living
        self._report = report
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
        for process_id, run_id in dead.items():
            self._report(process_id, run_id)
        return len(dead)
