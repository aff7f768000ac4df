"""Holding a step to its time limit: an exception in the user's function, and the end of the process as a last resort.

Where limits come from is definitions/time_limit.py. The exception waits for Python to run; code in C that does not
return is ended by a thread of the interpreter's own that needs no lock, in processes that allow it (pool children).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from orchord.errors import StepTimeoutError

# Between the exception and the end of the process: for ``finally`` and what else the user's code has to do.
HARD_GRACE_SECONDS = 5.0


class _Ending:
    """Whether this process may be ended when a step does not stop, and how long after its limit."""

    grace_seconds: float | None = None
    log_descriptor: int = 2


def end_process_of_stuck_steps(grace_seconds: float | None = HARD_GRACE_SECONDS) -> None:
    """Let this process be ended when a step goes on past its time limit by so much. None: never, as at first.

    For processes that are replaced when they die and whose attempts are then taken care of by others.
    """
    _Ending.grace_seconds = grace_seconds
    if grace_seconds is not None and _Ending.log_descriptor == 2:
        _Ending.log_descriptor = os.dup(2)


def held_to(seconds: float | None, step_key: str) -> AbstractContextManager[None]:
    """Return a context in which StepTimeoutError is raised after so many seconds; None: without limit.

    Outside the main thread, where Python takes no signals, only the end of the process is left.
    """
    return nullcontext() if seconds is None else _held_to(seconds, step_key)


def timeout_message(step_key: str, seconds: float) -> str:
    """Word what happened to a step that took too long."""
    return f"Step '{step_key}' took longer than its time limit of {seconds:g} s (timeout_seconds)."


@contextmanager
def _held_to(seconds: float, step_key: str) -> Iterator[None]:
    is_armed = True

    def raise_once(number: int, frame: FrameType | None) -> None:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise StepTimeoutError(timeout_message(step_key, seconds))

    with _ended_after(seconds):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier = signal.signal(signal.SIGALRM, raise_once)
        earlier_timer = signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            is_armed = False
            signal.setitimer(signal.ITIMER_REAL, *earlier_timer)
            signal.signal(signal.SIGALRM, earlier)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End the process, with all stacks on what was standard error at first, unless the context is left in time."""
    if _Ending.grace_seconds is None:
        yield
        return
    # Not to where the step prints now: a file of its own that gets its name from Python would be lost with the process.
    faulthandler.dump_traceback_later(seconds + _Ending.grace_seconds, exit=True, file=_Ending.log_descriptor)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
