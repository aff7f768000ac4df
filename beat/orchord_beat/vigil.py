"""The vigil: since when this daemon could have seen signs of life, so that it does not take silence for death.

Whatever kept the daemon from the database (an outage, a machine that slept) kept workers from it as well: they have
their time to speak up again. Who judges them by it is monitor.py and tick_watch.py.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

# Between two notes of a daemon that is not held up. Its lease's loop takes one each 1.5 s, leader or not: whoever takes
# over has kept watch before.
LONGEST_GAP = timedelta(seconds=5)


class Vigil:
    """Keeps note of when the database answered, by its own clock. Safe for threads."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._last: datetime | None = None
        self._lock = threading.Lock()

    def note(self, now: datetime) -> None:
        """Note that the database has answered at this time."""
        with self._lock:
            if self._last is None or now - self._last > LONGEST_GAP:
                self._since = now
            self._last = now if self._last is None else max(self._last, now)

    def lasts(self, now: datetime) -> timedelta:
        """Return for how long the database has answered without a gap, up to now."""
        with self._lock:
            if self._since is None or self._last is None or now - self._last > LONGEST_GAP:
                return timedelta(0)
            return now - self._since
