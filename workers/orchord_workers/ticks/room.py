"""How many processes a tick worker has: more when some hang or messages wait, fewer after a while of nothing to do.

A sensor that hangs thus takes nobody's place, and a burst of quick ticks forks nothing: it is over in a moment, or it
has all processors busy, and further processes would only take them from it. Celery's own autoscaler would start a
process for every message that arrives while another is at work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from celery.worker import state
from celery.worker.autoscale import Autoscaler

LOOK_SECONDS = 0.2
# Whoever is busy for this long gets a deputy.
LONG_SECONDS = 0.15
# While messages wait, there are as many more for each processor: enough for those that wait for a database. More than
# these would only take turns.
MORE_PER_PROCESSOR = 2
# More processes help those that wait for something else than a processor: some part of these must be idle.
LEAST_IDLE_SHARE = 0.15
# A process that is no longer needed stays for this long.
IDLE_SECONDS = 60.0


class RoomForOthers(Autoscaler):  # type: ignore[misc]  # celery has no types
    """Grows the pool for those that hang, and while messages wait; shrinks it again some time after."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.keepalive = LOOK_SECONDS
        self._looked_at = 0.0
        self._waited_before = False
        self._processors = Processors()
        self._needed_until = 0.0

    def _maybe_scale(self, req: Any = None) -> bool | None:
        """Look, at most as often as LOOK_SECONDS: it is called with every message, too."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS * 0.9:
            return None
        self._looked_at = now
        reserved, busy = len(state.reserved_requests), long_busy(state.active_requests, time.time())
        waits = reserved > len(state.active_requests)
        wanted = self.min_concurrency + busy
        has_idle = self._processors.idle_share() >= LEAST_IDLE_SHARE
        if waits and self._waited_before and has_idle:
            wanted += MORE_PER_PROCESSOR * (os.cpu_count() or 1)
        self._waited_before = waits
        wanted = min(wanted, self.max_concurrency)
        if wanted >= self.processes:
            self._needed_until = now + IDLE_SECONDS
        if wanted > self.processes:
            self._grow(wanted - self.processes)
            return True
        # A process that has just been given a message looks idle, and the message would be lost for ten seconds if it
        # ended: none ends but while nobody is at a message, or on the way to one, except for those that hang. One by
        # one, as each look makes it sure again.
        if wanted < self.processes and now > self._needed_until and reserved == busy:
            self._shrink(1)
            return True
        return None


class Processors:
    """The machine's processors between one look and the next."""

    def __init__(self, file: Path = Path("/proc/stat")) -> None:
        self._file = file
        self._idle, self._all = self._read()

    def idle_share(self) -> float:
        """Return which part of their time they were idle since the last call, 0 to 1; 1.0 where nobody can tell."""
        idle, everything = self._read()
        idle_since, all_since = idle - self._idle, everything - self._all
        self._idle, self._all = idle, everything
        return idle_since / all_since if all_since > 0 else 1.0

    def _read(self) -> tuple[int, int]:
        try:
            with self._file.open() as lines:
                times = [int(text) for text in next(lines).split()[1:9]]
        except (OSError, ValueError, StopIteration):
            return 0, 0
        # user, nice, system, idle, waiting for disks, and so on
        return sum(times[3:5]), sum(times)


def long_busy(requests: Iterable[Any], now: float) -> int:
    """Return how many processes have been at one tick for long; ``now`` in seconds since 1970.

    A message may name many ticks of schedules: it may take as many times as long.
    """
    return sum(
        1
        for request in requests
        if request.time_start and now - request.time_start > LONG_SECONDS * max(1, len(request.args[0]))
    )
