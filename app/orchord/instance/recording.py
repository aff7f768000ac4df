"""Writing down a run that this process carries out by itself, so that it is found like those that were launched.

``execute_in_process(instance=...)``, ``materialize(..., instance=...)`` and ``orchord job execute`` tell it of each
start and end. Runs on workers are written down by orchord_workers.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import msgspec

from orchord.events import Event, EventType, utc_now
from orchord.execution import RunEnd, StepResult
from orchord.instance.heartbeat import Heartbeat
from orchord.instance.sink import StoredSink
from orchord.plan.machine import SkipStep
from orchord.plan.model import Step
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage import Storage

# Names the process that carries a run out by itself. The monitor never gives such a run to workers, who may not have
# its code: should the process die, the run has failed.
EXECUTED_BY_TAG = "orchord/executed_by"


class RunRecorder(StoredSink):
    """Writes one run down, step by step, with a sign of life of this process while it goes on.

    Args:
        storage: the database.
        run: the run; it is created at once.
        events: what is said of the run at its creation.

    Raises:
        ConflictError: a run with this id exists already.
    """

    def __init__(self, storage: Storage, run: Run, events: Sequence[Event] = ()) -> None:
        worker_id = f"in-process@{socket.gethostname()}-{new_run_id()[-12:]}"
        super().__init__(storage, run.run_id, worker_id=worker_id, process_id=os.getpid())
        starting = Event(EventType.RUN_STARTING, utc_now(), "Run starts in the process that asked for it.")
        tags = {**run.tags, EXECUTED_BY_TAG: worker_id}
        self.run = msgspec.structs.replace(run, status=RunStatus.STARTING, started_at=None, tags=tags)
        storage.runs.create(self.run, events or [starting])
        # Most such runs have ended before the first beat is due: it is not written ahead.
        self._heartbeat = Heartbeat(storage, worker_id, run.location)
        self._heartbeat.start(beats_at_once=False)

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Write the end of an attempt, and all that came of it."""
        if result.status is AttemptStatus.CANCELED:
            self._cancel()
        super().finish(step, attempt, result, skips, ends_run)

    def close(self, end: RunEnd) -> None:
        """Write what came after the last step; end the run if it was stopped before its end."""
        try:
            if end.events:
                self.storage.attempts.append_events(self.run_id, end.events)
            if end.status is None:
                self._cancel()
                self.storage.runs.end(self.run_id, utc_now())
        finally:
            self.live.close()
            self._heartbeat.stop()

    def _cancel(self) -> None:
        canceling = Event(EventType.RUN_CANCELING, utc_now(), "Run was interrupted.", level=30)
        allowed = {RunStatus.STARTING, RunStatus.STARTED}
        self.storage.runs.set_status(self.run_id, RunStatus.CANCELING, allowed_from=allowed, event=canceling)
