"""The clock by which processes judge each other's signs of life."""

from __future__ import annotations

from datetime import UTC, timedelta

from orchord.events import utc_now
from orchord.storage import Storage


def test_the_clock_is_aware_in_utc_and_goes_on(storage: Storage) -> None:
    first, second = storage.clock(), storage.clock()
    assert first.tzinfo is UTC
    assert first <= second
    # Both services run on this machine.
    assert abs(first - utc_now()) < timedelta(seconds=5)
