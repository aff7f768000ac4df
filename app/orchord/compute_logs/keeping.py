"""Who takes files to where logs are kept, beside the shipper's thread: threads, or a process started for it.

The libraries of object stores have threads of their own, which no fork survives: a process that forks leaves uploads
to another. That one's program is instance/log_keeper.py; what is to be kept, and when, is decided in shipping.py.
"""

from __future__ import annotations

import logging
import queue
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import msgspec

from orchord.compute_logs.streams import StreamName

UPLOADS_AT_ONCE = 4
END_SECONDS = 15.0

logger = logging.getLogger(__name__)


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


Keep = Callable[[StreamName, str, bool], None]


class Keeper(ABC):
    """Carries out tasks in the background. Used by one thread."""

    @abstractmethod
    def give(self, task: Task) -> None:
        """Begin with a task."""

    @abstractmethod
    def done(self) -> list[Done]:
        """Return what has been done since it was asked last."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was begun, for a while, and stop."""


class ThreadKeeper(Keeper):
    """Carries tasks out in threads of this process.

    Args:
        keep: carries out one.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._threads: ThreadPoolExecutor | None = None
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()

    def give(self, task: Task) -> None:
        """Begin with a task."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="orchord-log-upload")

        def note(future: Future[None]) -> None:
            error = future.exception()
            self._done.put(Done(task.number, None if error is None else f"{type(error).__name__}: {error}"))

        self._threads.submit(self._keep, task.name, task.path, task.is_complete).add_done_callback(note)

    def done(self) -> list[Done]:
        """Return what has been done since it was asked last."""
        return _taken(self._done)

    def close(self) -> None:
        """Finish what was begun, and stop."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            self._threads = None


class ProcessKeeper(Keeper):
    """Carries tasks out in a process that is started with the first one, and goes when this one does.

    Args:
        command: starts the process: it reads tasks from its standard input and writes what is done, a line each.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._given: set[int] = set()

    def give(self, task: Task) -> None:
        """Begin with a task; one that cannot be begun is done with an error."""
        self._given.add(task.number)
        try:
            process = self._process
            if process is None or process.poll() is not None:
                self._end()
                process = self._start()
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            process.stdin.flush()
        except OSError as error:
            self._done.put(Done(task.number, f"The process that uploads logs cannot be reached: {error}"))

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: whoever stops this process's group does not stop what it has still to upload.
        process = self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, args=(process,), name="orchord-log-keeper", daemon=True)
        self._reader.start()
        return process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._done.put(msgspec.json.decode(line, type=Done))
            except msgspec.DecodeError:
                logger.warning("The process that uploads logs says: %s", line.decode(errors="replace").rstrip())

    def done(self) -> list[Done]:
        """Return what has been done since it was asked last; all of it has failed when the process is gone."""
        found = _taken(self._done)
        if self._process is not None and self._process.poll() is not None:
            if self._reader is not None:
                self._reader.join(timeout=1.0)
            found += _taken(self._done)
            told = {one.number for one in found}
            status = self._process.returncode
            error = f"The process that uploads logs has ended with status {status}"
            found += [Done(number, error) for number in sorted(self._given - told)]
            self._end()
        self._given.difference_update(one.number for one in found)
        return found

    def close(self) -> None:
        """Let it finish what it has, for a while."""
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(timeout=1.0)
            self._reader = None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def serve_tasks(lines: Callable[[], bytes], tell: Callable[[bytes], None], keep: Keep) -> None:
    """Carry out tasks as they come, in a process of a ``ProcessKeeper``, until there are no more.

    Args:
        lines: returns the next task, or nothing at the end.
        tell: takes a line to the other side.
        keep: carries out one.
    """
    lock = threading.Lock()

    def carry_out(task: Task) -> None:
        error = None
        try:
            keep(task.name, task.path, task.is_complete)
        except Exception as fault:  # noqa: BLE001 - whatever a store's library raises, the file is given again later
            error = f"{type(fault).__name__}: {fault}"
        with lock, suppress(OSError):
            tell(msgspec.json.encode(Done(task.number, error)) + b"\n")

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as threads:
        while line := lines():
            threads.submit(carry_out, msgspec.json.decode(line, type=Task))


def _taken(done: queue.SimpleQueue[Done]) -> list[Done]:
    found: list[Done] = []
    with suppress(queue.Empty):
        while True:
            found.append(done.get_nowait())
    return found
