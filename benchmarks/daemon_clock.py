"""Measures the clock: 1,000 schedules due in the same minute with two daemons, and how long a killed leader is missed.

Run it alone by ``python benchmarks/daemon_clock.py``. The report is made by daemon.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from clock_shapes import SCHEDULES
from stacks import HERE, background, wait_for

from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.storage.values import RunFilter
from orchord.ticks import InstigatorKey, InstigatorKind, InstigatorStatus, Tick
from orchord_beat.leadership import LEASE

LOCATION = "clock_shapes"
PAGE = 1000
TAKE_OVERS = 5


@dataclass(frozen=True)
class ManyDue:
    """What came of one minute in which many schedules were due. Seconds are from the minute's beginning.

    ``last_run_seconds`` ends when all runs were seen in the database. ``twice`` counts schedules with more than one
    tick or run of that minute, ``never`` those without one.
    """

    schedules: int
    last_tick_seconds: float
    median_run_seconds: float
    last_run_seconds: float
    twice: int
    never: int


class Clocks:
    """Two daemons and one worker over Postgres and Valkey; daemons can be killed and started again."""

    def __init__(self, valkey_url: str, postgres_url: str, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "clock-home"
        self.home.mkdir(parents=True)
        (self.home / "orchord.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}\ncelery: {{broker: '{valkey_url}'}}\n"
        )
        self.environment = {"ORCHORD_HOME": str(self.home)}
        self.orchord = str(Path(sys.executable).parent / "orchord")
        self._stack = contextlib.ExitStack()
        self._number = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Clocks]:
        """Start all and wait until one daemon leads and the worker takes ticks."""
        migrate = [self.orchord, "instance", "migrate"]
        subprocess.run(migrate, env={**os.environ, **self.environment}, check=True, cwd=HERE)
        with self._stack:
            self.instance = self._stack.enter_context(OrchordInstance.from_home(Settings(self.home, True)))
            self._start("worker", ["worker", "-f", "clock_shapes.py"])
            self.start_daemon()
            self.start_daemon()
            wait_for(self._is_ready, "two daemons and a tick worker", logs=self.folder)
            yield self

    def start_daemon(self) -> None:
        """Start one more daemon."""
        self._number += 1
        self._start(f"daemon{self._number}", ["daemon"])

    def leader(self) -> int | None:
        """Return the process id of the daemon that leads."""
        daemons = self.instance.storage.daemons
        lease = daemons.lease(LEASE)
        return (
            None if lease is None else next((row.pid for row in daemons.all() if row.daemon_id == lease.holder), None)
        )

    def turn_on(self, kind: InstigatorKind, name: str) -> None:
        """Start a schedule or sensor."""
        key = InstigatorKey(LOCATION, kind, name)
        self.instance.storage.instigators.set_status(key, InstigatorStatus.RUNNING, utc_now())

    def ticks(self, planned_at: datetime) -> list[Tick]:
        """Return all ticks of one planned time."""
        found: list[Tick] = []
        before: int | None = None
        while page := self.instance.storage.ticks.page(limit=PAGE, before_id=before, location=LOCATION):
            found += [tick for tick in page if tick.planned_at == planned_at]
            before = page[-1].tick_id
        return found

    def started_after(self, key: InstigatorKey, since: datetime) -> list[datetime]:
        """Return when the evaluations of ticks began that were planned after a moment, the earliest first."""
        ticks = self.instance.storage.ticks.page(key, limit=20)
        return sorted(tick.started_at for tick in ticks if tick.planned_at > since and tick.started_at is not None)

    def _start(self, name: str, argv: list[str]) -> None:
        log = self.folder / f"clock-{name}.log"
        self._stack.enter_context(background([self.orchord, *argv], log, self.environment))

    def _is_ready(self) -> bool:
        storage = self.instance.storage
        is_served = any(queue.startswith("ticks.") for worker in storage.workers.all() for queue in worker.queues)
        return is_served and len(storage.daemons.all()) == 2 and self.leader() is not None


def measure_many_due(valkey_url: str, postgres_url: str, folder: Path) -> ManyDue:
    """Turn 1,000 schedules on, let the next minute come, and look at each one's tick and run.

    Args:
        valkey_url: broker and result backend.
        postgres_url: an empty database.
        folder: for the home and logs.
    """
    with Clocks(valkey_url, postgres_url, folder).running() as clocks:
        # With little time left in this minute the turning on itself would be measured.
        wait_for(lambda: utc_now().second < 40, "a minute that has begun", logs=folder)
        for number in range(SCHEDULES):
            clocks.turn_on(InstigatorKind.SCHEDULE, f"schedule_{number}")
        due = utc_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        wait_for(lambda: utc_now() > due + timedelta(seconds=1), "the minute", seconds=70, logs=folder)
        seen_at: datetime | None = None
        with contextlib.suppress(SystemExit):
            wait_for(
                lambda: len(ticks := clocks.ticks(due)) >= SCHEDULES and all(tick.run_ids for tick in ticks),
                "all runs",
                seconds=45,
                logs=folder,
            )
            seen_at = utc_now()
        return _looked_at(clocks, due, seen_at)


def _looked_at(clocks: Clocks, due: datetime, seen_at: datetime | None) -> ManyDue:
    ticks = clocks.ticks(due)
    made = Counter(tick.key.name for tick in ticks)
    run_ids = [run_id for tick in ticks for run_id in tick.run_ids]
    started = [
        (run.created_at - due).total_seconds()
        for first in range(0, len(run_ids), PAGE)
        for run in clocks.instance.storage.runs.page(RunFilter(run_ids=run_ids[first : first + PAGE]), limit=PAGE)
    ]
    runs = Counter(tick.key.name for tick in ticks for _ in tick.run_ids)
    by_tags = RunFilter(tags={"orchord/scheduled_execution_time": due.isoformat()})
    tagged = Counter(
        run.tags["orchord/schedule_name"] for run in clocks.instance.storage.runs.page(by_tags, limit=2 * SCHEDULES)
    )
    return ManyDue(
        schedules=SCHEDULES,
        last_tick_seconds=max((tick.sent_at - due).total_seconds() for tick in ticks if tick.sent_at is not None),
        median_run_seconds=statistics.median(started) if started else float("nan"),
        last_run_seconds=float("inf") if seen_at is None else (seen_at - due).total_seconds(),
        twice=sum(number > 1 for counter in (made, runs, tagged) for number in counter.values()),
        never=SCHEDULES - len(runs),
    )


def measure_take_overs(valkey_url: str, postgres_url: str, folder: Path, times: int = TAKE_OVERS) -> list[float]:
    """Kill the leading daemon a few times. Returns the seconds from each kill to the start of the next planned tick.

    Args:
        valkey_url: broker and result backend.
        postgres_url: an empty database.
        folder: for the home and logs.
        times: how often.
    """
    seconds = []
    with Clocks(valkey_url, postgres_url, folder).running() as clocks:
        clocks.turn_on(InstigatorKind.SENSOR, "each_second")
        key = InstigatorKey(LOCATION, InstigatorKind.SENSOR, "each_second")
        for number in range(times):
            wait_for(clocks.leader, "a leader", logs=folder)
            # At another moment of the lease each time.
            threading.Event().wait(4.0 + 0.37 * number)
            leader = clocks.leader()
            assert leader is not None
            killed_at = utc_now()
            os.kill(leader, signal.SIGKILL)
            later = functools.partial(clocks.started_after, key, killed_at)
            wait_for(later, "a tick of another daemon", logs=folder)
            seconds.append((later()[0] - killed_at).total_seconds())
            clocks.start_daemon()
    return seconds


def main() -> None:
    """Measure with servers of our own, and print the figures."""
    for measure in (_print_many_due, _print_take_overs):
        with tempfile.TemporaryDirectory() as name, start_valkey() as valkey, start_postgres() as postgres:
            measure(valkey, postgres, Path(name))


def _print_many_due(valkey: str, postgres: str, folder: Path) -> None:
    found = measure_many_due(valkey, postgres, folder)
    print(f"{found.schedules} schedules due in one minute, two daemons: sent within {found.last_tick_seconds:.2f} s,")
    print(f"runs created within {found.last_run_seconds:.2f} s (median {found.median_run_seconds:.2f} s);")
    print(f"{found.twice} twice, {found.never} never")


def _print_take_overs(valkey: str, postgres: str, folder: Path) -> None:
    seconds = measure_take_overs(valkey, postgres, folder)
    print(
        f"Leader killed {len(seconds)} times: next tick after {statistics.median(seconds):.1f} s "
        f"(worst {max(seconds):.1f} s)"
    )


if __name__ == "__main__":
    main()
