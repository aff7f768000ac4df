"""The signal that stops user code in the middle: raised into the step's thread, seen as the run's cancellation.

Who raises it is the worker (a revoked task, SIGINT); that it means CANCELED is decided in step.py.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_MESSAGE = "The run was canceled."


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


class StopNotice:
    """Word that a run is to stop, for a process that follows others: noted, and raised only where that is asked for.

    An exception out of a signal handler could strike between a step's end and its being written down. Whoever waits
    for descriptors waits for this one too.

    Attributes:
        is_set: whether the run is to stop.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._raises = False
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return a descriptor that can be read from once the notice is set."""
        return self._reader.fileno()

    def set(self) -> None:
        """Give notice, once. May be called by a signal handler."""
        if self.is_set:
            return
        self.is_set = True
        self._writer.send(b"s")
        if self._raises:
            raise ExecutionInterrupted(STOP_MESSAGE)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """While this lasts, the notice interrupts what this thread does.

        Raises:
            ExecutionInterrupted: the notice is set, or was before.
        """
        try:
            # Before the look: a notice that comes between the two would be neither seen nor raised.
            self._raises = True
            if self.is_set:
                raise ExecutionInterrupted(STOP_MESSAGE)
            yield
        finally:
            self._raises = False

    def close(self) -> None:
        """Give back the descriptors."""
        self._reader.close()
        self._writer.close()


@contextmanager
def stop_noticed(
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT),
) -> Iterator[StopNotice]:
    """Turn these signals into a notice while the context lasts; a second SIGINT raises KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, nothing sets the notice.
    """
    notice = StopNotice()

    def handle(number: int, frame: FrameType | None) -> None:
        if notice.is_set and number == signal.SIGINT:
            raise KeyboardInterrupt
        notice.set()

    is_main = threading.current_thread() is threading.main_thread()
    earlier = {number: signal.signal(number, handle) for number in signals} if is_main else {}
    try:
        yield notice
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        notice.close()
