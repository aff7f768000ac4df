"""How many processes a tick worker has: more when some hang or messages wait, fewer after a while of nothing to do.

A sensor that hangs thus takes nobody's place, and a burst of quick ticks, which is over in a moment, forks nothing.
Celery's own autoscaler would start a process for every message that arrives while another is at work.
"""

from __future__ import annotations

import os
import time
from typing import Any

from celery.worker import state
from celery.worker.autoscale import Autoscaler

LOOK_SECONDS = 0.2
# Whoever is busy for this long gets a deputy.
LONG_SECONDS = 0.15
# While messages wait, there are as many more for each processor: enough for those that wait for a database. More than
# these would only take turns.
MORE_PER_PROCESSOR = 2
# A process that is no longer needed stays for this long.
IDLE_SECONDS = 20.0


class RoomForOthers(Autoscaler):  # type: ignore[misc]  # celery has no types
    """Grows the pool for those that hang, and while messages wait; shrinks it again some time after."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.keepalive = LOOK_SECONDS
        self._looked_at = 0.0
        self._waited_before = False
        self._needed_until = 0.0

    def _maybe_scale(self, req: Any = None) -> bool | None:
        """Look, at most as often as LOOK_SECONDS: it is called with every message, too."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS * 0.9:
            return None
        self._looked_at = now
        waits = len(state.reserved_requests) > len(state.active_requests)
        wanted = self.min_concurrency + long_busy(time.time())
        if waits and self._waited_before:
            wanted += MORE_PER_PROCESSOR * (os.cpu_count() or 1)
        self._waited_before = waits
        wanted = min(wanted, self.max_concurrency)
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
