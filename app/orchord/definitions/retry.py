"""Retry policies: how often a step is tried again, and how long it waits before.

Pure: the random number that jitter needs is an argument. Who counts the attempts is execution/; the policy as data
inside a plan is plan.model.RetryRule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchord.errors import InvalidDefinitionError


class Backoff(Enum):
    """How the delay grows with the number of the retry."""

    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"


class Jitter(Enum):
    """How a delay is spread, so that steps that failed together do not come back together."""

    FULL = "FULL"
    PLUS_MINUS = "PLUS_MINUS"


@dataclass(frozen=True)
class RetryPolicy:
    """Try a failed step again, at most ``max_retries`` times.

    Args:
        max_retries: how many further attempts follow the first.
        delay: seconds to wait before the first retry. None: no wait.
        backoff: LINEAR waits ``delay * n`` before retry n, EXPONENTIAL ``(2**n - 1) * delay``. None: always ``delay``.
        jitter: FULL waits a random share of the delay; PLUS_MINUS adds or takes away up to one ``delay``.

    Raises:
        InvalidDefinitionError: a number is negative, or ``backoff`` or ``jitter`` comes without ``delay``.
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        if isinstance(self.max_retries, bool) or not isinstance(self.max_retries, int) or self.max_retries < 0:
            raise InvalidDefinitionError(f"RetryPolicy max_retries must be 0 or more, not {self.max_retries!r}.")
        if self.delay is not None and self.delay < 0:
            raise InvalidDefinitionError(f"RetryPolicy delay must be 0 or more seconds, not {self.delay!r}.")
        for name, value in (("backoff", self.backoff), ("jitter", self.jitter)):
            if value is not None and self.delay is None:
                raise InvalidDefinitionError(f"RetryPolicy {name} needs a delay to work on. Give delay=<seconds>.")

    def delay_seconds(self, retry_number: int, random_number: float) -> float:
        """Return how long to wait before retry ``retry_number`` (from 1).

        Args:
            retry_number: 1 for the first retry.
            random_number: from [0, 1); only jitter looks at it.
        """
        return delay_seconds(
            self.delay,
            self.backoff.value if self.backoff else None,
            self.jitter.value if self.jitter else None,
            retry_number,
            random_number,
        )


def delay_seconds(
    delay: float | None, backoff: str | None, jitter: str | None, retry_number: int, random_number: float
) -> float:
    """Return the wait in seconds before retry ``retry_number`` (from 1) of a policy given as data.

    ``backoff`` and ``jitter`` hold the enums' names; ``random_number`` is from [0, 1).
    """
    if not delay:
        return 0.0
    wait = delay
    if backoff == Backoff.LINEAR.value:
        wait = delay * retry_number
    elif backoff == Backoff.EXPONENTIAL.value:
        wait = (2.0**retry_number - 1.0) * delay
    if jitter == Jitter.FULL.value:
        wait = random_number * wait
    elif jitter == Jitter.PLUS_MINUS.value:
        wait += (2.0 * random_number - 1.0) * delay
    return max(0.0, wait)
