"""Waiting for a condition with a deadline, so that no test sleeps for a fixed time.

For Orchord's own tests and for those of its users.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(
    condition: Callable[[], Value],
    deadline_seconds: float = 10.0,
    *,
    interval_seconds: float = 0.01,
    because: str = "",
    ignoring: tuple[type[BaseException], ...] = (),
) -> Value:
    """Call ``condition`` until it returns something true, and return that.

    Args:
        condition: what must come true. Called at least once.
        deadline_seconds: how long to wait.
        interval_seconds: the first pause between two calls; it doubles up to a quarter of a second.
        because: what is being waited for, for the message.
        ignoring: errors that mean "not yet".

    Raises:
        AssertionError: the deadline is over. The message holds the last value, or the last ignored error.
    """
    end = time.monotonic() + deadline_seconds
    pause = interval_seconds
    while True:
        try:
            value = condition()
            last = f"last value: {value!r}"
            if value:
                return value
        except ignoring as error:
            last = f"last error: {error!r}"
        if time.monotonic() >= end:
            what = because or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"Not within {deadline_seconds:g} s: {what}; {last}")
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 2, 0.25)
