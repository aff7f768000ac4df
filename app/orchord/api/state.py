"""What the routes of one application share: the instance, and the bound on requests that wait.

A request that waits (for a run's end, or for events) holds one of the server's threads. Some threads are kept back
for requests that do not, so that waiting clients never make the API deaf. The threads themselves are in server.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import current_app

from orchord.api.shown_config import has_secrets, without_secrets
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

_EXTENSION = "orchord"


class Holding:
    """The places for requests that wait, and the signal that tells them to stop waiting."""

    def __init__(self, places: int) -> None:
        self._free = threading.BoundedSemaphore(places)
        self._stopping = threading.Event()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place if one is free. Yields whether it was."""
        taken = self._free.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._free.release()

    def take(self) -> bool:
        """Take a place without a context; who gets True calls ``give_back``."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """Return a place that ``take`` gave."""
        self._free.release()

    def stop(self) -> None:
        """Tell everyone who waits to answer now. Safe to call from a signal handler's thread."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether the server is about to end."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait; return True at once when the server is about to end."""
        return self._stopping.wait(seconds)

    def slices(self, seconds: float, slice_seconds: float = 1.0) -> Iterator[float]:
        """Yield time-outs that add up to ``seconds``, each short enough to notice that the server stops."""
        end = time.monotonic() + seconds
        while not self.is_stopping:
            left = end - time.monotonic()
            if left <= 0:
                return
            yield min(left, slice_seconds)


class ApiState:
    """One application's instance and places."""

    def __init__(self, instance: OrchordInstance, holding: Holding) -> None:
        self.instance = instance
        self.holding = holding
        self._has_secrets: dict[str, bool] = {}

    def shown_config(self, run: Run) -> dict[str, Any]:
        """Return a run's config without the values of secret fields."""
        if not run.run_config:
            return run.run_config
        job = self.instance.job_snapshot(run.job_snapshot_id)
        known = self._has_secrets.get(run.job_snapshot_id)
        if known is None:
            known = self._has_secrets[run.job_snapshot_id] = has_secrets(job.config_type)
        shown: dict[str, Any] = without_secrets(job.config_type, run.run_config) if known else run.run_config
        return shown


def install(state: ApiState) -> None:
    """Give the current application its state."""
    current_app.extensions[_EXTENSION] = state


def api_state() -> ApiState:
    """Return the state of the application whose request is being handled."""
    state: ApiState = current_app.extensions[_EXTENSION]
    return state


def the_instance() -> OrchordInstance:
    """Return the instance of the application whose request is being handled."""
    return api_state().instance
