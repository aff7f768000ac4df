"""What a worker's parent process does when the pool child that ran a task has died: it reports the attempt as lost.

Celery's own answer, putting the message back, would meet its own fence: the attempt is claimed by the dead process.
"""

from __future__ import annotations

import logging
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from kombu.exceptions import KombuError

from orchord_workers.canvas import Canvas

logger = logging.getLogger(__name__)


class FencedRequest(Request):
    """A request whose loss is told to the mender. The message is acknowledged once the report has been sent."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Report a lost pool child; leave every other failure to Celery."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if not isinstance(error, (WorkerLostError, SystemExit)):
            return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        try:
            Canvas(self.app).send_lost(self.app.conf.task_default_queue, self.task_name, list(self._args))
        except (KombuError, OSError) as publish_error:
            # Unacknowledged, the message comes back; the monitor sees the dead process in any case.
            logger.error("Could not report that %s was lost: %s", self.id, publish_error)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
