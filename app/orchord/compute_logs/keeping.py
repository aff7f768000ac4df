"""Taking files to where logs are kept, in threads beside the shipper's own: an upload may take its time.

What is to be kept, and when, is decided in shipping.py; how, by each manager's ``keep``.
"""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import msgspec

from orchord.compute_logs.manager import ComputeLogManager
from orchord.compute_logs.streams import StreamName

UPLOADS_AT_ONCE = 4


class Task(msgspec.Struct, frozen=True):
    """Take this file to where logs are kept."""

    number: int
    name: StreamName
    path: str
    is_complete: bool


class Done(msgspec.Struct, frozen=True):
    """A task is done, or (``error``) has to be given again."""

    number: int
    error: str | None = None


class Keeper:
    """Carries out tasks in the background. Used by one thread.

    Args:
        manager: keeps the files. It may be used by several threads, in a process that forks later on.
    """

    def __init__(self, manager: ComputeLogManager) -> None:
        self._manager = manager
        self._threads: ThreadPoolExecutor | None = None
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()

    def give(self, task: Task) -> None:
        """Begin with a task."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="orchord-log-upload")

        def note(future: Future[None]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            self._done.put(Done(task.number, None if error is None else f"{type(error).__name__}: {error}"))

        keep = self._manager.keep
        self._threads.submit(keep, task.name, task.path, is_complete=task.is_complete).add_done_callback(note)

    def done(self) -> list[Done]:
        """Return what has been done since it was asked last."""
        found: list[Done] = []
        with suppress(queue.Empty):
            while True:
                found.append(self._done.get_nowait())
        return found

    def close(self) -> None:
        """Finish what was begun, and stop; what was not is adopted with its file."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
