"""The signal that stops user code in the middle: raised into the step's thread, seen as the run's cancellation.

Who raises it is the worker (a revoked task, SIGINT); that it means CANCELED is decided in step.py.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class ExecutionInterrupted(BaseException):
    """The run was canceled while the step ran. Not an Exception, so that user code does not swallow it by accident."""


@contextmanager
def interrupts_raised(signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)) -> Iterator[None]:
    """Turn these signals into ``ExecutionInterrupted`` while the context lasts.

    Outside the main thread, where Python allows no handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise ExecutionInterrupted(signal.Signals(number).name)

    earlier = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
