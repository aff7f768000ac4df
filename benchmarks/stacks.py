"""The sides that are measured, each as processes that are started, asked for runs, and stopped.

``BareCanvas`` and ``OrchordStack`` share one Valkey and use the same number of forked worker processes; the
Orchord side stores every run in Postgres. Dagster's side is in dagster_stack.py.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

from orchord.embedded.processes import free_port, spawn, stop

HERE = Path(__file__).parent
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


@contextlib.contextmanager
def background(argv: list[str], log: Path, environment: Mapping[str, str], directory: Path = HERE) -> Iterator[int]:
    """Run a program beside us, in a session of its own whose id is given; stop it, and all it started, at the end."""
    with log.open("wb") as output:
        process = spawn(argv, output=output, environment={**os.environ, **environment}, directory=directory)
    try:
        yield process.pid
    finally:
        stop(process, grace_seconds=20)


def resident_megabytes(sessions: Iterable[int]) -> float:
    """Return the memory of all processes of these sessions; what several share is counted once, in shares."""
    wanted, kilobytes = set(sessions), 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
            if session in wanted:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def wait_for(condition: Any, what: str, seconds: float = 60.0, logs: Path | None = None) -> None:
    """Wait until ``condition()`` is true; say what was waited for, and what the logs say, when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            texts = (
                [f"--- {log}\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(logs.glob("*.log"))]
                if logs
                else []
            )
            raise SystemExit("\n".join([f"Gave up after {seconds:.0f} s waiting for {what}.", *texts]))
        threading.Event().wait(0.05)


class BareCanvas:
    """Celery's own canvas: nested chain and chord, results in Valkey, no database."""

    def __init__(self, valkey_url: str, folder: Path, concurrency: int) -> None:
        self.url, self.folder, self.concurrency = valkey_url, folder, concurrency
        self.canvas: ModuleType | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[BareCanvas]:
        """Start the worker and wait until it answers."""
        os.environ["BARE_CANVAS_URL"] = self.url
        import bare_canvas

        self.canvas = bare_canvas
        argv = [sys.executable, "-m", "celery", "-A", "bare_canvas", "worker", "--pool", "prefork"]
        argv += ["--concurrency", str(self.concurrency), "--loglevel", "WARNING"]
        with background(argv, self.folder / "bare.log", {"BARE_CANVAS_URL": self.url}):
            wait_for(lambda: bare_canvas.app.control.ping(timeout=0.5), "the bare worker", logs=self.folder)
            try:
                yield self
            finally:
                # Results that the interpreter collects at its end would ask a server that has gone.
                bare_canvas.app.backend.remove_pending_result = lambda result: result
                bare_canvas.app.close()

    def shape(self, job: str) -> Any:
        """Return the canvas of the job with this name."""
        assert self.canvas is not None
        if job == "process_numbers":
            return self.canvas.numbers_job()
        kind, _, size = job.rpartition("_")
        return {"chain": self.canvas.chain_of, "fan_in": self.canvas.fan_in_of}[kind](int(size))

    def run(self, job: str) -> None:
        """Build the canvas, send it, and wait for its result."""
        self.shape(job).apply_async().get(timeout=300)

    def run_many(self, job: str, count: int) -> None:
        """Send many at once, and wait for all of their results."""
        for result in [self.shape(job).apply_async() for _ in range(count)]:
            result.get(timeout=300)


class OrchordStack:
    """API server, daemon and one worker over Postgres and Valkey, started by the command that users have."""

    def __init__(self, valkey_url: str, postgres_url: str, folder: Path, concurrency: int) -> None:
        self.folder, self.port = folder, free_port()
        self.home = folder / "home"
        self.home.mkdir()
        self.sessions: list[int] = []
        self.instance_file = "\n".join(
            [
                f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}",
                "celery:",
                f"  broker: {valkey_url}",
                f"  result_backend: {valkey_url}",
                f"  worker_concurrency: {concurrency}",
                "",
            ]
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)

    @contextlib.contextmanager
    def running(self) -> Iterator[OrchordStack]:
        """Start the three programs and wait until the job location is known and a worker is ready."""
        (self.home / "orchord.yaml").write_text(self.instance_file)
        environment = {"ORCHORD_HOME": str(self.home)}
        orchord = str(Path(sys.executable).parent / "orchord")
        subprocess.run([orchord, "instance", "migrate"], env={**os.environ, **environment}, check=True, cwd=HERE)
        programs = {
            "api": ["api", "--host", "127.0.0.1", "--port", str(self.port)],
            "worker": ["worker", "-f", "orchord_shapes.py"],
            "daemon": ["daemon"],
        }
        with contextlib.ExitStack() as stack:
            stack.callback(self.client.close)
            for name, argv in programs.items():
                log = self.folder / f"orchord-{name}.log"
                self.sessions.append(stack.enter_context(background([orchord, *argv], log, environment)))
            wait_for(self._is_ready, "the Orchord stack", logs=self.folder)
            yield self

    def _is_ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _ask(self, method: str, path: str, **details: Any) -> dict[str, Any]:
        answer = self.client.request(method, f"/api/v1{path}", **details)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path} answered {answer.status_code}: {answer.text}")
        body: dict[str, Any] = answer.json()
        return body

    def _trigger(self, job: str, wait_seconds: int) -> dict[str, Any]:
        return self._ask("POST", "/runs", params={"wait_seconds": wait_seconds}, json={"job": job})

    def run(self, job: str) -> None:
        """Trigger one run over HTTP and hold the line until it has ended."""
        run = self._trigger(job, 60)
        while run["status"] in UNFINISHED:
            run = self._ask("GET", f"/runs/{run['run_id']}/wait", params={"seconds": 60})
        if run["status"] != "SUCCESS":
            raise SystemExit(f"Run {run['run_id']} of {job} ended as {run['status']}")

    def run_many(self, job: str, count: int) -> None:
        """Trigger many at once over eight connections, and wait until none is unfinished."""
        with ThreadPoolExecutor(8) as pool:
            wanted = {run["run_id"] for run in pool.map(lambda _: self._trigger(job, 0), range(count))}
        self._ask("GET", f"/runs/{max(wanted)}/wait", params={"seconds": 60})
        while self._ask("GET", "/runs", params={"status": UNFINISHED, "limit": 1})["items"]:
            threading.Event().wait(0.01)
        succeeded = self._ask("GET", "/runs", params={"status": "SUCCESS", "limit": count})["items"]
        lacking = wanted - {run["run_id"] for run in succeeded}
        if lacking:
            raise SystemExit(f"{len(lacking)} of {count} runs of {job} did not succeed, such as {min(lacking)}")
