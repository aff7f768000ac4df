"""What a worker's parent process does when a pool child has died: it ends, or has run again, what the child held.

Celery's own answer, putting the message back, would meet its own fence: the attempt is claimed by the dead process,
and that may be a later step of the chain than the one the message named. Nor is it told by a message: that would wait
behind all steps in the queue, and a pool's slot with it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.worker import state
from celery.worker.request import Request

from orchord.spi import OrchordInstance, UnavailableError
from orchord_workers.app import broker_errors_translated
from orchord_workers.board import Board
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.endings import publish_end
from orchord_workers.mending import Mender, ProcessEnd
from orchord_workers.step_runner import Holder, StepRunner

logger = logging.getLogger(__name__)


class FencedRequest(Request):  # type: ignore[misc]  # celery has no types
    """A request whose loss is told to ``LostChildren``, which the app's configuration names."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Tell of a lost pool child; leave every other failure to Celery."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, (WorkerLostError, SystemExit)):
            lost: LostChildren = self.app.conf.orchord_lost_children
            lost.attend(self.worker_pid or 0, run_id_of(self._args))
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)


class LostChildren:
    """Brings on what dead pool children held. For the parent's main thread alone: it is the one that forks.

    Args:
        instance: The parent's.
        app: How what is due again is sent.
        worker_id: Whose children they are.
        board: What they last said of themselves.
    """

    def __init__(self, instance: OrchordInstance, app: Celery, worker_id: str, board: Board) -> None:
        self._instance = instance
        self._app = app
        self._worker_id = worker_id
        self._board = board
        # Why children are gone whose attempts could not be ended yet: their place on the board is another's soon.
        self._reasons: dict[int, ProcessEnd] = {}

    @cached_property
    def _mender(self) -> Mender:
        # Without user code: the parent runs none.
        runner = StepRunner(
            self._instance,
            Canvas(self._app),
            RunContexts(self._instance, None),
            holder=Holder(self._worker_id, os.getpid()),
            notify_end=lambda run_id, status: publish_end(self._app, run_id, status),
        )
        return Mender(runner)

    def attend(self, process_id: int, run_id: str) -> None:
        """End what a dead child held. What cannot be done now is found again by the next look (orphans.py)."""
        why = self._reasons.pop(process_id, None) or end_of(self._board, process_id)
        try:
            with broker_errors_translated(self._app):
                self._mender.process_lost(self._worker_id, process_id, run_id, why)
        except UnavailableError as error:
            self._reasons[process_id] = why
            logger.warning("What the dead process %s held is attended to later: %s", process_id, error)
        except Exception:  # boundary: our own faults; they must not end the worker's loop
            logger.exception("What the dead process %s held cannot be attended to", process_id)


def when_idle(worker: Any, act: Callable[[], None]) -> None:
    """Have something done by the worker's main thread, between two events. May be called by any thread."""
    hub = worker.consumer.hub if worker.consumer is not None else None
    if hub is not None:
        hub.call_soon(act)


def end_of(board: Board, process_id: int) -> ProcessEnd:
    """Return why a child is gone: its word on the board outlives it."""
    # Celery notes the exit code there that it was asked to end with: 0 is one too.
    if any(asked is not None and asked is not False for asked in (state.should_stop, state.should_terminate)):
        return ProcessEnd.STOPPED
    for busy in board.busy():
        if busy.process_id == process_id and busy.end_at is not None and busy.end_at <= time.monotonic() + 0.5:
            return ProcessEnd.TIME_LIMIT
    return ProcessEnd.DIED


def run_id_of(arguments: list[Any]) -> str:
    """Return the run that a message is about: the first argument, or the one after the parts of a chord's body."""
    return str(arguments[1] if isinstance(arguments[0], list) else arguments[0])
