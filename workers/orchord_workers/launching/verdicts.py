"""What the end of a container means for the attempt that it left undone: a failure of its step, or a loss.

Pure. A loss is tried again, three times in all; a failure counts as one by the user's code does, retry policy included.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from orchord.spi import Attempt, ErrorInfo, Step, StepResult
from orchord_workers.containers.platform import ContainerState, Phase
from orchord_workers.outside_ends import crashed_result, failed_or_retried, killed_for_memory_result

NOT_STARTED = "ContainerNotStarted"
# Exit codes from here on are those of a process that a signal ended, or that a shell reports so.
_BY_SIGNAL = 128
# Whoever stops or kills a container sends one of these, whether or not its process has begun to work.
_FROM_OUTSIDE = tuple(_BY_SIGNAL + number for number in (signal.SIGKILL, signal.SIGTERM))


@dataclass(frozen=True)
class Verdict:
    """What a container's end means.

    Attributes:
        reason: how it ended, for people, after the container's name.
        result_of: makes the result of a step that has failed by it; None: the attempt is lost, and tried again.
        last_lines: what it wrote last, as it is added to an error's text.
    """

    reason: str
    result_of: Callable[[Step, Attempt], StepResult] | None = None
    last_lines: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether trying again is pointless, unless the step's retry policy says otherwise."""
        return self.result_of is not None


def verdict_of(state: ContainerState, *, began: bool, tail: str = "") -> Verdict:
    """Return what a container's end means for what it has not ended.

    Args:
        state: how it ended.
        began: whether its process had begun to work: taken its attempt over, or claimed one.
        tail: the last lines that it wrote.
    """
    lines = f" Its last lines:\n{tail.strip()[-4000:]}" if tail.strip() else ""
    words = f": {state.reason}" if state.reason else ""
    if state.cannot_start:
        reason = f"cannot start{words}"
        return Verdict(reason, lambda step, one: _not_started(step, one, state, reason), lines)
    if state.phase is Phase.GONE:
        return Verdict(f"was removed by somebody before it had ended{words}", None, lines)
    if state.out_of_memory:
        limit = state.memory_limit_bytes
        reason = "was killed by the kernel for its memory"
        reason += "" if limit is None else f" (limit {limit / 2**20:,.0f} MiB)"
        return Verdict(reason, lambda step, one: killed_for_memory_result(step, one.retry_number, limit), lines)
    if state.exit_code is None:
        return Verdict(f"ended without an exit code{words}", None, lines)
    reason = f"exited with code {state.exit_code}{words}"
    if state.exit_code in _FROM_OUTSIDE or (began and state.exit_code >= _BY_SIGNAL):
        return Verdict(reason, None, lines)

    def crashed(step: Step, attempt: Attempt) -> StepResult:
        code, retries = state.exit_code, attempt.retry_number
        return crashed_result(step, retries, exit_code=code, reason=state.reason, tail=tail)

    return Verdict(reason, crashed, lines)


def is_held_by(attempt: Attempt, name: str) -> bool:
    """Return whether an attempt is held by its container, or still by the launcher worker that started that."""
    return attempt.worker_id == name or attempt.process_id == 0


def _not_started(step: Step, attempt: Attempt, state: ContainerState, reason: str) -> StepResult:
    error = ErrorInfo(NOT_STARTED, f"The container of step '{step.key}' {reason}.")
    return failed_or_retried(step, attempt.retry_number, error)
