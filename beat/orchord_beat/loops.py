"""Loops of the daemon: doing something again and again, backing off from faults, and seen when one hangs.

What a loop does is its own module's; which loops there are, and what wakes them, is daemon.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchord.spi import UnavailableError

logger = logging.getLogger(__name__)

FIRST_BACK_OFF_SECONDS = 1.0
# Of a back-off, the part that no call ends.
LEAST_BACK_OFF_SECONDS = 0.25
LONGEST_BACK_OFF_SECONDS = 10.0


@dataclass
class Loop:
    """One thing that is done again and again.

    Attributes:
        name: What it is called in logs, and where the daemon shows its faults.
        work: One turn. It may return after how many seconds it wants the next at the latest.
        pause_seconds: The pause between two turns, unless ``work`` says otherwise; ``wake`` ends it.
        may_work: Whether it is this daemon's turn at all; else the loop rests.
        longest_back_off_seconds: The longest rest after faults.
        stuck_after_seconds: A turn that takes longer hangs, and only a new process helps.
        gather_seconds: For so long after a turn, calls wait for each other: one turn does for all of them.
    """

    name: str
    work: Callable[[], float | None]
    pause_seconds: float
    may_work: Callable[[], bool] = lambda: True
    longest_back_off_seconds: float = LONGEST_BACK_OFF_SECONDS
    stuck_after_seconds: float = 60.0
    gather_seconds: float = 0.0
    error: str | None = None
    _wake: threading.Event = field(default_factory=threading.Event)
    _faults: int = 0
    _busy_since: float | None = None

    def wake(self) -> None:
        """Let the next turn begin at once."""
        self._wake.set()

    def turn(self) -> float:
        """Do the work once. Returns how many seconds to rest; a fault is noted and makes the rests longer."""
        if not self.may_work():
            return self.pause_seconds
        self._busy_since = time.monotonic()
        try:
            wanted = self.work()
        except UnavailableError as error:
            if self._is_to_be_told():
                logger.warning("Loop '%s' cannot work now: %s", self.name, error)
            return self._failed(error)
        except Exception as error:  # boundary: a fault of ours in one loop must not end the others
            if self._is_to_be_told():
                logger.exception("Loop '%s' failed", self.name)
            return self._failed(error)
        finally:
            self._busy_since = None
        if self._faults > 1:
            logger.info("Loop '%s' works again, after %s faults", self.name, self._faults)
        self._faults, self.error = 0, None
        return self.pause_seconds if wanted is None else wanted

    def rest(self, seconds: float) -> None:
        """Wait until the time is over or the loop is woken; after a fault for a while in any case."""
        if self._faults:
            # Calls may come by the hundred a second: with each, a loop that fails would fail at once again.
            time.sleep(min(seconds, LEAST_BACK_OFF_SECONDS))
            seconds = max(0.0, seconds - LEAST_BACK_OFF_SECONDS)
        elif seconds > self.gather_seconds > 0.0:
            time.sleep(self.gather_seconds)
            seconds -= self.gather_seconds
        self._wake.wait(seconds)
        self._wake.clear()

    def seconds_busy(self) -> float:
        """Return for how long the turn under way has lasted; 0.0 between two turns."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _is_to_be_told(self) -> bool:
        """Return whether a fault goes into the log: the first, then ever rarer. All are told in the daemon's row."""
        return self._faults & (self._faults + 1) == 0

    def _failed(self, error: Exception) -> float:
        self.error = f"{type(error).__name__}: {error}"
        self._faults += 1
        doubled: float = FIRST_BACK_OFF_SECONDS * 2 ** min(self._faults - 1, 10)
        return min(doubled, self.longest_back_off_seconds)


class LoopThreads:
    """Runs loops, each in a thread of its own, until they are stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[tuple[Loop, threading.Thread]] = []

    def start(self, loop: Loop) -> None:
        """Run a loop in the background from now on."""
        thread = threading.Thread(target=self._run, args=(loop,), name=f"orchord-{loop.name}", daemon=True)
        self._threads.append((loop, thread))
        thread.start()

    def stop(self, deadline: float) -> list[str]:
        """Ask all loops to end, and wait for them until a time of the monotonic clock. Returns who did not end."""
        self._stopping.set()
        for loop, _ in self._threads:
            loop.wake()
        for _, thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [loop.name for loop, thread in self._threads if thread.is_alive()]

    def _run(self, loop: Loop) -> None:
        while not self._stopping.is_set():
            loop.rest(loop.turn())


class Watchdog:
    """Sees loops that hang: a call that never returns can be ended by nothing but the end of the process.

    Args:
        loops: What is watched.
        on_stuck: Is called, once, with the name of a loop and how long its turn has lasted.
    """

    def __init__(self, loops: list[Loop], on_stuck: Callable[[str, float], None]) -> None:
        self._loops = loops
        self._on_stuck = on_stuck
        self._last_look = time.monotonic()
        self._awake_since = self._last_look

    def look(self) -> None:
        """Look once. To be called about each second."""
        now = time.monotonic()
        if now - self._last_look > LONGEST_BACK_OFF_SECONDS:
            # The whole process, or the machine, was stopped: that no loop went on in this time says nothing.
            self._awake_since = now
        self._last_look = now
        for loop in self._loops:
            busy = min(loop.seconds_busy(), now - self._awake_since)
            if busy > loop.stuck_after_seconds:
                self._on_stuck(loop.name, busy)
                return
