"""User code for logs.py: steps that print lines which say when they were printed."""

from __future__ import annotations

import time

import orchord as dg


class Talk(dg.Config):
    """How much a step prints."""

    lines: int = 1000
    lines_per_second: float = 100.0


@dg.op
def talk(config: Talk) -> None:
    """Print lines at a steady pace, each with its number and the time."""
    began = time.monotonic()
    for number in range(config.lines):
        due = began + number / config.lines_per_second
        if (pause := due - time.monotonic()) > 0:
            time.sleep(pause)
        print(f"{number} {time.time():.4f} the quick brown fox jumps over the lazy dog")


@dg.job
def talking() -> None:
    """One step that talks."""
    talk()


defs = dg.Definitions(jobs=[talking])
