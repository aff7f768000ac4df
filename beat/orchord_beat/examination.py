"""What `orchord doctor` finds: everything that stands still or is missing in an instance, and how each is mended.

The daemon mends most of it by itself (monitor.py, tick_watch.py, queue_loop.py); this looks once, for people. Services
themselves are in services_check.py; showing findings is the command's (orchord.cli.doctor).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchord.spi import (
    EXECUTED_BY_TAG,
    AttemptStatus,
    ErrorInfo,
    OrchordError,
    OrchordInstance,
    Run,
    RunStatus,
    Settings,
    TickStatus,
)
from orchord_beat.findings import Finding
from orchord_beat.monitor import DEAD_AFTER
from orchord_beat.queue_loop import QueueLoop
from orchord_beat.services_check import service_findings
from orchord_beat.stations import Stations, is_launches, is_served, manned, stations_of
from orchord_beat.tick_watch import OVERDUE_GRACE
from orchord_workers.spi import BrokerWatch, WorkerProcess, close_app, make_app

if TYPE_CHECKING:
    from orchord.spi import WorkerRow

# What the daemon would have mended in this time by itself.
PATIENCE = timedelta(seconds=20)
MOST = 500


@dataclass
class Examination:
    """Looks through one instance. Nothing is changed before ``repair``."""

    instance: OrchordInstance
    _broker_answers: bool = field(default=False, init=False)

    def findings(self) -> list[Finding]:
        """Return everything that is wrong now; only the database's own state when it cannot be used."""
        found = list(service_findings(self.instance))
        self._broker_answers = not any(finding.subject == "broker" for finding in found)
        if any(finding.subject == "database" for finding in found):
            return found
        now = self.instance.storage.clock()
        living = self.instance.storage.workers.alive(now - DEAD_AFTER)
        found += self._held_by_the_dead(now)
        found += self._runs(now, living)
        found += self._ticks(now)
        found += self._waiting()
        return found

    def repair(self, finding: Finding) -> str | None:
        """Mend one thing, and return in words what was done; None when only people can."""
        if finding.repair is None:
            return None
        try:
            return finding.repair()
        except OrchordError as error:
            finding.fix = f"{finding.fix} (It could not be mended from here: {error})"
            return None

    def _held_by_the_dead(self, now: datetime) -> Iterator[Finding]:
        for attempt in self.instance.storage.attempts.running_of_dead_workers(now - DEAD_AFTER):

            def repair(attempt=attempt) -> str:  # type: ignore[no-untyped-def]
                self._with_process(lambda process: process.mender.attempts_lost([attempt], "its worker is gone"))
                return "taken for lost, and sent again"

            yield Finding(
                f"step {attempt.step_key} of run {attempt.run_id}",
                f"It is RUNNING on worker {attempt.worker_id}, which gives no sign of life.",
                attempt.started_at,
                "Start a daemon with `orchord daemon`, or mend it with `orchord doctor --repair`.",
                repair,
            )

    def _runs(self, now: datetime, living: list[WorkerRow]) -> Iterator[Finding]:
        served = manned(living)
        alive = {worker.worker_id for worker in living}
        without: dict[str, list[Run]] = {}
        for run in self.instance.storage.runs.unfinished(MOST):
            if run.status in (RunStatus.QUEUED, RunStatus.NOT_STARTED):
                continue
            if EXECUTED_BY_TAG in run.tags:
                yield from self._of_a_dead_process(run, alive, now)
                continue
            stations = self._stations(run)
            if not is_served(stations, served):
                without.setdefault(min(stations), []).append(run)
            elif self._stands_still(run, now):
                yield self._standing_still(run)
        for station, runs in without.items():
            since = min(run.created_at for run in runs)
            if is_launches(station):
                text, fix = "launcher workers", f"Start one: `orchord launcher --place {station.rpartition('.')[2]}`."
                yield Finding(station, f"{len(runs)} run(s) wait for {text}, and none is alive.", since, fix)
            else:
                text, fix = "its workers", f"Start one: `orchord worker` with the code of '{station}'."
                yield Finding(
                    f"location {station}", f"{len(runs)} run(s) wait for {text}, and none is alive.", since, fix
                )

    def _stations(self, run: Run) -> Stations:
        plan = self.instance.job_snapshot(run.job_snapshot_id).plan
        return stations_of(run, plan if run.step_keys is None else plan.select(run.step_keys))

    def _of_a_dead_process(self, run: Run, alive: set[str], now: datetime) -> Iterator[Finding]:
        process = run.tags[EXECUTED_BY_TAG]
        if process in alive or run.created_at > now - DEAD_AFTER:
            return

        def repair() -> str:
            error = ErrorInfo("ProcessLost", f"The process that carried the run out, {process}, has died.")
            self.instance.storage.runs.fail(run.run_id, error, self.instance.storage.clock())
            return "ended as FAILURE"

        what = f"The process that carries it out, {process}, gives no sign of life."
        yield Finding(f"run {run.run_id}", what, run.started_at, "Execute it again.", repair)

    def _stands_still(self, run: Run, now: datetime) -> bool:
        """Return whether nothing is under way in a run: no step runs or waits, and no message can be on its way."""
        if (run.updated_at or run.created_at) > now - PATIENCE:
            return False
        if self.instance.storage.pools.waiters_of_run(run.run_id):
            return False
        for attempt in self.instance.storage.attempts.of_run(run.run_id):
            moments = [moment for moment in (attempt.started_at, attempt.ended_at, attempt.retry_at) if moment]
            if attempt.status is AttemptStatus.RUNNING or any(moment > now - PATIENCE for moment in moments):
                return False
        return self._broker_answers and all(self._waiting_messages(station) == 0 for station in self._stations(run))

    def _standing_still(self, run: Run) -> Finding:
        def repair() -> str:
            self._with_process(lambda process: process.mender.mend_run(run.run_id))
            return "what was due was sent again"

        fix = "Start a daemon with `orchord daemon`, or mend it with `orchord doctor --repair`."
        return Finding(
            f"run {run.run_id}", f"It is {run.status}, and nothing is under way.", run.updated_at, fix, repair
        )

    def _ticks(self, now: datetime) -> Iterator[Finding]:
        ticks = self.instance.storage.ticks
        for tick in ticks.open(MOST, now - PATIENCE):
            name = f"{tick.key.kind.value.lower()} {tick.key.name}, tick {tick.tick_id}"
            limit = timedelta(seconds=tick.time_limit_seconds) + OVERDUE_GRACE
            if tick.status is TickStatus.PENDING and tick.planned_at < now - PATIENCE and tick.lane is None:

                def send(tick=tick) -> str:  # type: ignore[no-untyped-def]
                    self.instance.courier.send_ticks([tick])
                    return "sent again"

                fix = f"Start a worker of '{tick.key.location}' and a daemon, or send it with --repair."
                yield Finding(name, "It is due, and nobody has taken it.", tick.planned_at, fix, send)
            elif tick.status is TickStatus.STARTED and tick.started_at is not None and tick.started_at < now - limit:

                def end(tick=tick) -> str:  # type: ignore[no-untyped-def]
                    error = ErrorInfo("TickTimeout", f"The tick took longer than {tick.time_limit_seconds:g} s.")
                    ticks.give_up(tick.tick_id, error, self.instance.storage.clock())
                    return "ended as FAILURE"

                what = f"It goes on past its time limit of {tick.time_limit_seconds:g} s."
                yield Finding(name, what, tick.started_at, "Start a daemon, or end it with --repair.", end)

    def _waiting(self) -> Iterator[Finding]:
        for pool in self.instance.storage.pools.all():
            if pool.waiting and (pool.limit is None or pool.running < pool.limit):
                what = f"{pool.waiting} step(s) wait for slots, and {pool.running} of {pool.limit} are taken."
                fix = "Start a daemon with `orchord daemon`, or call them with --repair."
                yield Finding(f"pool {pool.name}", what, None, fix, self._look_at_the_queue)
        depth = self.instance.storage.queue.depth()
        oldest = self._oldest_queued_that_could_go() if depth else None
        if oldest is not None:
            what = f"{depth} run(s) are queued, and the oldest, {oldest.run_id}, waits for no reason."
            fix = "Start a daemon with `orchord daemon`, or let them go with --repair."
            yield Finding("run queue", what, oldest.created_at, fix, self._look_at_the_queue)

    def _oldest_queued_that_could_go(self) -> Run | None:
        old = self.instance.storage.clock() - PATIENCE
        for run in self.instance.storage.runs.unfinished(MOST):
            if run.status is RunStatus.QUEUED and run.waits_for is None and run.created_at < old:
                return run
        return None

    def _look_at_the_queue(self) -> str:
        self._with_process(lambda process: QueueLoop(self.instance, process).run_once())
        return "all that could go went"

    def _waiting_messages(self, station: str) -> int:
        app = make_app(self.instance.config.celery)
        watch = BrokerWatch(app)
        try:
            return watch.waiting(station)
        finally:
            watch.close()
            close_app(app)

    def _with_process(self, act: Callable[[WorkerProcess], object]) -> None:
        """Do something as a worker without user code would."""
        app = make_app(self.instance.config.celery)
        process = WorkerProcess(app, Settings(home=self.instance.home, home_is_given=True), code=None)
        try:
            act(process)
        finally:
            process.close()
            close_app(app)
