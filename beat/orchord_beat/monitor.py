"""The monitor: finds what was lost by comparing plan, attempts and workers' heartbeats, and has it sent again.

It decides only when to look and at which run; what is due in a run is the mender's to say (orchord_workers.mending).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchord.spi import (
    EXECUTED_BY_TAG,
    NO_PROCESS,
    ErrorInfo,
    OrchordError,
    OrchordInstance,
    Run,
    RunStatus,
    UnavailableError,
    keep_what_is_live,
)
from orchord_beat.run_watch import RunWatch, Traffic
from orchord_beat.stations import StationMap, is_served, manned
from orchord_beat.vigil import Vigil
from orchord_workers.spi import Mender

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# A worker writes its heartbeat each two seconds; one that missed five is taken for dead.
DEAD_AFTER = timedelta(seconds=10)
RESERVATION_DEAD_AFTER = timedelta(seconds=60)
# A run in which nothing has happened for this long is looked at when no message waits in its queue.
QUIET = timedelta(seconds=4)
# With messages in the queue, the run may only be waiting its turn: it is looked at this much later, then ever rarer.
QUIET_WHEN_BUSY = timedelta(seconds=60)
LONGEST_QUIET = timedelta(minutes=10)
# After the broker was flushed, for the runs that were begun before: messages in the queue say nothing of theirs.
QUIET_WHEN_EMPTIED = timedelta(seconds=1)
HASTE_AFTER_FLUSH = timedelta(seconds=60)
RUNS_PER_LOOK = 500
NOT_LAUNCHED = (RunStatus.QUEUED, RunStatus.NOT_STARTED)


@dataclass
class Watched:
    """What the monitor remembers of an unfinished run between two looks.

    ``times_sent`` counts messages sent in vain: it starts again when the run went on after one. ``restored_for`` is the
    loss after which its joins were restored.
    """

    last_look_at: datetime | None = None
    sent_at: datetime | None = None
    times_sent: int = 0
    restored_for: datetime | None = None


@dataclass
class Monitor:
    """Looks again and again.

    ``waiting_messages`` tells how many messages wait for a station (stations.py), ``was_emptied`` whether the broker
    has lost what it held. ``vigil`` is the daemon's, which has been kept since it began.
    """

    instance: OrchordInstance
    mender: Mender
    waiting_messages: Callable[[str], int]
    was_emptied: Callable[[], bool] = lambda: False
    vigil: Vigil = field(default_factory=Vigil)
    watched: dict[str, Watched] = field(default_factory=dict)
    stations: StationMap = field(init=False)
    _page_end: Run | None = None
    _round: set[str] = field(default_factory=set)
    _emptied_at: datetime | None = None

    def __post_init__(self) -> None:
        self.stations = StationMap(lambda run: self.mender.runner.contexts.plan_of(run))

    def look(self) -> int:
        """Mend what needs it. Returns how many messages were sent again."""
        now = self.instance.storage.clock()
        self.vigil.note(now)
        self._bury_dead_workers(now)
        if self.was_emptied():
            logger.warning("The broker or the result backend does not hold what it held before")
            self._emptied_at = now
        runs = self._next_page()
        self._restore_joins(runs)
        living = self.instance.storage.workers.alive(now - DEAD_AFTER)
        served = manned(living)
        stations = {run.run_id: self.stations.of(run) for run in runs}
        waiting = {station: self.waiting_messages(station) for station in frozenset().union(*stations.values())}
        traffic = {
            run.run_id: Traffic(
                is_served(stations[run.run_id], served), sum(waiting[station] for station in stations[run.run_id])
            )
            for run in runs
        }
        due = [run for run in runs if self._is_due(run, traffic[run.run_id].waiting, now)]
        RunWatch(self.instance, self.mender).look(runs, now, traffic)
        self._fail_orphaned(due, {worker.worker_id for worker in living}, now)
        mended = [run for run in due if EXECUTED_BY_TAG not in run.tags]
        sent = sum(self._mend(run, now, sends=traffic[run.run_id].is_served) for run in mended)
        self.vigil.note(self.instance.storage.clock())
        return sent

    def _next_page(self) -> list[Run]:
        """Return the unfinished runs to look at now: when there are more than a page, each has its turn."""
        page = self.instance.storage.runs.unfinished(RUNS_PER_LOOK, self._page_end)
        # Of a run that waits to be launched nothing could be lost.
        runs = [run for run in page if run.status not in NOT_LAUNCHED]
        for run in runs:
            self.watched.setdefault(run.run_id, Watched())
            self._round.add(run.run_id)
        if len(page) == RUNS_PER_LOOK:
            self._page_end = page[-1]
        else:
            self.watched = {run_id: self.watched[run_id] for run_id in self._round}
            self._page_end, self._round = None, set()
        return runs

    def _restore_joins(self, runs: Sequence[Run]) -> None:
        """Give back what the joins of runs have lost, so that each waits for its steps, and not for a look at it."""
        for run in runs:
            watched = self.watched[run.run_id]
            if self._is_hit(run) and watched.restored_for != self._emptied_at:
                try:
                    self.mender.restore_joins(self.mender.runner.contexts.of(run))
                except UnavailableError:
                    raise
                except OrchordError as error:
                    logger.error("The joins of run %s cannot be restored: %s", run.run_id, error)
                watched.restored_for = self._emptied_at

    def _fail_orphaned(self, runs: Sequence[Run], living: set[str], now: datetime) -> None:
        """End the runs whose own processes have died."""
        if not self._knows_the_silent(now):
            return
        for run in runs:
            executed_by = run.tags.get(EXECUTED_BY_TAG)
            if executed_by is not None and executed_by not in living and run.created_at < now - DEAD_AFTER:
                self._fail_with_its_process(run, executed_by, now)

    def _fail_with_its_process(self, run: Run, executed_by: str, now: datetime) -> None:
        """End a run that a process carried out by itself, and that nobody else can go on with."""
        reason = f"The process that carried the run out, {executed_by}, has died. Execute the run again."
        status = self.instance.storage.runs.fail(run.run_id, ErrorInfo("ProcessLost", reason), now)
        if status is not None:
            self.mender.runner.notify_end(run.run_id, status)

    def _bury_dead_workers(self, now: datetime) -> None:
        if not self._knows_the_silent(now):
            return
        self._bury_reservations(now)
        dead = self.instance.storage.attempts.running_of_dead_workers(now - DEAD_AFTER)
        held = [attempt for attempt in dead if attempt.process_id != NO_PROCESS]
        if not held:
            return
        # One that was asked to stop has told so before, by its row: it consumes nothing more, or it signed off.
        known = {worker.worker_id for worker in self.instance.storage.workers.all() if worker.queues}
        stopped = [attempt for attempt in held if attempt.worker_id not in known]
        for attempt in held:
            name = f"attempt {attempt.attempt} at {attempt.step_key} in run {attempt.run_id}"
            logger.warning("The worker that held %s %s", name, "was stopped" if attempt in stopped else "has died")
        self.mender.attempts_lost(
            [attempt for attempt in held if attempt not in stopped], "the worker that ran it died"
        )
        if stopped:
            self.mender.attempts_lost(stopped, "its worker was stopped", counts=False)
        for attempt in held:
            keep_what_is_live(self.instance, attempt.run_id, attempt.step_key, attempt.attempt)

    def _bury_reservations(self, now: datetime) -> None:
        """Give up what a launcher worker that has died had reserved, and no container has taken over.

        Later than with workers: another launcher worker adopts it, or the container that was started takes it over.
        """
        dead = self.instance.storage.launches.reserved_of_dead(now - RESERVATION_DEAD_AFTER)
        if dead:
            logger.warning("Nobody has taken over %s attempt(s) of launcher workers that have died", len(dead))
            self.mender.attempts_lost(dead, "its launcher worker died before it was started", counts=False)

    def _knows_the_silent(self, now: datetime) -> bool:
        return self.vigil.lasts(now) >= DEAD_AFTER

    def _is_due(self, run: Run, waiting: int, now: datetime) -> bool:
        watched = self.watched[run.run_id]
        last = max(filter(None, (run.updated_at, run.created_at, watched.last_look_at)))
        if run.status is RunStatus.CANCELING:
            return now - last >= QUIET
        return now - last >= self._patience(run, watched, waiting, now)

    def _patience(self, run: Run, watched: Watched, waiting: int, now: datetime) -> timedelta:
        pause = QUIET if waiting == 0 else QUIET_WHEN_BUSY
        if self._is_hit(run) and (self._is_in_haste(now) or not self._was_sent_since_loss(watched)):
            pause = self._quiet(run, now)
        doubled: timedelta = pause * 2 ** min(watched.times_sent, 10)
        return min(doubled, LONGEST_QUIET)

    def _quiet(self, run: Run, now: datetime) -> timedelta:
        """Return for how long nothing must have happened in a run before it is taken for stuck."""
        return QUIET_WHEN_EMPTIED if self._is_hit(run) and self._is_in_haste(now) else QUIET

    def _is_hit(self, run: Run) -> bool:
        return self._emptied_at is not None and run.created_at <= self._emptied_at

    def _is_in_haste(self, now: datetime) -> bool:
        return self._emptied_at is not None and now - self._emptied_at < HASTE_AFTER_FLUSH

    def _was_sent_since_loss(self, watched: Watched) -> bool:
        """Return whether the run's messages are in the queue with all others, as far as can be known."""
        emptied, sent_at = self._emptied_at, watched.sent_at
        return emptied is not None and sent_at is not None and sent_at >= emptied

    def _mend(self, run: Run, now: datetime, *, sends: bool) -> int:
        watched = self.watched[run.run_id]
        watched.last_look_at = now
        try:
            quiet = self._quiet(run, now)
            mended = self.mender.mend(self.mender.runner.contexts.of(run), quiet=quiet, sends=sends)
        except UnavailableError:
            raise
        except OrchordError as error:
            # One run that cannot be read, or was deleted just now, must not keep the monitor from the others.
            logger.error("Run %s cannot be mended: %s", run.run_id, error)
            return 0
        if mended.sent:
            went_on = mended.newest is not None and watched.sent_at is not None and mended.newest > watched.sent_at
            watched.times_sent = 1 if went_on else watched.times_sent + 1
            watched.sent_at = now
            logger.warning("Run %s had gone quiet: %s message(s) sent again", run.run_id, mended.sent)
        return mended.sent
