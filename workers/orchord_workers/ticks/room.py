"""How many processes a tick worker has: as many as are always there, and one more for each that has been busy for long.

So a sensor that hangs takes nobody's place, and a burst of quick ticks forks nothing. Celery's own autoscaler would
start a process for every message that waits.
"""

from __future__ import annotations

import time
from typing import Any

from celery.worker import state
from celery.worker.autoscale import Autoscaler

LOOK_SECONDS = 0.2
# Whoever is busy for this long gets a deputy.
LONG_SECONDS = 0.4
# A process that is no longer needed stays for this long.
IDLE_SECONDS = 20.0


class RoomForOthers(Autoscaler):  # type: ignore[misc]  # celery has no types
    """Grows the pool by a process for each that is busy for long; shrinks it again some time after."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.keepalive = LOOK_SECONDS
        self._needed_until = 0.0

    def _maybe_scale(self, req: Any = None) -> bool | None:
        wanted = min(self.min_concurrency + long_busy(time.time()), self.max_concurrency)
        now = time.monotonic()
        if wanted >= self.processes:
            self._needed_until = now + IDLE_SECONDS
        if wanted > self.processes:
            self._grow(wanted - self.processes)
            return True
        if wanted < self.processes and now > self._needed_until:
            self._shrink(self.processes - wanted)
            return True
        return None


def long_busy(now: float) -> int:
    """Return how many processes have been at the same message for long; ``now`` in seconds since 1970."""
    return sum(1 for request in state.active_requests if request.time_start and now - request.time_start > LONG_SECONDS)
