"""News of runs that have ended: published by workers, awaited by those who launched them.

Only a hint that makes waiting short. Whoever waits reads the status from the database, also when no news comes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.exceptions
from celery import Celery

from orchord.spi import RUN_ENDED_CHANNEL, RunStatus, RunWatch

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
# How often a waiter looks at the database itself, in case the news was lost.
LOOK_SECONDS = 1.0


def publish_end(app: Celery, run_id: str, status: RunStatus) -> None:
    """Tell everyone that a run has ended. A failure to tell is only logged: waiters look for themselves."""
    try:
        app.backend.client.publish(RUN_ENDED_CHANNEL, f"{run_id} {status.value}")
    except redis.exceptions.RedisError as error:
        logger.warning("The end of run %s could not be announced: %s", run_id, error)


class Endings:
    """One subscription per process, shared by all who wait. The thread starts with the first waiter."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._waiters: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._subscribed = threading.Event()

    @contextmanager
    def watch(self, run_id: str, ended: Any) -> Iterator[RunWatch]:
        """Register interest in a run's end. ``ended()`` reads from the database whether it has ended."""
        event = threading.Event()
        with self._lock:
            self._waiters.setdefault(run_id, []).append(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="orchord-endings", daemon=True)
                self._thread.start()
        self._subscribed.wait(timeout=0.5)
        try:
            yield _EventWatch(event, ended)
        finally:
            with self._lock:
                self._waiters[run_id].remove(event)
                if not self._waiters[run_id]:
                    del self._waiters[run_id]

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen_once()
            except (redis.exceptions.RedisError, OSError) as error:
                self._subscribed.clear()
                logger.warning("Lost the subscription to run ends: %s", error)
                self._closed.wait(RECONNECT_SECONDS)

    def _listen_once(self) -> None:
        client: redis.Redis = self._app.backend.client
        with client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(RUN_ENDED_CHANNEL)
            self._subscribed.set()
            while not self._closed.is_set():
                message = pubsub.get_message(timeout=0.5)
                if message is not None:
                    self._tell(bytes(message["data"]).decode().split(" ", 1)[0])

    def _tell(self, run_id: str) -> None:
        with self._lock:
            for event in self._waiters.get(run_id, ()):
                event.set()


class _EventWatch(RunWatch):
    """Waits for the news, and looks at the database now and then in case it was lost."""

    def __init__(self, event: threading.Event, ended: Any) -> None:
        self._event = event
        self._ended = ended

    def wait(self, timeout_seconds: float) -> bool:
        remaining = timeout_seconds
        while remaining > 0:
            pause = min(remaining, LOOK_SECONDS)
            if self._event.wait(pause) or self._ended():
                return True
            remaining -= pause
        return bool(self._ended())
