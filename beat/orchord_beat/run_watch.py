"""Time limits of runs: to start, to run, to stop. What is over is decided here; lost messages are monitor.py's.

A step's own time limit is held by the process that runs it.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from orchord.spi import ErrorInfo, OrchordInstance, Place, Run, RunMonitoringSettings, RunStatus
from orchord_workers.spi import Mender

logger = logging.getLogger(__name__)

MAX_RUNTIME_TAG = "orchord/max_runtime"


class Act(Enum):
    """What is to be done about a run that is over its time."""

    FAIL = "fail"
    STOP = "stop"
    END = "end"


@dataclass(frozen=True)
class Verdict:
    """What is to be done about a run, and why."""

    act: Act
    error: ErrorInfo


@dataclass(frozen=True)
class Traffic:
    """Whether somebody living can bring a run on, and how many messages wait where its own go."""

    is_served: bool
    waiting: int


@dataclass
class RunWatch:
    """Looks at unfinished runs, and acts on those that are over their time."""

    instance: OrchordInstance
    mender: Mender

    def look(self, runs: Iterable[Run], now: datetime, traffic: Mapping[str, Traffic]) -> int:
        """Act on every run that is over its time. Returns how many there were.

        Args:
            runs: unfinished runs.
            now: by the database's clock.
            traffic: what is there for each run, by its id.
        """
        settings = self.instance.config.run_monitoring
        if not settings.enabled:
            return 0
        acted = 0
        for run in runs:
            seen = traffic[run.run_id]
            verdict = judged(run, settings, now, is_served=seen.is_served, waiting=seen.waiting)
            if verdict is not None:
                acted += self._act(run, verdict, now)
        return acted

    def _act(self, run: Run, verdict: Verdict, now: datetime) -> bool:
        runs = self.instance.storage.runs
        if verdict.act is Act.FAIL:
            if self.instance.storage.pools.waiters_of_run(run.run_id):
                # It has begun, by the workers' account: its first steps wait for slots of pools.
                return False
            status = runs.fail(run.run_id, verdict.error, now)
            if status is not None:
                self.mender.runner.notify_end(run.run_id, status)
                if Place(run.unit_place).is_container:
                    # What waits for its image, or for room in a cluster, would begin after all, and for nothing.
                    self.instance.launchers.stopping(run).terminate(run.run_id)
        elif verdict.act is Act.STOP:
            if runs.begin_stop(run.run_id, verdict.error, now):
                self.instance.launchers.stopping(run).terminate(run.run_id)
        else:
            self.mender.end_canceled(run)
        logger.warning("Run %s: %s", run.run_id, verdict.error.message)
        return True


def judged(
    run: Run, settings: RunMonitoringSettings, now: datetime, *, is_served: bool, waiting: int
) -> Verdict | None:
    """Return what is to be done about a run, by its status and its times; None: nothing."""
    since = run.updated_at or run.created_at
    if run.status is RunStatus.STARTED and run.started_at is not None:
        limit = max_runtime_seconds(run, settings)
        if limit is not None and now - run.started_at >= timedelta(seconds=limit):
            return Verdict(Act.STOP, ErrorInfo("RunTimeoutError", f"The run took longer than {limit:g} s{_by(run)}."))
    elif run.status is RunStatus.STARTING:
        # In the queue of workers that are busy it only waits its turn.
        is_in_turn = is_served and waiting > 0
        if not is_in_turn and _is_over(since, settings.start_timeout_seconds, now):
            return Verdict(Act.FAIL, ErrorInfo("StartTimeoutError", _not_started(run, settings, is_served=is_served)))
    elif run.status is RunStatus.CANCELING and _is_over(since, settings.cancel_timeout_seconds, now):
        text = f"Its steps had not stopped {settings.cancel_timeout_seconds} s after it was canceled: ended by force."
        return Verdict(Act.END, ErrorInfo("CancelTimeoutError", text))
    return None


def max_runtime_seconds(run: Run, settings: RunMonitoringSettings) -> float | None:
    """Return how long a run may take: by its tag, else by the instance file; None: no limit."""
    tagged = _seconds_of_tag(run.run_id, run.tags[MAX_RUNTIME_TAG]) if MAX_RUNTIME_TAG in run.tags else None
    seconds = float(settings.max_runtime_seconds) if tagged is None else tagged
    return seconds if 0 < seconds < math.inf else None


@functools.lru_cache(maxsize=1024)
def _seconds_of_tag(run_id: str, text: str) -> float | None:
    """Read the tag of a run; of one that is no number, tell once: the run is looked at each second."""
    try:
        return float(text)
    except ValueError:
        logger.warning("Run %s: its tag %s is '%s', which is no number of seconds", run_id, MAX_RUNTIME_TAG, text)
        return None


def _is_over(since: datetime, limit_seconds: int, now: datetime) -> bool:
    return limit_seconds > 0 and now - since >= timedelta(seconds=limit_seconds)


def _by(run: Run) -> str:
    return f" (its tag {MAX_RUNTIME_TAG})" if MAX_RUNTIME_TAG in run.tags else " (run_monitoring: max_runtime_seconds)"


def _not_started(run: Run, settings: RunMonitoringSettings, *, is_served: bool) -> str:
    place = Place(run.unit_place)
    if place.is_container and is_served:
        why = "its container has not begun; it may wait for its image, or for room"
    elif place.is_container:
        why = f"no launcher worker starts containers of '{place}'; start one with `orchord launcher`"
    elif is_served:
        why = "no worker took its first steps"
    else:
        why = f"no worker serves location '{run.location}'; start one with `orchord worker`"
    limit = settings.start_timeout_seconds
    return f"The run has not started in {limit} s (run_monitoring: start_timeout_seconds): {why}."
