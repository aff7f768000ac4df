"""Timings as numbers: repeating an action, alternating two sides, and what to report of the samples.

Starting the sides is in stacks.py, what is required of the figures in report.py.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Action = Callable[[], object]


@dataclass(frozen=True)
class Samples:
    """Seconds, one for each repetition."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]

    def as_milliseconds(self) -> dict[str, float | int]:
        return {
            "median_ms": round(self.median * 1000, 3),
            "p95_ms": round(self.p95 * 1000, 3),
            "min_ms": round(min(self.seconds) * 1000, 3),
            "repetitions": len(self.seconds),
        }


def timed(action: Action) -> float:
    """Return the seconds that ``action`` takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def alternate(
    sides: Mapping[str, Action], repetitions: int, warm_up: int, tick: Callable[[], object]
) -> dict[str, Samples]:
    """Time several sides in turn (A B A B …), so that whatever disturbs the machine disturbs all of them.

    Args:
        sides: what to time, by name.
        repetitions: how often each side is timed.
        warm_up: how often each side runs untimed before.
        tick: called after each timed pair, for progress.
    """
    for _ in range(warm_up):
        for action in sides.values():
            action()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    order: Sequence[str] = list(sides)
    for number in range(repetitions):
        # Every second round goes backwards: neither side always comes first.
        for name in order if number % 2 == 0 else reversed(order):
            seconds[name].append(timed(sides[name]))
        tick()
    return {name: Samples(tuple(values)) for name, values in seconds.items()}
