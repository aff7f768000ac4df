"""``make bench-daemon``: the figures of queue, clock, sensors and recovery, in one table with what is required.

How each is measured is in daemon_queue.py, daemon_clock.py, daemon_sensors.py and tests/chaos/flush.py. That nothing is
lost under faults is `make chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon_clock import measure_many_due, measure_take_overs
from daemon_queue import measure_long_queue, measure_submission
from daemon_sensors import measure_sensors
from report import Measure, markdown, rows, show
from rich.console import Console
from stacks import HERE

from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey

FLUSH = HERE.parent / "tests" / "chaos" / "flush.py"
REPORT = HERE.parent / ".benchmarks" / "daemon.json"

MEASURES = (
    Measure("flush", "broker flushed in mid-run: worst added delay", 15, 8, unit=" s"),
    Measure("submission", "submission to first step, QueuedRunCoordinator / DefaultRunCoordinator", 1.5, 1.2),
    Measure("many_due", "1,000 schedules due in one minute, two daemons: last run created", 10, 5, unit=" s"),
    Measure("many_due_twice", "of these, made twice or never", 0, 0),
    Measure("sensors", "200 sensors at 5 s, 5 hang: others' ticks on time", 99, 99.9, at_most=False, unit=" %"),
    Measure("take_over", "leading daemon killed: next tick, worst", 10, 7, unit=" s"),
    Measure("dequeue", "5,000 queued runs with tag limits: dequeued", 50, 200, at_most=False, unit=" runs/s"),
    Measure("exceeded", "of the samples, a limit was exceeded in", 0, 0),
)

Found = tuple[dict[str, float], dict[str, str]]


@contextlib.contextmanager
def services(databases: int = 1) -> Iterator[tuple[str, list[str], Path]]:
    """Start a broker and so many databases, empty, and make a folder: no measure meets another's leavings."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchord-bench-")))
        valkey = stack.enter_context(start_valkey())
        yield valkey, [stack.enter_context(start_postgres()) for _ in range(databases)], folder


def flush(quick: bool) -> Found:
    """Measure in a program of its own: the harness's modules are not on this one's path."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "flush.json"
        argv = [sys.executable, str(FLUSH), "--rounds", "1" if quick else "3", "--json", str(report)]
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
        found = json.loads(report.read_text())
    emptied, killed = found["emptied"], found["killed"]
    detail = (
        f"{emptied['runs']} runs, {emptied['wrong']} ended wrong; median {emptied['median']:.1f} s; "
        f"killed and back empty: worst {killed['worst']:.1f} s"
    )
    return {"flush": emptied["worst"]}, {"flush": detail}


def submission(quick: bool) -> Found:
    with services(2) as (valkey, (first, second), folder):
        found = measure_submission(valkey, (first, second), folder, 20 if quick else 150)
    detail = f"{found.queued_seconds * 1000:.1f} / {found.default_seconds * 1000:.1f} ms"
    return {"submission": found.ratio}, {"submission": detail}


def many_due(quick: bool) -> Found:
    with services() as (valkey, (postgres,), folder):
        found = measure_many_due(valkey, postgres, folder)
    detail = f"ticks sent within {found.last_tick_seconds:.1f} s, runs' median {found.median_run_seconds:.1f} s"
    wrong = f"{found.twice} twice, {found.never} never"
    return (
        {"many_due": found.last_run_seconds, "many_due_twice": found.twice + found.never},
        {"many_due": detail, "many_due_twice": wrong},
    )


def sensors(quick: bool) -> Found:
    with services() as (valkey, (postgres,), folder):
        found = measure_sensors(valkey, postgres, folder, 20.0 if quick else 60.0)
    detail = (
        f"{found.on_time} of {found.planned}; late by {found.median_seconds:.2f} s, worst {found.worst_seconds:.2f} s"
    )
    return {"sensors": found.share_on_time * 100}, {"sensors": detail}


def take_over(quick: bool) -> Found:
    with services() as (valkey, (postgres,), folder):
        seconds = measure_take_overs(valkey, postgres, folder, 2 if quick else 5)
    detail = f"{len(seconds)} times, median {statistics.median(seconds):.1f} s"
    return {"take_over": max(seconds)}, {"take_over": detail}


def dequeue(quick: bool) -> Found:
    with services() as (valkey, (postgres,), folder):
        found = measure_long_queue(valkey, postgres, folder, 500 if quick else 5000)
    detail = f"{found.runs} runs in {found.seconds:.1f} s, at most {found.most_at_once} at once"
    return (
        {"dequeue": found.runs_per_second, "exceeded": found.exceeded},
        {"dequeue": detail, "exceeded": f"{found.samples} samples"},
    )


PARTS: dict[str, Callable[[bool], Found]] = {
    "flush": flush,
    "submission": submission,
    "many_due": many_due,
    "sensors": sensors,
    "take_over": take_over,
    "dequeue": dequeue,
}


def main() -> int:
    """Measure, and print; exit with 1 when a requirement is missed and ``--strict`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="measure only this; repeatable")
    parser.add_argument("--quick", action="store_true", help="shorter: to try it, not to quote it")
    parser.add_argument("--json", type=Path, default=REPORT, help="where JSON goes")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a required figure is missed")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 180)
    values: dict[str, float] = {}
    details: dict[str, str] = {}
    for name in options.only or PARTS:
        with console.status(f"measuring {name}"):
            measured, told = PARTS[name](options.quick)
        values |= measured
        details |= told
    found: list[dict[str, Any]] = rows(values, details, MEASURES)
    show(console, found)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    console.print(machine)
    if options.markdown:
        markdown(found, lambda text: console.out(text, highlight=False))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"at": datetime.now(UTC).isoformat(), "machine": machine, "figures": found}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(options.strict and any(row["verdict"] == "misses" for row in found))


if __name__ == "__main__":
    sys.exit(main())
