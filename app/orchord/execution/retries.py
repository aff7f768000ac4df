"""Whether a failed attempt is followed by another, and after how long. The delays' formula is in definitions/retry.py.

Errors that a further attempt would only meet again (a value of the wrong type, a missing output) are not retried.
"""

from __future__ import annotations

import random

from orchord.definitions.retry import delay_seconds
from orchord.definitions.signals import Failure, RetryRequested
from orchord.errors import (
    InvalidConfigError,
    InvalidDefinitionError,
    InvalidInvocationError,
    InvariantViolationError,
    TypeCheckError,
)
from orchord.plan.model import RetryRule

_HOPELESS = (
    InvalidConfigError,
    InvalidDefinitionError,
    InvalidInvocationError,
    InvariantViolationError,
    TypeCheckError,
)


def retry_delay_seconds(error: BaseException, rule: RetryRule | None, retry_number: int) -> float | None:
    """Return how long to wait before the next attempt, or None when there is none.

    Args:
        error: what ended the attempt.
        rule: the step's retry policy.
        retry_number: how many retries there were before this attempt ended.
    """
    if isinstance(error, RetryRequested):
        return (error.seconds_to_wait or 0.0) if retry_number < error.max_retries else None
    if rule is None or retry_number >= rule.max_retries or not isinstance(error, Exception):
        return None
    if isinstance(error, _HOPELESS) or (isinstance(error, Failure) and not error.allow_retries):
        return None
    return delay_seconds(rule.delay_seconds, rule.backoff, rule.jitter, retry_number + 1, random.random())
