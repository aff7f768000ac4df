"""Measures the run queue: what it adds before a run's first step, and how fast a long queue with tag limits empties.

Run it alone by ``python benchmarks/daemon_queue.py``. The report is made by daemon.py.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import sqlalchemy as sa
from stacks import HERE, background, wait_for

from orchord.embedded.postgres import start_postgres
from orchord.embedded.processes import free_port
from orchord.embedded.valkey import start_valkey
from orchord.events import EventType, utc_now
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.settings import Settings

SUBMISSIONS = 150
QUEUED = 5000
TEAMS = 10
MOST_RUNS, MOST_OF_TEAM, MOST_HEAVY = 40, 6, 4
LIMITS = f"""
run_coordinator:
  module: orchord
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: {{most}}
    tag_concurrency_limits:
      - {{{{key: team, value: {{{{applyLimitPerUniqueValue: true}}}}, limit: {MOST_OF_TEAM}}}}}
      - {{{{key: kind, value: heavy, limit: {MOST_HEAVY}}}}}
"""
# All that the limits speak of, in one statement: what it sees is true of one moment.
SAMPLE = sa.text(
    """SELECT r.run_id, t.key, t.value FROM runs r LEFT JOIN run_tags t ON t.run_id = r.run_id
    AND t.key IN ('team', 'kind') WHERE r.status IN ('STARTING', 'STARTED', 'CANCELING')"""
)


@dataclass(frozen=True)
class Submission:
    """Seconds from the request to the start of the first step, by coordinator: medians over interleaved runs."""

    default_seconds: float
    queued_seconds: float

    @property
    def ratio(self) -> float:
        return self.queued_seconds / self.default_seconds


@dataclass(frozen=True)
class LongQueue:
    """What came of a long queue. ``exceeded`` counts samples in which a limit was not held."""

    runs: int
    seconds: float
    samples: int
    exceeded: int
    most_at_once: int

    @property
    def runs_per_second(self) -> float:
        return self.runs / self.seconds


class QueueStack:
    """API, daemon and worker over Postgres and Valkey, with one coordinator or the other."""

    def __init__(self, name: str, valkey_url: str, postgres_url: str, folder: Path, section: str = "") -> None:
        self.name, self.folder, self.port = name, folder, free_port()
        self.home = folder / f"{name}-home"
        self.home.mkdir(parents=True)
        self.base = f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}\ncelery: {{broker: '{valkey_url}'}}\n"
        self.configure(section)
        self.environment = {"ORCHORD_HOME": str(self.home)}
        self.orchord = str(Path(sys.executable).parent / "orchord")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def configure(self, section: str) -> None:
        """Write the instance file."""
        (self.home / "orchord.yaml").write_text(self.base + section)

    def instance(self) -> OrchordInstance:
        """Open the instance in this process."""
        return OrchordInstance.from_home(Settings(self.home, True))

    @contextlib.contextmanager
    def running(self, *programs: str) -> Iterator[QueueStack]:
        """Start some of api, daemon and worker, and wait until a worker has told of its jobs."""
        migrate = [self.orchord, "instance", "migrate"]
        subprocess.run(migrate, env={**os.environ, **self.environment}, check=True, cwd=HERE, stdout=subprocess.DEVNULL)
        argv = {
            "api": ["api", "--port", str(self.port), "--log-level", "warning"],
            "daemon": ["daemon"],
            "worker": ["worker", "-f", "queue_shapes.py", "--concurrency", "2"],
        }
        with contextlib.ExitStack() as stack:
            stack.callback(self.client.close)
            for program in programs:
                log = self.folder / f"{self.name}-{program}.log"
                stack.enter_context(background([self.orchord, *argv[program]], log, self.environment))
            if "worker" in programs:
                with self.instance() as instance:
                    wait_for(instance.storage.workers.all, f"a worker of {self.name}", logs=self.folder)
            if "api" in programs:
                wait_for(self._answers, f"the API of {self.name}", logs=self.folder)
            yield self

    def submit(self) -> tuple[str, datetime]:
        """Launch a run by REST; return its id, and when it was asked for."""
        at = utc_now()
        answer = self.client.post("/api/v1/runs", json={"job": "short"})
        if answer.status_code != 201:
            raise SystemExit(f"POST /runs answered {answer.status_code}: {answer.text}")
        return answer.json()["run_id"], at

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/readyz").status_code == 200
        return False


def measure_submission(
    valkey_url: str, postgres_urls: tuple[str, str], folder: Path, times: int = SUBMISSIONS
) -> Submission:
    """Submit runs to a stack with the default coordinator and to one with the queue, by turns.

    Args:
        valkey_url: without a database's number; 1 and 2 are used.
        postgres_urls: two empty databases.
        folder: for homes and logs.
        times: how many runs of each.
    """
    base = valkey_url.rpartition("/")[0]
    default = QueueStack("default", f"{base}/1", postgres_urls[0], folder)
    queued = QueueStack("queued", f"{base}/2", postgres_urls[1], folder, LIMITS.format(most=10))
    programs = ("api", "daemon", "worker")
    with default.running(*programs), queued.running(*programs), default.instance() as one, queued.instance() as other:
        found: dict[str, list[float]] = {"default": [], "queued": []}
        for number in range(times + 10):
            for stack, instance in ((default, one), (queued, other)):
                seconds = _first_step_seconds(stack, instance)
                if number >= 10:  # the first ones warm the processes up
                    found[stack.name].append(seconds)
        return Submission(*(statistics.median(values) for values in found.values()))


def _first_step_seconds(stack: QueueStack, instance: OrchordInstance) -> float:
    run_id, at = stack.submit()
    wait_for(lambda: instance.storage.runs.get(run_id).is_finished, f"run {run_id}", logs=stack.folder)
    (attempt,) = instance.storage.attempts.of_run(run_id)
    assert attempt.started_at is not None
    return (attempt.started_at - at).total_seconds()


def measure_long_queue(valkey_url: str, postgres_url: str, folder: Path, runs: int = QUEUED) -> LongQueue:
    """Queue many runs while the queue is paused, then let a daemon and a worker loose on them; sample the limits.

    Args:
        valkey_url: broker and result backend.
        postgres_url: an empty database.
        folder: for the home and logs.
        runs: how many.
    """
    stack = QueueStack("long", valkey_url, postgres_url, folder, LIMITS.format(most=0))
    with stack.running("worker"):
        with stack.instance() as instance, ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: instance.launch(_request(number)), range(runs)))
            depth = instance.storage.queue.depth()
            if depth != runs:
                raise SystemExit(f"{depth} of {runs} runs are queued")
        stack.configure(LIMITS.format(most=MOST_RUNS))
        with stack.instance() as instance, stack.running("daemon"):
            stop, samples = threading.Event(), []
            sampler = threading.Thread(target=_sample, args=(instance, stop, samples))
            sampler.start()
            try:
                wait_for(lambda: _ended(instance) == runs, "all runs", seconds=600, logs=folder)
            finally:
                stop.set()
                sampler.join()
            first, last = _dequeued_between(instance)
    return LongQueue(
        runs=runs,
        seconds=(last - first).total_seconds(),
        samples=len(samples),
        exceeded=sum(not held for held, _ in samples),
        most_at_once=max(total for _, total in samples),
    )


def _request(number: int) -> LaunchRequest:
    tags = {"team": f"team{number % TEAMS}", "kind": "heavy" if number % 20 == 0 else "light"}
    return LaunchRequest(job_name="short", tags=tags)


def _sample(instance: OrchordInstance, stop: threading.Event, samples: list[tuple[bool, int]]) -> None:
    while not stop.wait(0.02):
        rows = instance.storage.database.rows(SAMPLE)
        counts = Counter((row.key, row.value) for row in rows)
        total = len({row.run_id for row in rows})
        of_team = max((count for (key, _), count in counts.items() if key == "team"), default=0)
        held = total <= MOST_RUNS and of_team <= MOST_OF_TEAM and counts["kind", "heavy"] <= MOST_HEAVY
        samples.append((held, total))


def _ended(instance: OrchordInstance) -> int:
    time.sleep(0.2)
    return sum(count for status, count in instance.storage.runs.count_by_status().items() if status.is_terminal)


def _dequeued_between(instance: OrchordInstance) -> tuple[datetime, datetime]:
    query = sa.text("SELECT min(timestamp), max(timestamp) FROM events WHERE type = :type")
    (row,) = instance.storage.database.rows(query, {"type": str(EventType.RUN_DEQUEUED)})
    return row[0], row[1]


def main() -> None:
    """Measure with servers of our own, and print the figures."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else QUEUED
    with tempfile.TemporaryDirectory() as name, start_valkey() as valkey, start_postgres() as postgres:
        with start_postgres() as second:
            found = measure_submission(valkey, (postgres, second), Path(name))
        print(
            f"submission to first step: queued {found.queued_seconds * 1000:.1f} ms, "
            f"default {found.default_seconds * 1000:.1f} ms, ratio {found.ratio:.2f}"
        )
    with tempfile.TemporaryDirectory() as name, start_valkey() as valkey, start_postgres() as postgres:
        queue = measure_long_queue(valkey, postgres, Path(name), runs)
        print(
            f"{queue.runs} queued runs with tag limits: {queue.runs_per_second:.0f} runs/s; at most "
            f"{queue.most_at_once} at once, limits exceeded in {queue.exceeded} of {queue.samples} samples"
        )


if __name__ == "__main__":
    main()
