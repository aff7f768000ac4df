"""The events of attempts that take long, written down while they run: what a quick step tells is stored with its end.

Each attempt's events are stored once and in their order: what was written here is left out of its end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from orchord.compute_logs.watching import Watcher
from orchord.errors import UnavailableError
from orchord.events import Event
from orchord.storage import Storage

#: An attempt that has ended by then costs nothing but its place in a set.
QUICK_SECONDS = 0.5

logger = logging.getLogger(__name__)

# One thread looks at the open attempts of all runs of the process, and ends when there are none.
_watcher = Watcher()


def stop_watching() -> None:
    """Let the thread that looks at open attempts end now, if there are none; it comes back when needed."""
    _watcher.stop()


class LiveEvents:
    """Writes down what the attempts of one process tell, while they run. Safe for threads.

    Args:
        storage: the database.
        run_id: the run whose attempts they are.
    """

    def __init__(self, storage: Storage, run_id: str) -> None:
        self._storage = storage
        self._run_id = run_id
        self._open: dict[str, _LiveAttempt] = {}
        # What was told of the run's own resources belongs in front of the step that they were set up for.
        self._early: list[Event] = []

    def begin(self, step_key: str, attempt: int, token: str) -> None:
        """Expect events of an attempt that this process has claimed."""
        earlier = self._open.pop(step_key, None)
        if earlier is not None:
            _watcher.discard(earlier)
        one = _LiveAttempt(self._storage, self._run_id, step_key, attempt, token)
        self._open[step_key] = one
        _watcher.add(one)

    def note(self, event: Event) -> None:
        """Take note of an event as it happens."""
        one = self._open.get(event.step_key) if event.step_key is not None else None
        if one is None:
            self._early.append(event)
            return
        if self._early:
            one.events += self._early
            self._early.clear()
        one.events.append(event)

    def rest_of(self, step_key: str, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return those of an attempt's events that are still to be stored, with its end. Nothing is live from here."""
        one = self._open.pop(step_key, None)
        self._early.clear()
        if one is None:
            return tuple(events)
        _watcher.discard(one)
        return one.rest_of(events)

    def close(self) -> None:
        """Look no more after attempts that this process has left to others, or whose end was stored by another way."""
        for step_key in tuple(self._open):
            self.rest_of(step_key, ())


class _LiveAttempt:
    """One attempt's events, of which a part is written."""

    def __init__(self, storage: Storage, run_id: str, step_key: str, attempt: int, token: str) -> None:
        self.events: list[Event] = []
        self._storage = storage
        self._key = (run_id, step_key, attempt, token)
        self._began = time.monotonic()
        self._written = 0
        # Of the events that follow, how many may be stored already: their answer was lost.
        self._maybe_written = 0
        self._is_live = True
        self._lock = threading.Lock()

    def look(self) -> None:
        """Write what is new, if the attempt takes long. Called from the watching thread."""
        if time.monotonic() - self._began < QUICK_SECONDS or len(self.events) == self._written:
            return
        with self._lock:
            if self._is_live:
                self._write()

    def _write(self) -> None:
        # What may be stored is asked for as the very piece that it was.
        count = self._maybe_written or len(self.events) - self._written
        piece = self.events[self._written : self._written + count]
        try:
            self._is_live = self._storage.attempts.append_live(*self._key, piece, again=bool(self._maybe_written))
        except UnavailableError as error:
            logger.info("What step %s tells is written later: %s", self._key[1], error)
            self._maybe_written = count
            return
        except Exception:  # boundary: what storage refuses of a user's event must not end the watching of others
            logger.warning("What step %s tells is written at its end", self._key[1], exc_info=True)
            self._is_live = False
            return
        if self._is_live:
            self._written += count
            self._maybe_written = 0

    def rest_of(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return the events that are not written; none is from here on."""
        with self._lock:
            if self._is_live and self._maybe_written:
                self._write()
            self._is_live = False
            written = self.events[: self._written]
        if not written:
            return tuple(events)
        rest: list[Event] = []
        position = 0
        for event in events:
            if position < len(written) and event == written[position]:
                position += 1
            else:
                rest.append(event)
        return tuple(rest)
