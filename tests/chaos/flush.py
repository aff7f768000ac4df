"""The measure of a flushed broker: the same runs twice, once in peace and once with everything in the broker gone.

A program, and ``measure`` for ``make bench-daemon``. What is reported is by how much a run's end came later.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import redis
from prediction import predict
from rich.console import Console
from rich.table import Table
from stack import Stack, wait_until

JOBS = ("chain_0", "chain_2", "diamond_0", "diamond_2", "fan_in_0", "fan_in_2", "mixed_2", "mixed_3", "in_process_2")
FLUSH_AFTER_SECONDS = 1.5
REQUIRED_SECONDS = 15.0


@dataclass(frozen=True)
class FlushFigures:
    """By how many seconds each run's end came later; and the runs that ended otherwise than their plan says."""

    added_seconds: tuple[float, ...]
    wrong: tuple[str, ...]

    @property
    def worst(self) -> float:
        return max(self.added_seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.added_seconds)


def measure(folder: Path, rounds: int = 3, *, kills: bool = False) -> FlushFigures:
    """Measure in a stack of its own.

    Args:
        folder: where the stack lives; others must be able to enter it.
        rounds: how often the broker is flushed.
        kills: kill the broker and start it again, empty, in place of emptying it as it runs.
    """
    stack = Stack(folder, {}, workers=1, concurrency=4, daemons=1, pause_scale=1.5)
    # A supervisor's own pause would count as the broker's.
    stack.broker.restart_seconds = (0.2, 0.2)
    try:
        stack.start()
        _round(stack, "warm", None)
        added: list[float] = []
        wrong: list[str] = []
        for number in range(rounds):
            peace = _round(stack, f"peace{number}", None)
            flushed = _round(stack, f"flush{number}", lambda: _empty(stack, kills))
            added += [flushed[key][1] - peace[key][1] for key in peace]
            for key, (status, _) in {**peace, **flushed}.items():
                expected = predict(key.split(":")[0]).status
                if status != expected:
                    wrong.append(f"{key}: {status}, expected {expected}")
        return FlushFigures(tuple(added), tuple(wrong))
    finally:
        stack.stop()


def _empty(stack: Stack, kills: bool) -> None:
    if kills:
        stack.broker.send(signal.SIGKILL)
        return
    with redis.Redis(port=stack.broker_port) as client:
        client.flushall()


def _round(stack: Stack, name: str, break_it: object) -> dict[str, tuple[str, float]]:
    """Launch every job twice at once; return by job how each ended, and how many seconds it took."""
    wanted = [(f"{job}:{copy}", job) for copy in range(2) for job in JOBS]

    def launch(key: str, job: str) -> str:
        response = stack.client.post(
            "/api/v1/runs", json={"job": job}, headers={"Idempotency-Key": f"{name}:{key}"}
        ).raise_for_status()
        return str(response.json()["run_id"])

    with ThreadPoolExecutor(8) as pool:
        ids = dict(zip((key for key, _ in wanted), pool.map(lambda pair: launch(*pair), wanted), strict=True))
    if callable(break_it):
        threading.Event().wait(FLUSH_AFTER_SECONDS)
        break_it()

    def ended() -> bool:
        statement = "SELECT count(*) FROM runs WHERE ended_at IS NULL"
        return int(stack.rows(statement)[0][0]) == 0

    if not wait_until(ended, 120, 0.1):
        raise SystemExit(f"Runs did not end after 120 s.\n{stack.logs()}")
    took = {
        run_id: (status, float(seconds))
        for run_id, status, seconds in stack.rows(
            "SELECT run_id, status, extract(epoch FROM ended_at - created_at)::float8 FROM runs"
        )
    }
    return {key: took[run_id] for key, run_id in ids.items()}


def main() -> int:
    """Measure both ways; exit with 1 when the worst delay is above what is required, or a run ended wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where JSON goes")
    options = parser.parse_args()
    table = Table(title="A broker that loses everything in mid-run", title_justify="left")
    for heading in ("what", "runs", "ended wrong", "added, median", "added, worst", "required"):
        table.add_column(heading)
    failed = False
    report = {}
    for key, title, kills in (("emptied", "emptied", False), ("killed", "killed, back empty after 0.2 s", True)):
        with tempfile.TemporaryDirectory(prefix="orchord-flush-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            found = measure(Path(folder), options.rounds, kills=kills)
        report[key] = {
            "runs": len(found.added_seconds),
            "wrong": len(found.wrong),
            "median": found.median,
            "worst": found.worst,
        }
        failed |= found.worst > REQUIRED_SECONDS or bool(found.wrong)
        table.add_row(
            title, str(len(found.added_seconds)), str(len(found.wrong)), f"{found.median:.1f} s",
            f"{found.worst:.1f} s", f"<= {REQUIRED_SECONDS:.0f} s",
        )  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report) + "\n")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
