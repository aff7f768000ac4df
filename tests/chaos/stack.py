"""The stack under test: Postgres, broker, API, daemons and workers as processes, each supervised, each on a fixed port.

What is done to them is faults.py; what they are asked to do is load.py.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import yaml
from proxy import Proxy
from supervised import Supervised, children_of, command_of

from orchord.embedded.postgres import server_binaries, start_postgres
from orchord.embedded.processes import free_port
from orchord.embedded.valkey import server_binary

HERE = Path(__file__).parent
USER_CODE = "shapes.py"


def wait_until(condition: Callable[[], bool], seconds: float, pause_seconds: float = 0.1) -> bool:
    """Return whether ``condition`` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(pause_seconds)
    return True


class Stack:
    """One instance with its services.

    Args:
        folder: where home, data and logs go.
        instance_file: what orchord.yaml holds beside storage and broker.
    """

    def __init__(
        self,
        folder: Path,
        instance_file: dict[str, Any],
        *,
        workers: int = 2,
        concurrency: int = 2,
        daemons: int = 2,
        pause_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        self.journal = folder / "journal.log"
        self.api_port, self.postgres_port, self.broker_port = free_port(), free_port(), free_port()
        self.proxy = Proxy(free_port(), self.broker_port, seed)
        self.database_url = f"postgresql+psycopg2://postgres@127.0.0.1:{self.postgres_port}/postgres"
        broker_url = f"redis://127.0.0.1:{self.proxy.port}/0"
        content = {
            "storage": {"postgres": {"postgres_url": self.database_url}},
            **instance_file,
            "celery": {"broker": broker_url, "result_backend": broker_url, **instance_file.get("celery", {})},
        }
        (self.home / "orchord.yaml").write_text(yaml.safe_dump(content))
        self.environment = {
            **os.environ,
            "ORCHORD_HOME": str(self.home),
            "CHAOS_JOURNAL": str(self.journal),
            "CHAOS_PAUSE_SCALE": str(pause_scale),
        }
        self.postgres = self._postgres()
        self.broker = self._broker()
        self.api = self._orchord("api", "api", "--port", str(self.api_port), "--log-level", "warning")
        self.daemons = [self._orchord(f"daemon{number}", "daemon") for number in range(daemons)]
        self.workers = [
            self._orchord(f"worker{number}", "worker", "-f", USER_CODE, "--concurrency", str(concurrency))
            for number in range(workers)
        ]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.api_port}", timeout=30)

    def _postgres(self) -> Supervised:
        data = self.folder / "postgres"
        # The embedded server makes the database; from then on it runs here, on a port that does not change.
        with start_postgres(data):
            pass
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        port = str(self.postgres_port)
        argv = [str(server_binaries() / "postgres"), "-D", str(data / "data"), "-k", "", "-p", port, "-h", "127.0.0.1"]
        argv += ["-c", "max_connections=200", "-F", "-c", "full_page_writes=off"]
        return Supervised(
            "postgres",
            argv,
            self.folder / "postgres.log",
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            death_signal=signal.SIGQUIT,
        )

    def _broker(self) -> Supervised:
        options = ["--port", str(self.broker_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return Supervised("broker", [server_binary(), *options, "--dir", str(self.folder)], self.folder / "broker.log")

    def _orchord(self, name: str, *arguments: str) -> Supervised:
        argv = [sys.executable, "-m", "orchord.cli.main", *arguments]
        return Supervised(name, argv, self.folder / f"{name}.log", environment=self.environment, directory=HERE)

    @property
    def programs(self) -> list[Supervised]:
        """Ours, without the services."""
        return [self.api, *self.daemons, *self.workers]

    def start(self) -> None:
        """Start everything, and wait until runs can be launched."""
        self.postgres.start()
        self.broker.start()
        self.proxy.start()
        if not wait_until(self.database_answers, 30):
            raise SystemExit(f"Postgres does not answer; see {self.folder}/postgres.log")
        migrate = [sys.executable, "-m", "orchord.cli.main", "instance", "migrate"]
        migrated = subprocess.run(migrate, env=self.environment, cwd=HERE, capture_output=True, text=True)
        if migrated.returncode:
            raise SystemExit(f"`orchord instance migrate` failed: {migrated.stderr}")
        for program in self.programs:
            program.start()
        if not wait_until(lambda: self.is_ready() and self.living_workers() >= len(self.workers), 60):
            raise SystemExit(f"The stack does not get ready.\n{self.logs()}")

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/readyz").status_code == 200
        return False

    def database_answers(self) -> bool:
        with contextlib.suppress(psycopg2.Error):
            self.rows("SELECT 1")
            return True
        return False

    def living_workers(self) -> int:
        with contextlib.suppress(psycopg2.Error):
            return int(self.rows("SELECT count(*) FROM workers WHERE queues <> '[]'")[0][0])
        return 0

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database directly: the judge trusts no code of the accused."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.postgres_port, user="postgres", dbname="postgres", connect_timeout=5
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def leader(self) -> Supervised:
        """Return the daemon that holds the lease, or the first when that is not known."""
        with contextlib.suppress(psycopg2.Error):
            for (pid,) in self.rows("SELECT pid FROM daemons WHERE is_leader ORDER BY last_seen_at DESC"):
                for daemon in self.daemons:
                    if daemon.pid == pid:
                        return daemon
        return self.daemons[0]

    def pool_children(self, worker: Supervised) -> list[int]:
        """Return the processes in which a worker's steps run."""
        pid = worker.pid
        return (
            [] if pid is None else [child for child in children_of(pid) if "resource_tracker" not in command_of(child)]
        )

    def logs(self, lines: int = 25) -> str:
        """Return the ends of all logs."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            for log in sorted(self.folder.glob("*.log"))
            if log != self.journal
        )

    def stop(self) -> None:
        """Stop everything."""
        self.client.close()
        for program in (*self.workers, *self.daemons, self.api):
            threading.Thread(target=program.end, daemon=True).start()
        for program in (*self.workers, *self.daemons, self.api):
            program.end()
        self.proxy.stop()
        self.broker.end()
        self.postgres.end(signal.SIGINT)
