"""Following the events of a run while they are written: each once, none missed. Pure: reading and time are given.

Workers commit in another order than that in which the database hands out ids, so an event can appear below one that
has been read already. The feed therefore reads again from a low mark, which passes an id only once that has been
known for a settling time. How events become lines of a stream is in event_stream.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchord.events import StoredEvent

PAGE_SIZE = 500

#: Reads up to ``limit`` events with ids above ``after_id``, in the order of their ids.
ReadPage = Callable[[int, int], Sequence[StoredEvent]]


class EventFeed:
    """The events of one run from a position on.

    Args:
        read: reads one page.
        after: ids up to this one are never given.
        sent: an id above ``after`` that has been given already, by the feed that this one goes on from.
        settle_seconds: how much later than a higher id an event may appear and still be seen.
    """

    def __init__(self, read: ReadPage, after: int, *, sent: int | None = None, settle_seconds: float = 2.0) -> None:
        self._read = read
        self._settle_seconds = settle_seconds
        self._known: dict[int, float] = {}
        self._sent = sent
        self.low = after

    def poll(self, now: float) -> list[StoredEvent]:
        """Return the events that have not been given yet, by id. ``now`` is a monotonic time in seconds."""
        if self._sent is not None:
            self._known[self._sent], self._sent = now, None
        fresh: list[StoredEvent] = []
        position = self.low
        while True:
            page = self._read(position, PAGE_SIZE)
            for stored in page:
                if stored.id not in self._known:
                    self._known[stored.id] = now
                    fresh.append(stored)
            if len(page) < PAGE_SIZE:
                break
            position = page[-1].id
        self._settle(now)
        return fresh

    def _settle(self, now: float) -> None:
        for event_id in sorted(self._known):
            if now - self._known[event_id] < self._settle_seconds:
                return
            self.low = event_id
            del self._known[event_id]
