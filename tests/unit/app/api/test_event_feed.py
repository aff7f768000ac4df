"""The feed gives each event of a run once, whatever the order in which workers commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from orchord.api.event_feed import PAGE_SIZE, EventFeed
from orchord.events import Event, StoredEvent


def stored(event_id: int) -> StoredEvent:
    return StoredEvent(event_id, "run", Event("LOG", datetime(2026, 1, 1, tzinfo=UTC)))


class Table:
    """Rows that become visible one by one."""

    def __init__(self) -> None:
        self.visible: set[int] = set()

    def read(self, after_id: int, limit: int) -> Sequence[StoredEvent]:
        return [stored(one) for one in sorted(self.visible) if one > after_id][:limit]


def test_an_event_that_commits_below_one_already_given_is_given_too() -> None:
    table = Table()
    feed = EventFeed(table.read, 0, settle_seconds=2.0)
    table.visible = {1, 3}
    assert [one.id for one in feed.poll(0.0)] == [1, 3]
    table.visible.add(2)
    assert [one.id for one in feed.poll(1.9)] == [2]
    assert feed.poll(2.0) == []


def test_the_low_mark_passes_an_id_only_after_the_settling_time() -> None:
    table = Table()
    feed = EventFeed(table.read, 0, settle_seconds=2.0)
    table.visible = {5}
    feed.poll(10.0)
    assert feed.low == 0
    feed.poll(11.9)
    assert feed.low == 0
    feed.poll(12.0)
    assert feed.low == 5


def test_a_late_event_holds_the_low_mark_back() -> None:
    table = Table()
    feed = EventFeed(table.read, 0, settle_seconds=2.0)
    table.visible = {5}
    feed.poll(0.0)
    table.visible.add(4)
    feed.poll(1.5)
    feed.poll(2.5)
    assert feed.low == 0
    feed.poll(3.5)
    assert feed.low == 5


def test_without_settling_every_event_is_passed_at_once() -> None:
    table = Table()
    table.visible = {1, 2, 3}
    feed = EventFeed(table.read, 0, settle_seconds=0.0)
    assert [one.id for one in feed.poll(0.0)] == [1, 2, 3]
    assert feed.low == 3


def test_a_feed_that_goes_on_from_another_leaves_out_what_was_sent_and_finds_what_came_late() -> None:
    table = Table()
    table.visible = {4, 6, 7}
    feed = EventFeed(table.read, 3, sent=6)
    assert [one.id for one in feed.poll(0.0)] == [4, 7]


def test_more_events_than_a_page_are_all_read() -> None:
    table = Table()
    table.visible = set(range(1, PAGE_SIZE * 2 + 10))
    feed = EventFeed(table.read, 0)
    assert len(feed.poll(0.0)) == PAGE_SIZE * 2 + 9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1.9)), max_size=40))
def test_nothing_is_missed_or_doubled_while_commits_are_late_by_less_than_the_settling_time(
    plan: list[tuple[int, float]],
) -> None:
    """Each event has a time at which its id is given out, and commits up to 1.9 s later."""
    allocated = sorted(moment / 5 for moment, _ in plan)
    commits = {number + 1: at + late for number, (at, (_, late)) in enumerate(zip(allocated, plan, strict=True))}
    table = Table()
    feed = EventFeed(table.read, 0, settle_seconds=2.0)
    given_ids: list[int] = []
    for tick in range(150):
        now = tick / 10
        table.visible = {event_id for event_id, at in commits.items() if at <= now}
        given_ids += [one.id for one in feed.poll(now)]
    assert sorted(given_ids) == sorted(commits)
