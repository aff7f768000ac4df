"""The events of one attempt, in the order in which they happened, free of secrets, and shown live to whoever listens.

What each event says is decided where it happens (step.py, inputs.py, outputs.py, logs.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from orchord.events import Event, EventType, utc_now
from orchord.execution.masking import NOTHING_SECRET, Masker

_encoder = msgspec.json.Encoder()
# Deeper data is told as text; no reader unfolds so much, and an encoder recurses only so far.
_DEEPEST = 50


class Journal:
    """Collects the events of one attempt.

    Args:
        step_key: the step they belong to.
        masker: hides secrets in messages and data.
        listener: is called with each event as it happens.
    """

    __slots__ = ("events", "listener", "masker", "step_key")

    def __init__(
        self,
        step_key: str | None,
        masker: Masker = NOTHING_SECRET,
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        self.step_key = step_key
        self.masker = masker
        self.listener = listener
        self.events: list[Event] = []

    def add(
        self,
        type_: EventType,
        message: str = "",
        data: dict[str, Any] | None = None,
        *,
        level: int = logging.INFO,
        asset_key: str | None = None,
        partition: str | None = None,
    ) -> None:
        """Note that something happened now."""
        if data:
            data = _json_able(data)
        if self.masker:
            message, data = self.masker.text(message), self.masker.data(data)
        event = Event(
            type=type_,
            timestamp=utc_now(),
            message=message,
            step_key=self.step_key,
            level=level,
            data=data or {},
            asset_key=asset_key,
            partition=partition,
        )
        self.events.append(event)
        if self.listener is not None:
            self.listener(event)


def _json_able(data: dict[str, Any]) -> dict[str, Any]:
    """Return data that can be stored. What a user's metadata holds must not cost a step its end."""
    try:
        _encoder.encode(data)
    except UnicodeEncodeError:
        return data  # Storage writes such texts in its own way.
    except (TypeError, ValueError, RecursionError):
        return {key: _plain(value) for key, value in data.items()}
    return data


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict) and depth < _DEEPEST:
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and depth < _DEEPEST:
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return f"<{type(value).__name__}>" if isinstance(value, (dict, list, tuple)) else repr(value)
