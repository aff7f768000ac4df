"""``make chaos``: runs of mixed shapes while a seeded script breaks what can break; then the plan is the judge.

A program: ``python tests/chaos/chaos.py --seeds 5 --runs 100``. It exits with 1 unless all
figures are zero.
The measure of a flushed broker, without other faults, is flush.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import shapes
from faults import Script
from limits import Witness
from load import Load
from report import SeedResult, show
from rich.console import Console
from stack import Stack, wait_until
from verdict import judge, judge_ticks

from orchord.embedded.processes import kill_group

UNFINISHED = "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
OPEN_TICKS = "SELECT count(*) FROM ticks WHERE status IN ('PENDING', 'STARTED')"
# Each second seed's runs go through the queue, with these limits.
QUEUE: dict[str, Any] = {
    "max_concurrent_runs": 12,
    "tag_concurrency_limits": [{"key": "family", "value": {"applyLimitPerUniqueValue": True}, "limit": 4}],
}


def instance_file(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what orchord.yaml says beside the services."""
    content: dict[str, Any] = {}
    concurrency: dict[str, Any] = {}
    if "pools" in options.parts:
        concurrency["pools"] = {"default_limit": shapes.POOL_LIMIT}
    if "queue" in options.parts and seed % 2 == 1:
        content["run_coordinator"] = {"module": "orchord", "class": "QueuedRunCoordinator"}
        concurrency["runs"] = QUEUE
    if concurrency:
        content["concurrency"] = concurrency
    return content


def limits_of(seed: int, options: argparse.Namespace) -> dict[str, int]:
    """Return what must never be exceeded, as the witness counts it."""
    limits = {f"pool {shapes.POOL}": shapes.POOL_LIMIT} if "pools" in options.parts else {}
    if "run_coordinator" in instance_file(seed, options):
        limits |= {
            "runs": int(QUEUE["max_concurrent_runs"]),
            "family": int(QUEUE["tag_concurrency_limits"][0]["limit"]),
        }
    return limits


def run_seed(seed: int, options: argparse.Namespace, folder: Path, console: Console) -> SeedResult:
    """Bring up a stack, break it while it works, wait until all has ended, and judge."""
    stack = Stack(folder, instance_file(seed, options), pause_scale=options.pause_scale, seed=seed)
    script = Script(stack, seed, only=tuple(options.only))
    began, ended_pids = time.monotonic(), set()
    try:
        stack.start()
        ready_at = datetime.now(UTC)
        console.log(f"seed {seed}: ready after {time.monotonic() - began:.0f} s; {options.runs} runs")
        began = time.monotonic()
        load = Load(stack, seed, options.runs, options.seconds)
        witness = Witness(stack, limits_of(seed, options))
        witness.start()
        script.start()
        load.run()
        script.stop()
        over_at = datetime.now(UTC)
        seconds = time.monotonic() - began
        console.log(f"seed {seed}: {len(script.done)} faults in {seconds:.0f} s; waiting for all to end")
        drained = drain(stack, options)
        ended_pids = {pid for fault in script.done for pid in fault.processes}
        witness.stop()
        verdict = judge(stack, load.runs, script.done, witness.exceeded)
        verdict.harness += script.errors
        if "ticks" in options.parts:
            judge_ticks(stack, verdict, ready_at, over_at)
        if verdict.mistakes and options.keep:
            (folder / "mistakes.txt").write_text("\n".join(verdict.mistakes))
            dump(stack, folder)
        result_options = {
            "parts": sorted(options.parts),
            "queued": "run_coordinator" in instance_file(seed, options),
            "looks_at_limits": witness.looks,
            "most_at_once": {what: most for what, most in witness.most.items() if witness.limit_of(what) is not None},
        }
        return SeedResult(seed, script.done, verdict, seconds, drained, result_options)
    finally:
        stack.stop()
        for pid in ended_pids:
            # Children of a worker whose main process alone was killed.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill_group(pid)


