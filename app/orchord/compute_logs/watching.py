"""The thread that makes what running steps print visible to readers, soon after it was printed.

What Python itself prints is visible at once; C code and child processes write past it, and this thread looks for that.
What it looks at is local.py's.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Protocol

LOOK_SECONDS = 0.2
IDLE_SECONDS = 1.0
_THREAD_NAME = "orchord-compute-logs"


class Watched(Protocol):
    """What can be looked at."""

    def look(self) -> None:
        """Make visible what was printed. Called from the thread, also just after the end."""


class Watcher:
    """Looks at what it is given until that is taken away again.

    The thread ends by itself when it had nothing to look at for a while, and starts again when needed: a process that
    runs step after step starts one, a process that waits has none. A fork does not take threads along; the child
    starts its own.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()
        self._stopped: threading.Event | None = None

    def add(self, watched: Watched) -> None:
        """Look at this from now on."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._watched.add(watched)
            if self._stopped is None:
                stopped = threading.Event()
                # Where no more threads are to be had, the step runs all the same; the next one asks again.
                with suppress(RuntimeError):
                    threading.Thread(target=self._run, args=(stopped,), name=_THREAD_NAME, daemon=True).start()
                    self._stopped = stopped

    def discard(self, watched: Watched) -> None:
        """Look at this no more."""
        if self._pid == os.getpid():
            self._watched.discard(watched)

    def stop(self) -> None:
        """Let the thread end now; it starts again if it is needed again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._stopped is not None and not self._watched:
                self._stopped.set()
                self._stopped = None

    def _run(self, stopped: threading.Event) -> None:
        idle_seconds = 0.0
        while not stopped.wait(LOOK_SECONDS):
            with self._lock:
                watched = tuple(self._watched)
                idle_seconds = 0.0 if watched else idle_seconds + LOOK_SECONDS
                if idle_seconds >= IDLE_SECONDS:
                    if self._stopped is stopped:
                        self._stopped = None
                    return
            for one in watched:
                one.look()
