"""How long a step may take: read from ``timeout_seconds=`` or from the tag of an op or of one use of it.

Holding a step to it is execution/time_limit.py in the process, and orchord_workers.hard_limit from outside the code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TIMEOUT_TAGS = ("orchord/timeout_seconds", "dagster/timeout_seconds")


def checked_time_limit(given: Any, tags: Mapping[str, str], mistakes: list[str]) -> float | None:
    """Return the time limit in seconds, the argument before the tag; None without one.

    Args:
        given: the argument ``timeout_seconds``.
        tags: the tags of the op, or of a use of it.
        mistakes: takes what is wrong, in words.
    """
    if given is not None:
        if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given < math.inf:
            return float(given)
        mistakes.append(f"timeout_seconds is {given!r}: give a number of seconds above 0")
        return None
    for tag in TIMEOUT_TAGS:
        if tag in tags:
            return _tagged(tag, tags[tag], mistakes)
    return None


def _tagged(tag: str, text: str, mistakes: list[str]) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 < seconds < math.inf:
        return seconds
    mistakes.append(f"its tag '{tag}' is '{text}': give a number of seconds above 0")
    return None
