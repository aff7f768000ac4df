"""Cancellation inside a worker: a broadcast names attempts, the parent signals the pool child that runs one.

The child turns the signal into an ExecutionInterrupted in the user's code, and ignores it between steps: a signal
that comes late must not end the pool child.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import AbstractContextManager
from typing import Any

from celery.worker import state
from celery.worker.control import control_command

from orchord.spi import StepMessage, interrupts_raised

logger = logging.getLogger(__name__)

INTERRUPT_SIGNAL = signal.SIGUSR1


def ignore_in_child() -> None:
    """Ignore the signal in a pool child while it works on no step."""
    signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)


def interruptible() -> AbstractContextManager[None]:
    """While it lasts, the signal raises ExecutionInterrupted."""
    return interrupts_raised((INTERRUPT_SIGNAL,))


@control_command(name="orchord_interrupt", args=[("attempts", list)])  # type: ignore[untyped-decorator]
def interrupt_attempts(panel: Any, attempts: list[list[Any]]) -> dict[str, int]:
    """Signal the pool children that run these attempts (run id, step key, attempt)."""
    wanted = {StepMessage(run_id, step_key, attempt).task_id for run_id, step_key, attempt in attempts}
    signalled = 0
    for request in list(state.active_requests):
        if request.id in wanted and request.worker_pid:
            try:
                os.kill(request.worker_pid, INTERRUPT_SIGNAL)
                signalled += 1
            except ProcessLookupError:
                logger.info("The process of %s is gone already", request.id)
    return {"signalled": signalled}
