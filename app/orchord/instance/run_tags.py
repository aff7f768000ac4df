"""Tags of runs that say how long a run may take and how it is retried: what may stand in them.

What they do is with who reads them: run_retries.py, and the monitor of the daemon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

_STRATEGIES = ("FROM_FAILURE", "ALL_STEPS", "FROM_ASSET_FAILURE")


def own_tag(key: str) -> str:
    """Return a tag's key with Dagster's prefix read as ours."""
    return f"orchord/{key.removeprefix('dagster/')}" if key.startswith("dagster/") else key


def tag_mistakes(tags: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the values of a run's tags, one sentence each."""
    return [
        f"tags: found {key}: {tags[key]!r}, expected {wanted}."
        for key, (is_right, wanted) in _KNOWN.items()
        if key in tags and not is_right(tags[key])
    ]


def _is_count(text: str) -> bool:
    text = text.strip()
    return text.isascii() and text.isdigit()


def _is_seconds(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


_KNOWN: dict[str, tuple[Callable[[str], bool], str]] = {
    "orchord/max_retries": (_is_count, "a whole number, 0 or more, as text"),
    "orchord/max_runtime": (_is_seconds, "a number of seconds as text; 0: no limit"),
    "orchord/retry_strategy": (_STRATEGIES.__contains__, f"one of {', '.join(_STRATEGIES)}"),
}
