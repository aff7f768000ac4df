"""Dagster as a peer: its own venv outside the repository, its webserver and daemon, triggered by its GraphQL API.

Nothing of Dagster is imported into this process. Its runs, events and schedules are stored in Postgres, as ours.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from stacks import HERE, background, wait_for

from orchord.embedded.processes import free_port

PACKAGES = ["dagster", "dagster-webserver", "dagster-graphql", "dagster-postgres"]

LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
READY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def cache_folder() -> Path:
    """Return the folder in which the peer's venv lives, between benchmarks too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchord-bench"


def ensure_venv() -> Path:
    """Make the peer's venv on the first use; return its ``bin`` folder."""
    venv = cache_folder() / "dagster"
    stamp = venv / "installed"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", *PACKAGES], check=True)
        stamp.write_text("\n".join(PACKAGES))
    return venv / "bin"


class DagsterStack:
    """Webserver and daemon with their default coordinator, launcher and executor."""

    def __init__(self, postgres_url: str, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.home = folder / "dagster-home"
        self.home.mkdir()
        self.instance_file = (
            f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}\ntelemetry: {{enabled: false}}\n"
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)
        self.repository: dict[str, Any] = {}
        self.sessions: list[int] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[DagsterStack]:
        """Start webserver and daemon and wait until the job's repository is loaded."""
        (self.home / "dagster.yaml").write_text(self.instance_file)
        environment = {"DAGSTER_HOME": str(self.home)}
        programs = ensure_venv()
        target = ["-f", str(HERE / "dagster_shapes.py"), "-d", str(HERE)]
        address = ["-h", "127.0.0.1", "-p", str(self.port)]
        with contextlib.ExitStack() as stack:
            stack.callback(self.client.close)
            for name, argv in {
                "webserver": [str(programs / "dagster-webserver"), *address, *target],
                "daemon": [str(programs / "dagster-daemon"), "run", *target],
            }.items():
                log = self.folder / f"dagster-{name}.log"
                self.sessions.append(stack.enter_context(background(argv, log, environment, directory=self.folder)))
            wait_for(self._is_ready, "Dagster", seconds=120, logs=self.folder)
            yield self

    def _ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables or {}})
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data

    def _is_ready(self) -> bool:
        try:
            nodes = self._ask(READY)["repositoriesOrError"].get("nodes")
        except httpx.HTTPError:
            return False
        if nodes:
            self.repository = nodes[0]
        return bool(nodes)

    def run(self, job: str) -> None:
        """Trigger one run and ask for its status, each 10 ms, until it has succeeded."""
        selector = {
            "jobName": job,
            "repositoryName": self.repository["name"],
            "repositoryLocationName": self.repository["location"]["name"],
        }
        launched = self._ask(LAUNCH, {"selector": selector})["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise SystemExit(f"Dagster did not launch the run: {launched}")
        run_id = launched["run"]["runId"]
        status = ""

        def has_ended() -> bool:
            nonlocal status
            status = self._ask(STATUS, {"id": run_id})["runOrError"]["status"]
            return status in ("SUCCESS", "FAILURE", "CANCELED")

        wait_for(has_ended, f"Dagster's run {run_id}", seconds=300, logs=self.folder)
        if status != "SUCCESS":
            raise SystemExit(f"Dagster's run {run_id} ended as {status}")
