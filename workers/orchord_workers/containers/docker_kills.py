"""Kills that are due when a grace time is over: one thread for all of them, there only while some are due.

What is killed, and how, is docker.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from orchord_workers.containers.platform import PlatformError

logger = logging.getLogger(__name__)


class Kills:
    """Remembers what is to be killed when."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def later(self, name: str, seconds: float) -> None:
        """Kill a container in so many seconds, unless it is forgotten before. The first word counts."""
        with self._changed:
            self._due.setdefault(name, time.monotonic() + seconds)
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="orchord-kills", daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, name: str) -> None:
        """Kill nothing: the container has ended."""
        with self._changed:
            if self._due.pop(name, None) is not None:
                self._changed.notify()

    def close(self) -> None:
        """Give up what is due."""
        with self._changed:
            self._is_closed = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._thread = None
                    return
                name, at = min(self._due.items(), key=lambda item: item[1])
                left = at - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                del self._due[name]
            try:
                self._kill(name)
            except PlatformError as error:
                logger.warning("%s", error)
