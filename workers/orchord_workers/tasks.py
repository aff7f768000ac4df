"""The Celery tasks, bound to one worker process: thin doors to StepRunner and whole runs.

Tasks have no results: what a step made is in storage. A task raises only when Orchord itself cannot go on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Task
from celery.exceptions import Reject

from orchord.spi import (
    END_TASK,
    STEP_TASK,
    WHOLE_RUN_TASK,
    StepMessage,
    StorageUnavailableError,
    parts_from_wire,
)
from orchord_workers.persistence import patiently
from orchord_workers.process import WorkerProcess
from orchord_workers.run_process import carry_out

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0


class FencedTask(Task):  # type: ignore[misc]  # celery has no types
    """A task whose attempt is fenced in storage, and whose loss is attended to (lost.py)."""

    Request = "orchord_workers.lost:FencedRequest"


def register_tasks(process: WorkerProcess) -> None:
    """Register every task on the process's app."""
    app = process.app

    @app.task(name=STEP_TASK, base=FencedTask, bind=True)  # type: ignore[untyped-decorator]
    def step(
        self: Task,
        raw_parts: list[Any],
        run_id: str,
        step_key: str,
        attempt: int = 1,
        retry_number: int = 0,
        pool: str | None = None,
    ) -> None:
        message = StepMessage(run_id, step_key, attempt, retry_number, pool)
        redelivered = bool((self.request.delivery_info or {}).get("redelivered"))
        with requeued_when_storage_is_away():
            process.runner.run(message, parts_from_wire(raw_parts), redelivered=redelivered)

    @app.task(name=END_TASK, base=FencedTask)  # type: ignore[untyped-decorator]
    def end(parts: list[Any], run_id: str) -> None:
        patiently(lambda: process.runner.end_run(run_id))

    @app.task(name=WHOLE_RUN_TASK, base=FencedTask)  # type: ignore[untyped-decorator]
    def whole_run(run_id: str) -> None:
        with requeued_when_storage_is_away():
            carry_out(process, run_id)


@contextmanager
def requeued_when_storage_is_away() -> Iterator[None]:
    """Put a message back when the database cannot be reached, so that nothing is lost by the acknowledgement."""
    try:
        yield
    except StorageUnavailableError as error:
        logger.warning("Put a message back: %s", error)
        # It comes again at once: without a pause, all workers would do nothing but pass messages around.
        threading.Event().wait(PAUSE_SECONDS)
        raise Reject(str(error), requeue=True) from error
