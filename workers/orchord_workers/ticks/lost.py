"""What a tick worker's parent process does when a pool child has died over a message of ticks: it sends them again.

The new message names the dead process and the tick that it was at: whoever gets it ends that one, and goes on with the
rest.
"""

from __future__ import annotations

import logging
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from orchord.spi import TICKS_TASK, BrokerUnavailableError
from orchord_workers.app import broker_errors_translated

logger = logging.getLogger(__name__)


class TicksRequest(Request):  # type: ignore[misc]  # celery has no types
    """A request whose loss is told to another process. The message is acknowledged once that has been sent."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Report a lost pool child; leave every other failure to Celery."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, (WorkerLostError, SystemExit)):
            conf, process_id = self.app.conf, self.worker_pid or 0
            try:
                with broker_errors_translated(self.app):
                    self.app.send_task(
                        TICKS_TASK,
                        args=(*self._args[:2], conf.orchord_worker_id, process_id, self.task.marks.get(process_id)),
                        queue=conf.task_default_queue,
                        shadow="ticks of a lost process",
                        ignore_result=True,
                    )
            except BrokerUnavailableError as publish_error:
                # The daemon finds the tick overdue.
                logger.error("Could not report that %s was lost: %s", self.id, publish_error)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
