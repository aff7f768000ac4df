"""The heap of what is due when: finding what is due costs nothing for all that is not.

It knows neither schedules nor sensors: keys and times are all that it holds. What is due when is timetable.py's.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import Generic, TypeVar

K = TypeVar("K")


class DueHeap(Generic[K]):
    """Keys by the time at which each is due; each key has one time at most."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, K]] = []
        # The entry that counts for a key. What is in the heap beside it was replaced, and is passed over.
        self._current: dict[K, tuple[datetime, int, K]] = {}
        self._number = 0

    def put(self, key: K, at: datetime) -> None:
        """Say when a key is due, instead of what was said before."""
        self._number += 1
        entry = (at, self._number, key)
        self._current[key] = entry
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._current) + 16:
            self._heap = list(self._current.values())
            heapq.heapify(self._heap)

    def remove(self, key: K) -> None:
        """Take a key out, if it is in."""
        self._current.pop(key, None)

    def next_at(self) -> datetime | None:
        """Return when the first key is due; None when there is none."""
        self._drop_replaced()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> list[K]:
        """Take out what is due by now, the earliest first."""
        due: list[K] = []
        while True:
            self._drop_replaced()
            if not self._heap or self._heap[0][0] > now:
                return due
            key = heapq.heappop(self._heap)[2]
            del self._current[key]
            due.append(key)

    def __len__(self) -> int:
        return len(self._current)

    def _drop_replaced(self) -> None:
        while self._heap and self._current.get(self._heap[0][2]) is not self._heap[0]:
            heapq.heappop(self._heap)
