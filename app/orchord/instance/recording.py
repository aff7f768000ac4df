"""Writing down a run that this process carries out by itself, so that it is found like those that were launched.

``execute_in_process(instance=...)`` and ``materialize(..., instance=...)`` tell it of each start and end. Runs on
workers are written down by orchord_workers.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence

import msgspec

from orchord.events import Event, EventType, utc_now
from orchord.execution import RunEnd, StepResult
from orchord.plan.machine import SkipStep
from orchord.plan.model import Step
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.storage import Claim, Finish, Skip, Storage


class RunRecorder:
    """Writes one run down, step by step. It is a sink of orchord.execution.

    Args:
        storage: the database.
        run: the run; it is created at once.

    Raises:
        ConflictError: a run with this id exists already.
    """

    def __init__(self, storage: Storage, run: Run) -> None:
        self._storage = storage
        self._run_id = run.run_id
        self._token = ""
        self._retries: dict[str, int] = {}
        starting = Event(EventType.RUN_STARTING, utc_now(), "Run starts in the process that asked for it.")
        storage.runs.create(msgspec.structs.replace(run, status=RunStatus.STARTING, started_at=None), [starting])

    def claim(self, step: Step, attempt: int) -> bool:
        """Take an attempt; False when the run was canceled meanwhile."""
        self._token = secrets.token_hex(8)
        retry_number = self._retries.get(step.key, -1) + 1
        self._retries[step.key] = retry_number
        claim = Claim(
            run_id=self._run_id,
            step_key=step.key,
            attempt=attempt,
            token=self._token,
            worker_id=f"in-process@{socket.gethostname()}",
            at=utc_now(),
            retry_number=retry_number,
            process_id=os.getpid(),
        )
        return self._storage.attempts.claim(claim).claimed

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Write the end of an attempt, and all that came of it."""
        if result.status is AttemptStatus.CANCELED:
            self._cancel()
        self._storage.attempts.finish(
            Finish(
                run_id=self._run_id,
                step_key=step.key,
                attempt=attempt,
                token=self._token,
                status=result.status,
                at=utc_now(),
                outputs=result.outputs,
                events=result.events,
                error=result.error,
                skips=_stored(skips),
                ends_run=ends_run,
            )
        )

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        """Write steps that do not run though no step has ended."""
        self._storage.attempts.record_skips(self._run_id, _stored(skips), utc_now(), ends_run)

    def close(self, end: RunEnd) -> None:
        """Write what came after the last step; end the run if it was stopped before its end."""
        if end.events:
            self._storage.attempts.append_events(self._run_id, end.events)
        if end.status is None:
            self._cancel()
            self._storage.runs.end(self._run_id, utc_now())

    def _cancel(self) -> None:
        canceling = Event(EventType.RUN_CANCELING, utc_now(), "Run was interrupted.", level=30)
        allowed = {RunStatus.STARTING, RunStatus.STARTED}
        self._storage.runs.set_status(self._run_id, RunStatus.CANCELING, allowed_from=allowed, event=canceling)


def _stored(skips: Sequence[SkipStep]) -> tuple[Skip, ...]:
    return tuple(Skip(skip.step_key, skip.status, skip.reason) for skip in skips)
