"""What stands on the board while the parent and a child write to it at once."""

from __future__ import annotations

import time

import pytest

from orchord_workers.board import Board


def test_the_parents_word_survives_a_time_limit_that_is_set_in_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    board.take_place(0)
    board.write("run", "token")
    (busy,) = board.busy()
    monotonic = time.monotonic

    def while_the_child_writes() -> float:
        board.ask_to_stop(busy)
        return monotonic()

    monkeypatch.setattr(time, "monotonic", while_the_child_writes)
    board.limit(5.0)
    assert board.is_asked_to_stop()
    (busy,) = board.busy()
    assert busy.end_at is not None
    assert busy.end_at > monotonic() + 4.0
    board.limit(None)
    assert board.busy()[0].end_at is None
