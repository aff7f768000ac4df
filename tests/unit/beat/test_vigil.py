"""Silence is taken for death only by who could have heard something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchord_beat.vigil import LONGEST_GAP, Vigil

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_vigil_lasts_from_its_first_note() -> None:
    vigil = Vigil()
    assert vigil.lasts(at(0)) == timedelta(0)
    for second in range(12):
        vigil.note(at(second))
    assert vigil.lasts(at(12)) == timedelta(seconds=12)


def test_a_gap_ends_it_also_before_the_next_note() -> None:
    vigil = Vigil()
    for second in range(12):
        vigil.note(at(second))
    later = at(11) + LONGEST_GAP + timedelta(seconds=1)
    assert vigil.lasts(later) == timedelta(0)
    vigil.note(later)
    assert vigil.lasts(later + timedelta(seconds=2)) == timedelta(seconds=2)


def test_notes_of_several_threads_may_come_out_of_order() -> None:
    vigil = Vigil()
    vigil.note(at(0))
    vigil.note(at(4))
    vigil.note(at(3.9))
    assert vigil.lasts(at(8.5)) == timedelta(seconds=8.5)
