"""The heap of what is due when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchord_beat.heap import DueHeap

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_what_is_due_comes_out_in_order_and_once() -> None:
    heap: DueHeap[str] = DueHeap()
    for key, seconds in {"late": 9, "first": 1, "second": 2}.items():
        heap.put(key, after(seconds))
    assert heap.next_at() == after(1)
    assert heap.pop_due(after(2)) == ["first", "second"]
    assert heap.pop_due(after(2)) == []
    assert heap.next_at() == after(9)


def test_a_key_has_the_time_that_was_said_last() -> None:
    heap: DueHeap[str] = DueHeap()
    heap.put("a", after(1))
    heap.put("a", after(5))
    assert heap.pop_due(after(4)) == []
    heap.put("a", after(2))
    assert heap.pop_due(after(4)) == ["a"]
    assert len(heap) == 0
    assert heap.next_at() is None


def test_what_was_removed_is_never_due() -> None:
    heap: DueHeap[str] = DueHeap()
    heap.put("a", after(1))
    heap.remove("a")
    heap.remove("never there")
    assert heap.next_at() is None
    assert heap.pop_due(after(9)) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=200))
def test_it_gives_what_a_plain_table_would(puts: list[tuple[int, int]]) -> None:
    heap: DueHeap[int] = DueHeap()
    table: dict[int, int] = {}
    for key, seconds in puts:
        heap.put(key, after(seconds))
        table[key] = seconds
    assert len(heap) == len(table)
    due = heap.pop_due(after(50))
    assert sorted(due) == sorted(key for key, seconds in table.items() if seconds <= 50)
    assert [table[key] for key in due] == sorted(table[key] for key in due)
