"""The processes of one ``orchord dev``: starting them, noticing their ends, and ending them all together.

Which processes there are, and what their ends mean, is decided in cli/dev.py. How one child is tied to its parent
is in processes.py; what ends them when this process is killed is leash.py.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from orchord.embedded import leash
from orchord.embedded.processes import kill_group, spawn

SHUTDOWN_GRACE_SECONDS = 8.0


@dataclass(frozen=True)
class Ended:
    """A process that ended by itself. ``code`` is negative for a signal, as in subprocess."""

    name: str
    code: int
    lived_seconds: float


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)


class Stack:
    """The running processes, by name. Use it as a context manager, from the main thread.

    Args:
        environment: what every process gets as its environment.
        directory: the working directory of every process; the caller's when absent.
        remove_at_the_end: a folder that goes when the stack has ended, also when this process is killed.
    """

    def __init__(
        self, environment: Mapping[str, str], *, directory: Path | None = None, remove_at_the_end: Path | None = None
    ) -> None:
        self.environment = dict(environment)
        self._directory = directory or Path.cwd()
        self._remove = remove_at_the_end
        self._children: dict[str, _Child] = {}
        self._leaving: list[_Child] = []
        self._leash: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        # -I -S: the bare interpreter, which starts in some 15 ms and loads nothing of the user's.
        self._leash = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            cwd="/",
        )
        if self._remove is not None:
            self._order(f"rm {self._remove}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop_all()
        if self._leash is not None and self._leash.stdin is not None:
            self._leash.stdin.close()
            self._leash.wait()

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start ``orchord ARGUMENTS`` under a name that is free. Its output goes where this process's errors go."""
        if name in self._children:
            raise ValueError(f"A process named {name!r} runs already.")
        process = self._spawn(arguments)
        self._order(f"+ {process.pid}")
        self._children[name] = _Child(name, process)

    def run_once(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start ``orchord ARGUMENTS`` for one answer; the caller waits for its exit code."""
        return self._spawn(arguments)

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """Put a server that somebody else starts and stops on the leash too."""
        self._order(f"+ {process.pid}")

    def names(self) -> list[str]:
        """Return the names of the processes that run."""
        return list(self._children)

    def pid(self, name: str) -> int:
        """Return the process id of a running process."""
        return self._children[name].process.pid

    def ended(self) -> list[Ended]:
        """Return the processes that have ended by themselves since the last call, and forget them."""
        self._reap_leaving()
        result = []
        for name, child in list(self._children.items()):
            code = child.process.poll()
            if code is not None:
                del self._children[name]
                self._forget(child)
                result.append(Ended(name, code, time.monotonic() - child.started))
        return result

    def retire(self, name: str) -> None:
        """Ask a process to stop, and give its name free at once; it ends its work in its own time."""
        child = self._children.pop(name)
        child.process.terminate()
        self._leaving.append(child)

    def stop_all(self, grace_seconds: float = SHUTDOWN_GRACE_SECONDS) -> None:
        """Stop every process: all are asked at once; who is there when the grace is over is killed."""
        children = [*self._children.values(), *self._leaving]
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + grace_seconds
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
            self._forget(child)
        self._children.clear()
        self._leaving.clear()

    def _spawn(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        return spawn(
            [sys.executable, "-m", "orchord.cli.main", *arguments],
            output=sys.stderr.fileno(),
            environment=self.environment,
            directory=self._directory,
            death_signal=signal.SIGTERM,
        )

    def _reap_leaving(self) -> None:
        for child in [child for child in self._leaving if child.process.poll() is not None]:
            self._leaving.remove(child)
            self._forget(child)

    def _forget(self, child: _Child) -> None:
        kill_group(child.process.pid)  # what a process left in its group: pool children, user's subprocesses
        child.process.wait()
        self._order(f"- {child.process.pid}")

    def _order(self, line: str) -> None:
        if self._leash is not None and self._leash.stdin is not None:
            self._leash.stdin.write(line + "\n")
            self._leash.stdin.flush()


def answers(host: str, port: int, path: str, timeout_seconds: float = 1.0) -> bool:
    """Return whether a GET is answered with success. No proxy that the environment names is asked."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()
