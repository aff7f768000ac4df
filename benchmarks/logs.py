"""``make bench-logs``: from a printed line to a reader of the API on another machine, and what capturing costs a step.

The worker has a home of its own, so that its files are seen by nobody else: all that readers get went through the
result backend. The steps are in log_shapes.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from measures import Samples
from report import MEASURES as ALL_MEASURES
from report import Measure, rows, show
from rich.console import Console
from stacks import HERE, background, wait_for

from orchord.compute_logs import LocalComputeLogManager
from orchord.embedded.postgres import start_postgres
from orchord.embedded.processes import free_port
from orchord.embedded.valkey import start_valkey

MEASURES = (
    next(measure for measure in ALL_MEASURES if measure.key == "capture"),
    Measure("seen", "line printed -> seen by an SSE reader elsewhere, p95", 1, 0.5, unit=" s"),
    Measure("lost", "lines lost or doubled", 0, 0),
)


def capture_seconds(repetitions: int = 2000) -> Samples:
    """Time a capture in which one line is printed, over the time of the print itself."""
    with tempfile.TemporaryDirectory() as folder:
        manager = LocalComputeLogManager(folder)
        manager.announce_as("bench")
        seconds: list[float] = []
        for number in range(repetitions + 100):
            began = time.perf_counter()
            with manager.capture(f"run{number // 20}", f"step{number}", 1):
                print("a line")
            seconds.append(time.perf_counter() - began)
        manager.dispose()
    return Samples(tuple(seconds[100:]))


@contextlib.contextmanager
def apart(folder: Path, steps: int) -> Iterator[httpx.Client]:
    """Start an API and a worker that share a database and a broker, and no folder."""
    orchord = str(Path(sys.executable).parent / "orchord")
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(start_valkey())
        postgres = stack.enter_context(start_postgres())
        text = (
            f"storage: {{postgres: {{postgres_url: '{postgres}'}}}}\n"
            f"celery: {{broker: '{valkey}', result_backend: '{valkey}'}}\n"
        )
        homes = {name: folder / name for name in ("here", "there")}
        for home in homes.values():
            home.mkdir()
            (home / "orchord.yaml").write_text(text)
        here, there = ({"ORCHORD_HOME": str(home)} for home in homes.values())
        subprocess.run([orchord, "instance", "migrate"], env={**os.environ, **here}, check=True)
        port = free_port()
        api = ["api", "--port", str(port), "--threads", str(steps * 2 + 10)]
        worker = ["worker", "-f", "log_shapes.py", "--concurrency", str(steps)]
        for name, argv, environment in (("api", api, here), ("daemon", ["daemon"], here), ("worker", worker, there)):
            stack.enter_context(background([orchord, *argv], folder / f"{name}.log", environment))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))

        def is_ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return client.get("/readyz").status_code == 200
            return False

        wait_for(is_ready, "the stack", logs=folder)
        yield client


class Reader(threading.Thread):
    """Follows one step, and notes how old each line is when it comes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.numbers, self.ages = url, list[int](), list[float]()

    def run(self) -> None:
        half = ""
        with httpx.stream("GET", self.url, timeout=120) as answer:
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                data = json.loads(line[6:])
                now = time.time()
                if data.get("stream") != "stdout":
                    continue
                *lines, half = (half + data["text"]).split("\n")
                for one in lines:
                    number, printed, _ = one.split(" ", 2)
                    self.numbers.append(int(number))
                    self.ages.append(now - float(printed))


def live_lines(steps: int, seconds: int) -> tuple[Samples, int, int]:
    """Return the ages of all lines as they were seen, how many were lost or doubled, and how many were printed."""
    config = {"ops": {"talk": {"config": {"lines": 100 * seconds}}}}
    with tempfile.TemporaryDirectory(prefix="orchord-bench-") as folder, apart(Path(folder), steps) as client:
        readers: list[Reader] = []
        for _ in range(steps):
            run = client.post("/api/v1/runs", json={"job": "talking", "run_config": config}).raise_for_status().json()
            readers.append(Reader(f"{client.base_url}/api/v1/runs/{run['run_id']}/logs/talk?follow=1"))
            readers[-1].start()
        for reader in readers:
            reader.join()
        wrong = sum(
            abs(len(reader.numbers) - 100 * seconds) + (reader.numbers != sorted(set(reader.numbers)))
            for reader in readers
        )
        return Samples(tuple(age for reader in readers for age in reader.ages)), wrong, steps * 100 * seconds


def main() -> int:
    """Measure, and show what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=50, help="steps at once, each in a process (default 50)")
    parser.add_argument("--seconds", type=int, default=20, help="how long each prints 100 lines a second (default 20)")
    options = parser.parse_args()
    os.chdir(HERE)
    capture = capture_seconds(200 if options.seconds < 10 else 2000)
    ages, wrong, printed = live_lines(options.steps, options.seconds)
    values = {"capture": capture.median * 1000, "seen": ages.p95, "lost": float(wrong)}
    details = {
        "capture": f"p95 {capture.p95 * 1000:.3f} ms",
        "seen": f"median {ages.median:.3f} s; {options.steps} steps x 100 lines/s x {options.seconds} s",
        "lost": f"of {printed:,}",
    }
    found = rows(values, details, MEASURES)
    show(Console(), found)
    return int(any(row["verdict"] == "misses" for row in found))


if __name__ == "__main__":
    sys.exit(main())
