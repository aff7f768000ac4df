"""Whole deployments for the e2e tests: API, workers and daemon as processes, over real databases and brokers.

Each deployment has its own home, database and ports, and is taken down with every process it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.ports import own_port

READY_SECONDS = 40.0
HERE = Path(__file__).parent


class Deployment:
    """The processes of one instance. ``workers`` and the rest can be killed and started again by a test."""

    def __init__(self, home: Path, instance_file: dict[str, Any]) -> None:
        self.home = home
        self.port = own_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        home.mkdir(parents=True, exist_ok=True)
        (home / "orchord.yaml").write_text(yaml.safe_dump(instance_file))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)

    def orchord(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one ``orchord`` command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "orchord.cli.main", *arguments],
            env=self.environment(),
            cwd=HERE,
            text=True,
            capture_output=True,
            timeout=120,
            **options,
        )

    def environment(self) -> dict[str, str]:
        return {**os.environ, "ORCHORD_HOME": str(self.home)}

    def start(self, name: str, *arguments: str) -> None:
        """Start a long-running ``orchord`` command under a name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "orchord.cli.main", *arguments],
                env=self.environment(),
                cwd=HERE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_all(self, user_code: str, *, workers: int = 1, concurrency: int = 2) -> None:
        """Migrate, then start the API, the daemon and workers for ``user_code``, and wait until they are ready."""
        migrated = self.orchord("instance", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        self.start("api", "api", "--port", str(self.port), "--log-level", "warning")
        self.start("daemon", "daemon")
        for number in range(workers):
            self.start_worker(f"worker{number}", user_code, concurrency=concurrency)
        self.wait_until(self.is_ready, READY_SECONDS, "the deployment to be ready")

    def start_worker(self, name: str, user_code: str, *, concurrency: int = 2) -> None:
        self.start(name, "worker", "-f", user_code, "--concurrency", str(concurrency))

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/readyz").status_code == 200
        return False

    def kill(self, name: str) -> None:
        """SIGKILL a process and the whole group that it leads: a worker with all its pool children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def children_of(self, name: str) -> list[int]:
        """The process ids of a process's own children."""
        parent = self.processes[name].pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(child) for child in children]

    def launch(self, job: str, **body: Any) -> dict[str, Any]:
        """Launch a run by REST; return it."""
        response = self.client.post("/api/v1/runs", json={"job": job, **body})
        assert response.status_code == 201, response.text
        run: dict[str, Any] = response.json()
        return run

    def run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.client.get(f"/api/v1/runs/{run_id}").raise_for_status().json()
        return run

    def wait(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a run has ended; return it."""
        self.wait_until(
            lambda: self.run(run_id)["status"] in ("SUCCESS", "FAILURE", "CANCELED"), seconds, f"run {run_id} to end"
        )
        return self.run(run_id)

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {seconds} s in vain for {what}\n{self.logs()}", pytrace=False)
            threading.Event().wait(0.05)

    def logs(self) -> str:
        """The ends of all logs, for a failing test's message."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            for log in sorted(self.home.glob("*.log"))
        )

    def stop(self) -> None:
        self.client.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Make deployments from a broker's and a database's URL; take them down at the end. Without a broker: for `dev`."""
    made: list[Deployment] = []

    def make(*, broker: str | None, database: str | None = None, result_backend: str | None = None) -> Deployment:
        content: dict[str, Any] = {}
        if broker is not None:
            content["celery"] = {"broker": broker, "result_backend": result_backend or broker}
        if database is not None:
            content["storage"] = {"postgres": {"postgres_url": database}}
        made.append(Deployment(tmp_path / f"home{len(made)}", content))
        return made[-1]

    yield make
    for deployment in made:
        deployment.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(request: pytest.FixtureRequest, valkey_url: str) -> Deployment:
    """A deployment, not yet started, on each engine of storage."""
    # The database first: what is set up last is taken down first.
    database = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made: Deployment = request.getfixturevalue("deploy")(broker=valkey_url, database=database)
    return made
