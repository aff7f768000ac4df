"""When a tick worker takes more processes: for ticks that last, and not for many that are quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchord_workers.ticks.room import LONG_SECONDS, Processors, long_busy

NOW = 1000.0


@dataclass
class Request:
    time_start: float | None
    args: list[list[int]] = field(default_factory=lambda: [[1]])


def test_a_tick_that_lasts_has_a_deputy() -> None:
    requests = [Request(NOW - LONG_SECONDS / 2), Request(NOW - 2 * LONG_SECONDS), Request(None)]
    assert long_busy(requests, NOW) == 1


def test_a_message_of_many_ticks_may_take_as_much_longer() -> None:
    batch = [list(range(25))]
    assert long_busy([Request(NOW - 20 * LONG_SECONDS, batch)], NOW) == 0
    assert long_busy([Request(NOW - 30 * LONG_SECONDS, batch)], NOW) == 1


def test_idle_time_is_that_since_the_last_look(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    file.write_text("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    processors = Processors(file)
    file.write_text("cpu  130 0 140 825 5 0 0 0 0 0\n")
    assert processors.idle_share() == 0.3
    file.write_text("cpu  180 0 190 825 5 0 0 0 0 0\n")
    assert processors.idle_share() == 0.0


def test_where_nobody_can_tell_processors_count_as_idle(tmp_path: Path) -> None:
    assert Processors(tmp_path / "missing").idle_share() == 1.0
