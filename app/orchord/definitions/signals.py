"""What user code raises to tell the engine something: Failure and RetryRequested.

They are not errors of the product (those are in errors.py); what follows from them is decided in execution/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.errors import InvalidInvocationError


class Failure(Exception):
    """Raise this to fail a step with a description and metadata.

    Args:
        description: what went wrong, for people. It becomes the event's message.
        metadata: values that the console shows beside the failure.
        allow_retries: False ends the step at once, whatever its retry policy says. None means True.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        allow_retries: bool | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.allow_retries = True if allow_retries is None else allow_retries


class RetryRequested(Exception):
    """Raise this to have the step tried again. ``raise RetryRequested(...) from error`` keeps the cause.

    Args:
        max_retries: how many further attempts may follow the first.
        seconds_to_wait: seconds to wait before the next attempt.
    """

    def __init__(self, max_retries: int | None = 1, seconds_to_wait: float | None = None) -> None:
        self.max_retries = 1 if max_retries is None else max_retries
        self.seconds_to_wait = seconds_to_wait
        if self.max_retries < 0:
            raise InvalidInvocationError(f"RetryRequested max_retries must be 0 or more, not {max_retries!r}.")
        if seconds_to_wait is not None and seconds_to_wait < 0:
            raise InvalidInvocationError(f"RetryRequested seconds_to_wait must be 0 or more, not {seconds_to_wait!r}.")
        super().__init__(f"retry requested (max_retries={self.max_retries}, seconds_to_wait={seconds_to_wait})")
