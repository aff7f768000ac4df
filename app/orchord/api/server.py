"""The server process: gunicorn with threads, started from a program and not from its command line.

One worker process with many threads is the default: a request that waits or follows holds a thread, and the instance's
pools are shared by all. The application is app.py; who calls ``serve`` is ``orchord api``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.workers.gthread import ThreadWorker

from orchord.api.app import DEFAULT_MAX_BODY_BYTES, DEFAULT_THREADS, create_app, places_for
from orchord.api.state import Holding
from orchord.errors import OrchordError

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

logger = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000
GRACE_SECONDS = 10
#: How long a client may neither send nor take a byte of a request that is being handled.
SOCKET_TIMEOUT_SECONDS = 60.0


class StoppableWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that ends what waits when it is told to stop, and does not wait for ever for a client."""

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Handle one request, with a time limit on the client's silence."""
        conn.sock.settimeout(SOCKET_TIMEOUT_SECONDS)
        return bool(super().handle_request(req, conn))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell waiting requests to answer, then stop taking new ones."""
        self.app.holding.stop()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """As ``handle_exit``; gunicorn then ends the worker at once."""
        self.app.holding.stop()
        super().handle_quit(sig, frame)


class Server(BaseApplication):  # type: ignore[misc]
    """One API server: how gunicorn is configured, and how each worker process gets its application."""

    def __init__(
        self, open_instance: Callable[[], OrchordInstance], options: dict[str, Any], max_body_bytes: int
    ) -> None:
        self._open_instance = open_instance
        self._options = options
        self._max_body_bytes = max_body_bytes
        self._instance: OrchordInstance | None = None
        self.holding = Holding(places_for(options["threads"]))
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; no file and no environment variable is read."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application, in the worker process: connections and threads do not survive a fork."""
        self._instance = self._open_instance()
        try:
            # Made now, so that a class that cannot be used is told at once and the first request is as quick as others.
            _ = self._instance.run_launcher, self._instance.run_coordinator, self._instance.compute_log_manager
        except OrchordError as error:
            raise AppImportError(str(error)) from error
        for path, problem in self._instance.launchers.problems():
            logger.error("Runs that ask for %s are refused: %s", path, problem)
        return create_app(self._instance, holding=self.holding, max_body_bytes=self._max_body_bytes)

    def close(self) -> None:
        """Dispose of this process's instance."""
        if self._instance is not None:
            self._instance.dispose()
            self._instance = None


def serve(
    open_instance: Callable[[], OrchordInstance],
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    threads: int = DEFAULT_THREADS,
    workers: int = 1,
    migrate: bool = False,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    access_log: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the API until SIGTERM or SIGINT; then let requests end, for ``GRACE_SECONDS`` at most.

    Does not return: gunicorn ends the process, with status 0 after a signal.

    Args:
        open_instance: makes the instance; called once in each worker process, which disposes of it at its end.
        host, port: where to listen; port 0 takes a free one.
        threads: of each worker process. A request that waits or follows holds one; some are always kept free.
        workers: processes.
        migrate: bring the database up to date before listening.
        max_body_bytes: larger bodies are answered with 413.
        access_log: write a line for each request to standard output.
        on_ready: called in the first process with the server's URL once it listens.

    Raises:
        InstanceConfigError: the instance file has mistakes; all of them are listed.
        StorageUnavailableError: the database is to be migrated and cannot be reached.
    """
    # Opened here too, so that mistakes of the instance file are the caller's to show, and not a failed worker.
    instance = open_instance()
    try:
        if migrate:
            instance.storage.migrate()
    finally:
        instance.dispose()

    def when_ready(arbiter: Any) -> None:
        if on_ready is not None:
            bound_host, bound_port = arbiter.LISTENERS[0].sock.getsockname()[:2]
            on_ready(f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}")

    options: dict[str, Any] = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "worker_class": "orchord.api.server.StoppableWorker",
        "worker_connections": max(1000, threads * 4),
        "keepalive": 75,
        "timeout": 120,
        "graceful_timeout": GRACE_SECONDS,
        "loglevel": "warning",
        "accesslog": "-" if access_log else None,
        "control_socket_disable": True,
        "proc_name": "orchord api",
        "when_ready": when_ready,
        "worker_exit": lambda arbiter, worker: worker.app.close(),
    }
    Server(open_instance, options, max_body_bytes).run()
