"""The Celery tasks of a launcher worker: named as a worker's own, they start containers instead of running code.

A task is done when its container is started. What a step or a run does is tasks.py of the package above.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject

from orchord.spi import STEP_TASK, WHOLE_RUN_TASK, Place, StepMessage, parts_from_wire
from orchord_workers.containers.platform import PlatformError
from orchord_workers.launching.starter import Starter
from orchord_workers.launching.watchman import Watchman
from orchord_workers.tasks import requeued_when_storage_is_away

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0


class PerThread:
    """A starter for each thread of the pool: what it remembers of runs is for one thread."""

    def __init__(self, make: Callable[[], Starter]) -> None:
        self._make = make
        self._local = threading.local()

    def get(self) -> Starter:
        """Return this thread's starter."""
        starter: Starter | None = getattr(self._local, "starter", None)
        if starter is None:
            starter = self._local.starter = self._make()
        return starter


def register_launch_tasks(app: Celery, starters: PerThread, watchmen: Mapping[Place, Watchman]) -> None:
    """Register what a launcher worker does on its app."""

    @app.task(name=STEP_TASK, bind=True)  # type: ignore[untyped-decorator]
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
            starters.get().start_step(message, parts_from_wire(raw_parts), redelivered=redelivered)

    @app.task(name=WHOLE_RUN_TASK, bind=True)  # type: ignore[untyped-decorator]
    def whole_run(self: Task, run_id: str) -> None:
        there = [state for watchman in watchmen.values() for state in watchman.containers_of_run(run_id)]
        with requeued_when_storage_is_away():
            try:
                starters.get().start_run(run_id, number_of(str(self.request.id)), there)
            except PlatformError as error:
                logger.warning("The container of run %s cannot be started for now: %s", run_id, error)
                # Nothing is claimed yet: the message is put back, and comes again at once.
                threading.Event().wait(PAUSE_SECONDS)
                raise Reject(str(error), requeue=True) from error


def number_of(task_id: str) -> int:
    """Return which try at a run a message is: the number at the end of its id."""
    number = task_id.rpartition(".")[2]
    return int(number) if number.isdecimal() else 1
