"""Ticks that one process claimed together: which wait, which are evaluated, and a thread that sees to both when one
takes long. What is done with them is runner.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orchord.spi import Evaluation, Tick

logger = logging.getLogger(__name__)

# When one evaluation takes longer than this, those before it end, and those behind it go to other processes.
LONG_SECONDS = 1.0
LOOK_SECONDS = 0.25


class Together:
    """Ticks under one token. Safe for threads: each tick, waiting or done, is given to one taker."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self._lock = threading.Lock()
        self._waiting = deque(ticks)
        self._done: list[tuple[Tick, Evaluation]] = []
        self._began: float | None = None

    def next(self) -> Tick | None:
        """Take the next tick to evaluate, or None when none waits."""
        with self._lock:
            self._began = time.monotonic() if self._waiting else None
            return self._waiting.popleft() if self._waiting else None

    def add(self, tick: Tick, evaluation: Evaluation) -> None:
        """Add what a tick came to."""
        with self._lock:
            self._began = None
            self._done.append((tick, evaluation))

    def take_done(self) -> list[tuple[Tick, Evaluation]]:
        """Take what is evaluated and not yet written."""
        with self._lock:
            done, self._done = self._done, []
            return done

    def take_waiting(self) -> list[Tick]:
        """Take the ticks that nobody has begun with."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
            return waiting

    def wait_again(self, ticks: Sequence[Tick]) -> None:
        """Let ticks that were taken wait for their turn after all."""
        with self._lock:
            self._waiting.extend(ticks)

    def takes_long(self) -> bool:
        """Return whether the tick that is being evaluated takes long."""
        with self._lock:
            return self._began is not None and time.monotonic() - self._began > LONG_SECONDS

    @contextmanager
    def relieved(self, relieve: Callable[[], None]) -> Iterator[None]:
        """While it lasts, call ``relieve`` in another thread when an evaluation takes long.

        It cannot run while user code is in a call of C that does not let other threads go on.
        """
        if len(self._waiting) < 2:
            yield
            return
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(LOOK_SECONDS):
                if self.takes_long():
                    try:
                        relieve()
                    except Exception:  # boundary: the daemon finds ticks that are overdue
                        logger.exception("Ticks that wait for a slow one could not be given to others")

        thread = threading.Thread(target=watch, name="orchord-ticks-relief", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
