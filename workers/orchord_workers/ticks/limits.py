"""Holding an evaluation to its time limit: first an exception in user code, then the end of the process.

The exception waits until Python runs again; a call in C that does not return is ended by a thread of the interpreter's
own, which needs no lock. The parent process then sees to the tick (lost.py).
"""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchord.spi import TickTimeLimitExceeded

# Between the exception and the end of the process: for ``finally`` and what else user code has to do.
HARD_GRACE_SECONDS = 5.0


@contextmanager
def held_to(seconds: float, what: str) -> Iterator[None]:
    """While it lasts, raise TickTimeLimitExceeded after so many seconds; end the process some seconds later.

    For the main thread of a pool child, which is replaced when it dies.
    """

    is_over = False

    def raise_late(number: int, frame: FrameType | None) -> None:
        # Not while the limit is taken off: the rest of that would be left out, and the process be ended later.
        if not is_over:
            raise TickTimeLimitExceeded(
                f"The evaluation of {what} took longer than its limit of {seconds:g} s. Raise it by timeout_seconds=, "
                "or by timeout_seconds of the instance file's section."
            )

    earlier = signal.signal(signal.SIGALRM, raise_late)
    faulthandler.dump_traceback_later(seconds + HARD_GRACE_SECONDS, exit=True, file=2)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
        faulthandler.cancel_dump_traceback_later()
