"""Cancellation inside a worker: a broadcast names pool children, and the parent signals those that work on the run.

Before it signals, the parent leaves a mark with the run's id. A child that gets the signal looks for the mark of the
run it works on: it raises ExecutionInterrupted in the user's code if it is there, and else goes on, so that a signal
that comes late interrupts nobody else's step.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from celery.worker.control import control_command

from orchord.spi import ExecutionInterrupted

logger = logging.getLogger(__name__)

INTERRUPT_SIGNAL = signal.SIGUSR1


class Interrupts:
    """The marks of one worker, shared by its parent and its pool children through a folder of its own."""

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self._folder = Path(tempfile.gettempdir()) / f"orchord-{worker_id}"

    def interrupt(self, run_id: str, process_ids: list[int]) -> int:
        """Signal pool children that work on a run. Returns how many were signalled."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / run_id).touch()
        signalled = 0
        for process_id in process_ids:
            try:
                os.kill(process_id, INTERRUPT_SIGNAL)
                signalled += 1
            except ProcessLookupError:
                logger.info("Process %s, which worked on run %s, is gone already", process_id, run_id)
        return signalled

    @contextmanager
    def accepted(self, run_id: str) -> Iterator[None]:
        """While it lasts, the signal raises ExecutionInterrupted if it is meant for this run."""
        mark = self._folder / run_id

        def raise_if_meant(number: int, frame: FrameType | None) -> None:
            if mark.exists():
                raise ExecutionInterrupted("The run was canceled.")

        signal.signal(INTERRUPT_SIGNAL, raise_if_meant)
        try:
            if mark.exists():
                # The signal came between the claim and this handler.
                raise ExecutionInterrupted("The run was canceled.")
            yield
        finally:
            signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)

    def clear(self) -> None:
        """Take the marks away, at the worker's end."""
        if self._folder.exists():
            for mark in self._folder.iterdir():
                mark.unlink(missing_ok=True)
            self._folder.rmdir()


@control_command(name="orchord_interrupt", args=[("run_id", str), ("holders", list)])  # type: ignore[untyped-decorator]
def interrupt_run(panel: Any, run_id: str, holders: list[list[Any]]) -> dict[str, int]:
    """Interrupt the steps of a run that this worker's pool children (worker id, process id) work on."""
    own_id = panel.app.conf.orchord_worker_id
    children = {process.pid for process in panel.consumer.pool._pool._pool}
    wanted = [process_id for worker_id, process_id in holders if worker_id == own_id and process_id in children]
    return {"signalled": Interrupts(own_id).interrupt(run_id, wanted) if wanted else 0}
