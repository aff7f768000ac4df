"""The default run launcher: a run becomes Celery messages. Lives in the API's process and holds no user code.

How a plan becomes messages is canvas.py; news of a run's end is endings.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from orchord.spi import (
    EXECUTED_BY_TAG,
    AttemptStatus,
    BrokerUnavailableError,
    LaunchRunContext,
    OrchordInstance,
    RunLauncher,
    RunStatus,
    RunWatch,
    as_skips,
    begin,
    runs_as_unit,
    utc_now,
)
from orchord_workers.app import broker_errors_translated, close_app, make_app
from orchord_workers.canceling import cancel_rest
from orchord_workers.canvas import Canvas
from orchord_workers.endings import Endings, publish_end

logger = logging.getLogger(__name__)


class CeleryRunLauncher(RunLauncher):
    """Sends a run's first steps to the workers of its location, and stops steps that run.

    Config keys: none of its own; broker and result backend are the instance's ``celery`` section.
    """

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        super().__init__(instance, config)
        self.app = make_app(instance.config.celery)
        self.canvas = Canvas(self.app)
        self.endings = Endings(self.app)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Send the first steps of a recorded run.

        Raises:
            BrokerUnavailableError: the broker or the result backend cannot be reached.
        """
        run, plan = context.run, context.plan
        with broker_errors_translated(self.app):
            if runs_as_unit(run.executor):
                self.canvas.send_whole_run(run)
                return
            self.canvas.prepare(run, plan)
            moves = begin(plan, run.inherited)
            if moves.skips or moves.ends_run:
                ended = self.instance.storage.attempts.record_skips(
                    run.run_id, as_skips(moves.skips), at=utc_now(), ends_run=moves.ends_run
                )
                if ended is not None:
                    publish_end(self.app, run.run_id, ended)
            self.canvas.act(run, plan, moves)

    def terminate(self, run_id: str) -> bool:
        """Stop what is done for a run. Returns whether steps of it were running.

        The workers are told, so that it is soon; one that does not hear of it reads it in the database.
        A run that is being canceled and on which nobody works ends here.
        """
        storage = self.instance.storage
        attempts = storage.attempts.of_run(run_id)
        running = [attempt for attempt in attempts if attempt.status is AttemptStatus.RUNNING]
        try:
            with broker_errors_translated(self.app):
                holders = [[attempt.worker_id, attempt.process_id] for attempt in running]
                self.app.control.broadcast("orchord_interrupt", arguments={"run_id": run_id, "holders": holders})
        except BrokerUnavailableError as error:
            logger.warning("The workers will see for themselves that run %s is to stop: %s", run_id, error)
        run = storage.runs.get(run_id)
        if not running and run.status is RunStatus.CANCELING and EXECUTED_BY_TAG not in run.tags:
            plan = storage.locations.job_snapshot(run.job_snapshot_id).plan
            ended = cancel_rest(storage, run_id, plan if run.step_keys is None else plan.select(run.step_keys))
            if ended is not None:
                publish_end(self.app, run_id, ended)
        elif run.status.is_terminal:
            publish_end(self.app, run_id, run.status)
        return bool(running)

    def watch(self, run_id: str) -> AbstractContextManager[RunWatch]:
        """Return a watch on a run's end that is told by the worker that ends it."""

        def ended() -> bool:
            return self.instance.storage.runs.get(run_id).status.is_terminal

        return self.endings.watch(run_id, ended)

    def check(self) -> None:
        """Check that broker and result backend answer.

        Raises:
            BrokerUnavailableError: one of them does not.
        """
        with broker_errors_translated(self.app):
            self.app.backend.client.ping()
            with self.app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=4)

    def dispose(self) -> None:
        """Close connections and stop the listening thread."""
        self.endings.close()
        close_app(self.app)
