"""What becomes of the attempts of a child that is gone, as its parent in the container sees it.

How the ends are worded is outside_ends.py; the end of a whole container is the watchman's (launching).
"""

from __future__ import annotations

import logging
import signal
import time
from dataclasses import dataclass

from orchord.spi import Attempt, Step, StepResult
from orchord_workers.board import Board
from orchord_workers.mending import Mender, ProcessEnd
from orchord_workers.outside_ends import crashed_result, killed_for_memory_result

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Death:
    """How a child ended.

    Attributes:
        process_id: the child.
        exit_code: its exit code; negative: the number of the signal that ended it.
        was_stopped: the container was told to stop.
        out_of_memory: the kernel killed it for the container's memory.
        limit_bytes: the container's memory limit, if it is known.
    """

    process_id: int
    exit_code: int
    was_stopped: bool
    out_of_memory: bool
    limit_bytes: int | None


def attend_to(mender: Mender, board: Board, worker_id: str, death: Death) -> list[Attempt]:
    """End, or give up for another try, every attempt that a dead child still held. Returns these attempts."""
    held = mender.storage.attempts.running_of_process(worker_id, death.process_id)
    if not held:
        return []
    logger.warning("Process %s, which ran %s, %s", death.process_id, held[0].step_key, _words(death))
    if death.was_stopped:
        mender.give_up(held, "its container was stopped", counts=False)
    elif _is_past_its_limit(board, death.process_id):
        mender.end_or_give_up(held, ProcessEnd.TIME_LIMIT)
    elif death.out_of_memory:
        mender.end_with(held, lambda step, one: killed_for_memory_result(step, one.retry_number, death.limit_bytes))
    elif death.exit_code == -signal.SIGKILL:
        # From outside, or by a kernel that had no memory left at all: the step may be innocent.
        mender.give_up(held, "the process that ran it was killed (SIGKILL)")
    else:
        mender.end_with(held, lambda step, one: _crashed(step, one, death))
    return held


def _crashed(step: Step, attempt: Attempt, death: Death) -> StepResult:
    return crashed_result(step, attempt.retry_number, exit_code=death.exit_code)


def _is_past_its_limit(board: Board, process_id: int) -> bool:
    now = time.monotonic()
    return any(
        busy.process_id == process_id and busy.end_at is not None and busy.end_at <= now + 0.5 for busy in board.busy()
    )


def _words(death: Death) -> str:
    return f"ended by {signal.Signals(-death.exit_code).name}" if death.exit_code < 0 else f"exited {death.exit_code}"
