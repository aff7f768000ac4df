"""What a worker's parent process does when the pool child that ran a task has died: it reports the process, and why.

Celery's own answer, putting the message back, would meet its own fence: the attempt is claimed by the dead process,
and that may be a later step of the chain than the one the message named.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker import state
from celery.worker.request import Request
from kombu.exceptions import KombuError

from orchord.spi import ProcessEnd
from orchord_workers.board import Board
from orchord_workers.canvas import Canvas

logger = logging.getLogger(__name__)


class FencedRequest(Request):  # type: ignore[misc]  # celery has no types
    """A request whose loss is told to the mender. The message is acknowledged once the report has been sent."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Report a lost pool child; leave every other failure to Celery."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, (WorkerLostError, SystemExit)):
            try:
                conf, process_id = self.app.conf, self.worker_pid or 0
                Canvas(self.app).send_lost(
                    conf.task_default_queue,
                    conf.orchord_worker_id,
                    process_id,
                    run_id_of(self._args),
                    end_of(conf.orchord_interrupts.board, process_id),
                )
            except (KombuError, OSError) as publish_error:
                # The monitor finds the run quiet, but the dead child's attempt only with the worker itself.
                logger.error("Could not report that %s was lost: %s", self.id, publish_error)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)


def end_of(board: Board, process_id: int) -> ProcessEnd:
    """Return why a child is gone: its word on the board outlives it."""
    if state.should_stop or state.should_terminate:
        return ProcessEnd.STOPPED
    for busy in board.busy():
        if busy.process_id == process_id and busy.end_at is not None and busy.end_at <= time.monotonic() + 0.5:
            return ProcessEnd.TIME_LIMIT
    return ProcessEnd.DIED


def run_id_of(arguments: list[Any]) -> str:
    """Return the run that a message is about: the first argument, or the one after the parts of a chord's body."""
    return str(arguments[1] if isinstance(arguments[0], list) else arguments[0])
