"""Runs from the outside: launching, repeating, canceling, waiting, deleting.

How a request is checked is launch.py; which statuses follow each other inside a run is the storage's and workers'.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, cast

from orchord.errors import ConflictError
from orchord.events import Event, EventType, utc_now
from orchord.instance.launch import LaunchRequest, launch
from orchord.instance.launchers import RunLauncher, RunWatch
from orchord.instance.reexecution import ALL_STEPS, reexecute
from orchord.instance.run_launchers import Launchers
from orchord.runs import Run, RunStatus

if TYPE_CHECKING:
    from orchord.compute_logs import ComputeLogManager
    from orchord.instance.instance import OrchordInstance
    from orchord.storage import Storage

_NOT_STARTED = frozenset({RunStatus.QUEUED, RunStatus.NOT_STARTED, RunStatus.STARTING})
_UNDER_WAY = frozenset({RunStatus.STARTED, RunStatus.CANCELING})


class RunControl:
    """The part of an instance by which runs are begun and ended."""

    storage: Storage
    launchers: Launchers

    @property
    def run_launcher(self) -> RunLauncher:
        """Hands runs to who carries them out."""
        raise NotImplementedError

    @property
    def compute_log_manager(self) -> ComputeLogManager:
        """Keeps what steps print."""
        raise NotImplementedError

    def launch(self, request: LaunchRequest) -> tuple[Run, bool]:
        """Check a request, record its run and hand it over; return the run and whether it is new.

        Raises:
            InvalidConfigError: the request has mistakes; all of them are listed (and the others of ``launch.launch``).
        """
        return launch(self._whole(), request)

    def reexecute(
        self,
        run_id: str,
        strategy: str = ALL_STEPS,
        tags: Mapping[str, str] | None = None,
        run_config: Any = None,
    ) -> Run:
        """Launch a run that repeats one that has ended: ``ALL_STEPS``, or those that did not succeed: ``FROM_FAILURE``.

        Raises:
            ConflictError: the run goes on, or nothing is left to run (and what ``launch`` raises).
        """
        return reexecute(self._whole(), run_id, strategy, tags, run_config)

    def cancel(self, run_id: str, *, force: bool = False) -> Run:
        """Cancel a run and return it: CANCELED when nobody works on it, else CANCELING until its steps have stopped.

        With ``force`` it is CANCELED at once, and its steps are stopped all the same.

        Raises:
            RunNotFoundError: there is no such run.
            ConflictError: it has ended.
        """
        now = utc_now()
        canceled = Event(EventType.RUN_CANCELED, now, "Run canceled before it began.", level=30)
        canceling = Event(EventType.RUN_CANCELING, now, "Run is being canceled.", level=30)
        forced = Event(EventType.RUN_CANCELED, now, "Run canceled by force.", level=30)
        runs = self.storage.runs
        if runs.set_status(run_id, RunStatus.CANCELED, allowed_from=_NOT_STARTED, event=canceled):
            return runs.get(run_id)
        is_over = False
        if force:
            is_over = runs.set_status(run_id, RunStatus.CANCELED, allowed_from=_UNDER_WAY, event=forced)
        else:
            runs.set_status(run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, event=canceling)
        run = runs.get(run_id)
        if run.status.is_terminal and not is_over:
            raise ConflictError(f"Run {run_id} has ended ({run.status}) and cannot be canceled.")
        self.launchers.stopping(run).terminate(run_id)
        return runs.get(run_id)

    def delete_run(self, run_id: str) -> None:
        """Delete a run that has ended, with its events and compute logs. What its steps stored stays.

        Raises:
            RunNotFoundError: there is no such run.
            ConflictError: it has not ended.
            UnavailableError: it is deleted, but for its compute logs, whose store cannot be reached.
        """
        if not self.storage.runs.delete(run_id):
            self.storage.runs.get(run_id)
        self.compute_log_manager.delete(run_id)

    def watch(self, run_id: str) -> AbstractContextManager[RunWatch]:
        """Return a context that watches for a run's end. Enter it before launching, and no end is missed."""
        return self.run_launcher.watch(run_id)

    def wait(self, run_id: str, timeout_seconds: float) -> Run:
        """Wait for a run's end, at most so long, and return it as it then is: look at its status.

        Raises:
            RunNotFoundError: there is no such run.
        """
        with self.watch(run_id) as watch:
            run = self.storage.runs.get(run_id)
            if run.status.is_terminal:
                return run
            watch.wait(timeout_seconds)
        return self.storage.runs.get(run_id)

    def _whole(self: Self) -> OrchordInstance:
        return cast("OrchordInstance", self)
