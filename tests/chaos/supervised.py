"""Programs that are started again when they die, a little later, as any supervisor would.

Whom to kill, and when, is faults.py; which programs make a stack is stack.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchord.embedded.processes import kill_group, spawn, stop


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's own children."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants_of(pid: int) -> list[int]:
    """Return the process ids of everything below a process."""
    found: list[int] = []
    for child in children_of(pid):
        found += [child, *descendants_of(child)]
    return found


def command_of(pid: int) -> str:
    """Return a process's command line, or nothing when it has gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


class Supervised:
    """One program. A thread of its own starts it, waits for its end, and starts it again after 1 to 3 seconds.

    Args:
        name: also the name of its log.
        restart_seconds: the bounds between which the pause before a restart is drawn.
        death_signal: what ends the program when this harness dies.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | str = "/",
        user: int | None = None,
        group: int | None = None,
        restart_seconds: tuple[float, float] = (1.0, 3.0),
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name, self.argv, self.log = name, list(argv), log
        self.environment, self.directory, self.user, self.group = environment, directory, user, group
        self.death_signal = death_signal
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.restart_seconds = restart_seconds
        self._rng = random.Random(name)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{name}", daemon=True)

    def start(self) -> None:
        """Start the program, now and ever again."""
        self._thread.start()

    def _supervise(self) -> None:
        while not self._ended.is_set():
            with self.log.open("ab") as output:
                output.write(f"=== start {self.starts} at {time.time():.3f}\n".encode())
                output.flush()
                self.process = spawn(
                    self.argv,
                    output=output,
                    environment=self.environment,
                    directory=self.directory,
                    user=self.user,
                    group=self.group,
                    death_signal=self.death_signal,
                )
            self.starts += 1
            code = self.process.wait()
            with self.log.open("ab") as output:
                output.write(f"=== ended with {code} at {time.time():.3f}\n".encode())
            self._ended.wait(self._rng.uniform(*self.restart_seconds))

    @property
    def pid(self) -> int | None:
        """The program's process id; None while it is down."""
        process = self.process
        return process.pid if process is not None and process.poll() is None else None

    def send(self, number: signal.Signals, *, whole_group: bool = False) -> list[int]:
        """Send a signal to the program, or to all of its group; return whom it was sent to."""
        pid = self.pid
        if pid is None:
            return []
        hit = [pid, *descendants_of(pid)] if whole_group else [pid]
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        if whole_group:
            # What has made a group of its own is on the same machine.
            for other in hit[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(other, number)
        return hit

    def pause(self, seconds: float) -> None:
        """Stop the program and its children for a while, and let them go on."""
        pid = self.pid
        if pid is None:
            return
        # The parent first, so that it starts no further child; Postgres's children lead groups of their own.
        frozen = []
        for target in [pid, *children_of(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGSTOP)
                frozen.append(target)
        try:
            self._ended.wait(seconds)
        finally:
            for target in reversed(frozen):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(target, signal.SIGCONT)

    def end(self, first: signal.Signals = signal.SIGTERM, grace_seconds: float = 10.0) -> None:
        """Stop the program for good, with all of its group."""
        self._ended.set()
        process = self.process
        if process is not None:
            stop(process, first=first, grace_seconds=grace_seconds)
            kill_group(process.pid)
        if self._thread.ident is not None:
            self._thread.join(grace_seconds)