def drain(stack: Stack, options: argparse.Namespace) -> float:
    """Wait until every run, and every tick, has ended. Returns how long that took, in seconds."""
    began = time.monotonic()
    if "ticks" in options.parts:
        # What asks for runs by itself is switched off first, or it would never end.
        for kind, names in (
            ("schedules", [f"every_minute_{n}" for n in range(shapes.SCHEDULES)]),
            ("sensors", ["counting"]),
        ):
            for name in names:
                wait_until(lambda: stop_instigator(stack, kind, name), 30)

    def is_done() -> bool:
        with contextlib.suppress(psycopg2.Error):
            open_ticks = stack.rows(OPEN_TICKS)[0][0] if "ticks" in options.parts else 0
            return int(stack.rows(UNFINISHED)[0][0]) + int(open_ticks) == 0
        return False

    quiet_since = [time.monotonic()]

    def is_done_for_a_while() -> bool:
        if not is_done():
            quiet_since[0] = time.monotonic()
        # The status sensor may be about to make further runs.
        return time.monotonic() - quiet_since[0] > (4.0 if "ticks" in options.parts else 0.5)

    wait_until(is_done_for_a_while, options.drain_seconds, 0.25)
    return time.monotonic() - began


def stop_instigator(stack: Stack, kind: str, name: str) -> bool:
    """Switch a schedule or sensor off; return whether that was answered."""
    with contextlib.suppress(httpx.TransportError):
        return stack.client.post(f"/api/v1/{kind}/{name}/stop").status_code == 200
    return False


def dump(stack: Stack, folder: Path) -> None:
    """Keep the tables that tell what happened, as JSON lines."""
    for table in (
        "runs",
        "attempts",
        "events",
        "ticks",
        "workers",
        "pool_waiters",
        "run_changes",
        "instigators",
        "daemons",
    ):
        rows = stack.rows(f"SELECT row_to_json(t)::text FROM {table} t")
        (folder / f"{table}.jsonl").write_text("".join(f"{row}\n" for (row,) in rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default 5)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100, help="runs of a seed (default 100)")
    parser.add_argument("--seconds", type=float, default=75, help="over how long the launches of a seed are spread")
    parser.add_argument("--drain-seconds", type=float, default=180, help="how long after the last fault all may take")
    parser.add_argument("--pause-scale", type=float, default=1.5, help="how long steps take, as a factor")
    parser.add_argument("--only", action="append", default=[], help="only faults whose name contains this; repeatable")
    parser.add_argument(
        "--parts", nargs="*", default=["queue", "pools", "ticks"], choices=["queue", "pools", "ticks"],
        help="what is tried beside steps",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="where JSON goes")
    parser.add_argument("--keep", type=Path, help="keep logs and tables of seeds with mistakes below this folder")
    return parser.parse_args()


def main() -> int:
    """Run the seeds one after another; exit with 1 when there is anything but zeros."""
    options = parse()
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: list[SeedResult] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        folder = Path(tempfile.mkdtemp(prefix=f"orchord-chaos-{seed}-"))
        folder.chmod(0o755)  # Postgres, as another user, is to enter it
        try:
            results.append(run_seed(seed, options, folder, console))
        finally:
            failed = not results or results[-1].seed != seed or results[-1].verdict.mistakes
            if options.keep and failed:
                target = options.keep / f"seed-{seed}-{os.getpid()}"
                shutil.copytree(folder, target, ignore=shutil.ignore_patterns("postgres", "storage", "compute_logs"))
                console.log(f"seed {seed}: kept in {target}")
            shutil.rmtree(folder, ignore_errors=True)
    show(console, results)
    if options.json:
        options.json.write_text(json.dumps([result.as_dict() for result in results], indent=2) + "\n")
    return int(any(result.verdict.mistakes for result in results))


if __name__ == "__main__":
    sys.exit(main())
