"""Where in the user's files something stands, in a few words: ``etl/jobs.py:14``.

Used by definitions to word mistakes. Tracebacks of running code are execution/'s.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

_OURS = str(Path(__file__).parent)


def origin_of(function: Callable[..., Any] | None) -> str:
    """Return the file and line of a user's function, or an empty string when it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return f"{_short(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""


def calling_origin() -> str:
    """Return the file and line of the nearest caller that is not one of the product's definitions."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_OURS):
            return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def at(origin: str, sentence: str) -> str:
    """Put an origin before a sentence, when there is one."""
    return f"{origin}: {sentence}" if origin else sentence


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-2:]).lstrip("/")
