"""``make bench``: Orchord through its REST API with Postgres, beside the bare Celery canvas; with --peer also Dagster.

All sides run in turn in this one run, on this one machine, after a warm-up. The sides are in stacks.py and
dagster_stack.py, the requirements in report.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from dagster_stack import DagsterStack, ensure_venv
from logs import capture_seconds
from measures import Samples, alternate
from report import markdown, rows, show
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from stacks import HERE, BareCanvas, OrchordStack, resident_megabytes

from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey

JOBS = {"numbers": ("process_numbers", 100), "chain_40": ("chain_40", 20), "fan_in_200": ("fan_in_200", 10)}
AT_ONCE = 200
REPORT = HERE.parent / ".benchmarks" / "latest.json"

# Names are imported when they are asked for: what counts is the time until a user's module has what it uses.
TIME_IMPORT = """
import time
began = time.perf_counter()
{}
print(time.perf_counter() - began)
"""
TIME_IN_PROCESS = """
import json, sys, time
from {} import process_numbers
seconds = []
for number in range({} + 3):
    began = time.perf_counter()
    assert process_numbers.execute_in_process().output_for_node("sum_two_sums") == 55
    seconds.append(time.perf_counter() - began)
print("SECONDS" + json.dumps(seconds[3:]))
"""


class Bench:
    """One benchmark run: measures, and collects what was measured."""

    def __init__(self, options: argparse.Namespace, folder: Path, progress: Progress) -> None:
        self.options, self.folder, self.progress = options, folder, progress
        self.values: dict[str, float] = {}
        self.details: dict[str, str] = {}
        self.samples: dict[str, dict[str, Any]] = {}

    def scaled(self, repetitions: int) -> int:
        """Return how often to repeat: a tenth of it with ``--quick``."""
        return max(2, repetitions // 10) if self.options.quick else repetitions

    def alternate(self, key: str, title: str, sides: dict[str, Callable[[], object]], count: int) -> dict[str, Samples]:
        """Time sides in turn under a progress bar, and keep the samples."""
        repetitions = self.scaled(count)
        task = self.progress.add_task(title, total=repetitions)
        found = alternate(sides, repetitions, warm_up=min(5, repetitions), tick=lambda: self.progress.advance(task))
        self.samples[key] = {name: samples.as_milliseconds() for name, samples in found.items()}
        return found

    def against_bare(self, orchord: OrchordStack, bare: BareCanvas) -> None:
        """Measure the three shapes one run at a time, then many at once, then a long chain."""
        medians: dict[str, float] = {}
        for key, (job, count) in JOBS.items():
            sides = {"orchord": lambda job=job: orchord.run(job), "bare": lambda job=job: bare.run(job)}
            found = self.alternate(key, f"{job}, one at a time", sides, count)
            medians[key] = found["orchord"].median
            self.values[key] = found["orchord"].median / found["bare"].median
            self.details[key] = " / ".join(
                f"{name} {found[name].median * 1000:.1f} ms (p95 {found[name].p95 * 1000:.1f})" for name in sides
            )
        found = self.alternate(
            "throughput",
            f"process_numbers, {AT_ONCE} at once",
            {
                "orchord": lambda: orchord.run_many("process_numbers", AT_ONCE),
                "bare": lambda: bare.run_many("process_numbers", AT_ONCE),
            },
            5,
        )
        per_second = {name: AT_ONCE / samples.median for name, samples in found.items()}
        self.values["throughput"] = per_second["orchord"] / per_second["bare"]
        self.details["throughput"] = f"orchord {per_second['orchord']:.0f} / bare {per_second['bare']:.0f} runs/s"
        found = self.alternate(
            "chain_1000",
            "chain_1000, one at a time",
            {"orchord": lambda: orchord.run("chain_1000"), "bare": lambda: bare.run("chain_1000")},
            3,
        )
        long, short = found["orchord"].median / 1000, medians["chain_40"] / 40
        self.values["chain_growth"] = long / short
        self.details["chain_growth"] = (
            f"{long * 1000:.2f} / {short * 1000:.2f} ms a step; all of 1,000: "
            f"orchord {found['orchord'].median:.2f} s, bare {found['bare'].median:.2f} s"
        )

    def alone(self) -> None:
        """Measure what needs no server: one run in process, and the import."""
        count = self.scaled(100)
        in_process = time_in_process(Path(sys.executable), "orchord_shapes", count)
        self.samples["in_process"] = {"orchord": in_process.as_milliseconds()}
        self.values["in_process"] = in_process.median * 1000
        self.details["in_process"] = f"p95 {in_process.p95 * 1000:.1f} ms"
        capture = capture_seconds(self.scaled(2000))
        self.samples["capture"] = {"orchord": capture.as_milliseconds()}
        self.values["capture"] = capture.median * 1000
        self.details["capture"] = f"p95 {capture.p95 * 1000:.3f} ms"
        alone = time_import(Path(sys.executable), "import orchord", self.scaled(20))
        used = time_import(Path(sys.executable), "from orchord import Definitions, asset, job, op", self.scaled(20))
        self.samples["import"] = {"alone": alone.as_milliseconds(), "with_names": used.as_milliseconds()}
        self.values["import"] = used.median * 1000
        self.details["import"] = f"p95 {used.p95 * 1000:.0f} ms; `import orchord` alone {alone.median * 1000:.0f} ms"

    def against_dagster(self, orchord: OrchordStack, dagster: DagsterStack) -> None:
        """Measure the numbers job from trigger to end, and in process."""
        sides = {
            "orchord": lambda: orchord.run("process_numbers"),
            "dagster": lambda: dagster.run("process_numbers"),
        }
        ours, theirs = resident_megabytes(orchord.sessions), resident_megabytes(dagster.sessions)
        self.values["memory"] = ours / theirs
        self.details["memory"] = f"orchord {ours:.0f} / dagster {theirs:.0f} MB"
        repetitions = 2 if self.options.quick else 5
        task = self.progress.add_task("process_numbers, Orchord and Dagster", total=repetitions)
        found = alternate(sides, repetitions, warm_up=1, tick=lambda: self.progress.advance(task))
        peer = time_in_process(ensure_venv() / "python", "dagster_shapes", self.scaled(30))
        self.samples["dagster"] = {name: samples.as_milliseconds() for name, samples in found.items()}
        self.samples["dagster"]["dagster_in_process"] = peer.as_milliseconds()
        self.values["dagster"] = found["dagster"].median / found["orchord"].median
        self.details["dagster"] = (
            f"dagster {found['dagster'].median:.2f} s / orchord {found['orchord'].median * 1000:.1f} ms; "
            f"in process dagster {peer.median * 1000:.0f} ms"
        )


def time_in_process(python: Path, module: str, repetitions: int) -> Samples:
    """Time ``execute_in_process`` in an interpreter of its own."""
    code = TIME_IN_PROCESS.format(module, repetitions)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ORCHORD_HOME": home, "DAGSTER_HOME": home}
        (Path(home) / "dagster.yaml").touch()
        result = subprocess.run(
            [str(python), "-c", code], cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True, check=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return Samples(tuple(json.loads(result.stdout.rpartition("SECONDS")[2])))


def time_import(python: Path, statement: str, repetitions: int) -> Samples:
    """Time an import in fresh interpreters. The first, which may read from the disk, does not count."""
    argv = [str(python), "-c", TIME_IMPORT.format(statement)]
    outputs = [subprocess.run(argv, capture_output=True, text=True, check=True).stdout for _ in range(repetitions + 1)]
    return Samples(tuple(float(output) for output in outputs[1:]))


def new_database(server_url: str, name: str) -> str:
    """Create an empty database on the server; return its URL."""
    connection = psycopg2.connect(server_url.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{server_url.rpartition('/')[0]}/{name}"


def measure(bench: Bench, concurrency: int, peer: str | None) -> None:
    """Start the services and all sides, and measure."""
    with contextlib.ExitStack() as stack:
        valkey_url = stack.enter_context(start_valkey()).rpartition("/")[0]
        postgres_url = stack.enter_context(start_postgres())
        orchord = OrchordStack(f"{valkey_url}/0", new_database(postgres_url, "orchord"), bench.folder, concurrency)
        stack.enter_context(orchord.running())
        with BareCanvas(f"{valkey_url}/1", bench.folder, concurrency).running() as bare:
            bench.against_bare(orchord, bare)
        bench.alone()
        if peer == "dagster":
            dagster = DagsterStack(new_database(postgres_url, "dagster"), bench.folder)
            with dagster.running():
                bench.against_dagster(orchord, dagster)


def main() -> int:
    """Run the benchmark; exit with 1 when a requirement is missed and ``--strict`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--peer", choices=["dagster"], help="also measure this, in a venv of its own below ~/.cache")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions: to try it, not to quote it")
    parser.add_argument("--concurrency", type=int, default=2, help="worker processes of either side (default 2)")
    parser.add_argument("--json", type=Path, default=REPORT, help="where JSON goes")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a required figure is missed")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 180)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="orchord-bench-") as folder,
        Progress(*columns, console=console) as progress,
    ):
        bench = Bench(options, Path(folder), progress)
        measure(bench, options.concurrency, options.peer)
    found = rows(bench.values, bench.details)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    show(console, found)
    console.print(f"{machine}; {options.concurrency} worker processes on either side; medians of alternating runs.")
    if options.markdown:
        markdown(found, lambda text: console.out(text, highlight=False))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": datetime.now(UTC).isoformat(), "machine": machine, "figures": found, "samples": bench.samples}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"JSON: {options.json}")
    return int(options.strict and any(row["verdict"] == "misses" for row in found))


if __name__ == "__main__":
    sys.exit(main())
