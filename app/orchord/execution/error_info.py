"""Errors as data: the user's frames alone, the chain of causes, and no secret.

Frames of Orchord itself are left out, since the user can do nothing about them; an error without any other frame keeps
its last one. What hides secrets is in masking.py.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from types import TracebackType

from orchord.events import ErrorInfo
from orchord.execution.masking import NOTHING_SECRET, Masker

_PACKAGES = ("orchord", "orchord_workers", "orchord_beat", "orchord_web")
_OWN_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MAX_CAUSES = 10


def error_info(error: BaseException, masker: Masker = NOTHING_SECRET) -> ErrorInfo:
    """Return an error as data.

    Args:
        error: what was raised.
        masker: hides secret values in messages and source lines.
    """
    return _info(error, masker, seen=set())


def _info(error: BaseException, masker: Masker, seen: set[int]) -> ErrorInfo:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ErrorInfo(
        cls_name=type(error).__name__,
        message=masker.text(message_of(error)),
        stack=masker.text(_stack(error)),
        cause=_info(cause, masker, seen)
        if cause is not None and id(cause) not in seen and len(seen) < _MAX_CAUSES
        else None,
    )


def message_of(error: BaseException) -> str:
    """Return the text of an error, also of one whose ``__str__`` fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - __str__ is user code
        return f"<{type(error).__name__} whose text cannot be had>"


def _stack(error: BaseException) -> str:
    frames = [frame for frame in _frames(error.__traceback__) if not is_ours(frame.tb_frame.f_code.co_filename)]
    kept = frames or list(_frames(error.__traceback__))[-1:]
    lines: list[str] = []
    if kept:
        summary = traceback.StackSummary.extract((frame.tb_frame, frame.tb_lineno) for frame in kept)
        lines = ["Traceback (most recent call last):\n", *summary.format()]
    return "".join([*lines, *_last_lines(error)])


def _last_lines(error: BaseException) -> list[str]:
    try:
        # Without the traceback: what remains is "Class: message", the notes, and a SyntaxError's own lines.
        return list(traceback.TracebackException(type(error), error, None, compact=True).format_exception_only())
    except Exception:  # noqa: BLE001 - __str__ is user code
        return [f"{type(error).__name__}: {message_of(error)}\n"]


def _frames(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def is_ours(filename: str) -> bool:
    """Return whether a file is one of Orchord's own."""
    if filename.startswith(_OWN_ROOT):
        return True
    parts = filename.split(os.sep)
    return any(package in parts[-6:-1] for package in _PACKAGES[1:])
