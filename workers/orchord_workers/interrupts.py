"""Cancellation inside a worker: the parent leaves word on the board and signals the child, which stops its step.

A child that gets the signal looks whether the word is for what it works on now, so that a signal that comes late
interrupts nobody else's step. Who is to stop is decided in stopping.py, or told by a broadcast (below).
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from celery.worker.control import control_command

from orchord.spi import ExecutionInterrupted, StopNotice
from orchord_workers.board import Board, Busy

logger = logging.getLogger(__name__)

INTERRUPT_SIGNAL = signal.SIGUSR1
MESSAGE = "The run was canceled."


class Interrupts:
    """The soft stop, on both sides: ``interrupt`` in the parent, ``accepted`` in the children."""

    def __init__(self, board: Board | None = None) -> None:
        self.board = board or Board()

    def interrupt(self, busy: Busy) -> bool:
        """Signal a child that works on something. Returns whether it was there."""
        self.board.ask_to_stop(busy)
        try:
            os.kill(busy.process_id, INTERRUPT_SIGNAL)
        except ProcessLookupError:
            logger.info("Process %s, which worked on run %s, is gone already", busy.process_id, busy.run_id)
            return False
        return True

    def interrupt_run(self, run_id: str) -> int:
        """Signal all children that work on a run. Returns how many were."""
        return sum(self.interrupt(busy) for busy in self.board.busy() if busy.run_id == run_id)

    @contextmanager
    def accepted(self, run_id: str, token: str | None = None) -> Iterator[None]:
        """While it lasts, the signal raises ExecutionInterrupted, once, if it is meant for this work.

        Once: what the user's code does about it (``finally``, hooks) is not interrupted again.
        """
        is_over = False

        def raise_if_meant(number: int, frame: FrameType | None) -> None:
            nonlocal is_over
            if not is_over and self.board.is_asked_to_stop():
                is_over = True
                raise ExecutionInterrupted(MESSAGE)

        signal.signal(INTERRUPT_SIGNAL, raise_if_meant)
        # A supervisor may send SIGTERM to all processes of a worker. The pool's handler would raise SystemExit in the
        # user's code, and fail its step; a process that is gone has its step run again (lost.py).
        earlier = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.board.write(run_id, token)
        try:
            yield
        finally:
            is_over = True
            signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, earlier)
            self.board.clear()

    @contextmanager
    def noticed(self, run_id: str, token: str | None = None) -> Iterator[StopNotice]:
        """While it lasts, the signal sets a notice if it is meant for this work: for work done in other processes."""
        notice = StopNotice()

        def set_if_meant(number: int, frame: FrameType | None) -> None:
            if self.board.is_asked_to_stop():
                notice.set()

        signal.signal(INTERRUPT_SIGNAL, set_if_meant)
        earlier = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.board.write(run_id, token)
        try:
            yield notice
        finally:
            signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, earlier)
            self.board.clear()
            notice.close()


@control_command(name="orchord_interrupt", args=[("run_id", str), ("holders", list)])  # type: ignore[untyped-decorator]
def interrupt_run(panel: Any, run_id: str, holders: list[list[Any]] | None = None) -> dict[str, int]:
    """Interrupt what this worker's pool children do for a run. ``holders`` narrows it in older senders; not needed."""
    interrupts: Interrupts = panel.app.conf.orchord_interrupts
    return {"signalled": interrupts.interrupt_run(run_id)}
