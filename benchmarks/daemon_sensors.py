"""Measures whether sensors that hang delay the others: 200 sensors at 5 s, of which 5 hang.

A tick is on time when its evaluation starts within one second of its planned time. What is compared is how many ticks
the quick sensors had on time with how many were planned in the same time, so that a tick that never was counts as
late. Run it alone by ``python benchmarks/daemon_sensors.py``.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from stacks import HERE, background, resident_megabytes, wait_for

from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.ticks import Tick, TickStatus

LATE = timedelta(seconds=1)
INTERVAL = timedelta(seconds=5)
SENSORS, HANGING = 200, 5
WARM_UP_SECONDS = 15.0
PAGE = 1000


@dataclass(frozen=True)
class SensorTimes:
    """What came of the quick sensors' ticks. Delays are from the planned time to the evaluation's start."""

    planned: int
    on_time: int
    median_seconds: float
    worst_seconds: float
    hanging_under_way: int
    megabytes: float

    @property
    def share_on_time(self) -> float:
        """The share of planned ticks that were on time, from 0 to 1."""
        return self.on_time / self.planned if self.planned else 0.0


def measure_sensors(valkey_url: str, postgres_url: str, folder: Path, seconds: float = 60.0) -> SensorTimes:
    """Run daemon and worker for a while, and count ticks.

    Args:
        valkey_url: broker and result backend.
        postgres_url: an empty database.
        folder: for the home and logs.
        seconds: how long to count.
    """
    home = folder / "sensors-home"
    home.mkdir(parents=True)
    (home / "orchord.yaml").write_text(
        f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}\ncelery: {{broker: '{valkey_url}'}}\n"
    )
    environment = {"ORCHORD_HOME": str(home)}
    orchord = str(Path(sys.executable).parent / "orchord")
    subprocess.run([orchord, "instance", "migrate"], env={**os.environ, **environment}, check=True, cwd=HERE)
    sessions = []
    with contextlib.ExitStack() as stack:
        instance = stack.enter_context(OrchordInstance.from_home(Settings(home, True)))
        for name, argv in {"worker": ["worker", "-f", "sensor_shapes.py"], "daemon": ["daemon"]}.items():
            log = folder / f"sensors-{name}.log"
            sessions.append(stack.enter_context(background([orchord, *argv], log, environment)))
        wait_for(lambda: instance.storage.ticks.page(limit=SENSORS), "the first ticks", logs=folder)
        pause(WARM_UP_SECONDS)
        since = utc_now()
        pause(seconds)
        until = utc_now()
        memory = resident_megabytes(sessions)
        # A tick that was planned at the end may start a second later, and still is on time.
        pause(2 * LATE.total_seconds())
        return counted(_ticks(instance, since, until), since, until, memory)


def counted(ticks: list[Tick], since: datetime, until: datetime, megabytes: float) -> SensorTimes:
    """Return the figures of ticks that were planned within some time."""
    quick = [tick for tick in ticks if tick.key.name.startswith("quick_")]
    delays = [(tick.started_at - tick.planned_at).total_seconds() for tick in quick if tick.started_at is not None]
    # By the interval, not by the ticks that there are: those that were never made count too.
    planned = max(round((SENSORS - HANGING) * ((until - since) / INTERVAL)), len(quick))
    return SensorTimes(
        planned=planned,
        on_time=sum(delay <= LATE.total_seconds() for delay in delays),
        median_seconds=statistics.median(delays) if delays else float("nan"),
        worst_seconds=max(delays, default=float("nan")),
        hanging_under_way=sum(
            tick.status is TickStatus.STARTED and tick.key.name.startswith("hanging_") for tick in ticks
        ),
        megabytes=megabytes,
    )


def _ticks(instance: OrchordInstance, since: datetime, until: datetime) -> list[Tick]:
    """Return the ticks that were planned within some time, and those that hang since before."""
    found: list[Tick] = []
    before: int | None = None
    while page := instance.storage.ticks.page(limit=PAGE, before_id=before):
        found += [tick for tick in page if since <= tick.planned_at < until or tick.status is TickStatus.STARTED]
        before = page[-1].tick_id
        if page[-1].planned_at < since - timedelta(minutes=2):
            break
    return [tick for tick in found if since <= tick.planned_at < until or tick.key.name.startswith("hanging_")]


def pause(seconds: float) -> None:
    """Let so many seconds go by."""
    threading.Event().wait(seconds)


def main() -> None:
    """Measure with servers of our own, and print the figures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as name, start_valkey() as valkey, start_postgres() as postgres:
        times = measure_sensors(valkey, postgres, Path(name), seconds)
    print(
        f"{SENSORS} sensors at {INTERVAL.total_seconds():.0f} s, {HANGING} of them hang ({times.hanging_under_way} at "
        f"the end): {times.on_time} of {times.planned} ticks of the others on time ({times.share_on_time:.2%}); "
        f"median {times.median_seconds * 1000:.0f} ms, worst {times.worst_seconds * 1000:.0f} ms after the planned "
        f"time; daemon and worker {times.megabytes:.0f} MB"
    )


if __name__ == "__main__":
    main()
