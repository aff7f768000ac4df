"""The processes that steps run in, as their parent holds them; and two ways to start one: a fork, a new interpreter.

The third way, a fork of a template, is template.py. What goes over the connection is frames.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from orchord.errors import OrchordError
from orchord.execution.processes.child import SOFT_STOP, become_step_process, serve_step, to_the_end
from orchord.execution.processes.ends import UNKNOWN_EXIT
from orchord.execution.processes.request import StepSource
from orchord.settings import child_environment

IMPORT_PATH_VARIABLE = "ORCHORD_IMPORT_PATH"
EXIT_CODE = struct.Struct("<q")


class StartFailedError(OrchordError):
    """No process could be started for a step: the machine has no memory or no process ids left."""


class Child(Protocol):
    """A step's process, from its parent's side.

    Attributes:
        data: the connection to it.
        news: can be read from once it has ended.
    """

    data: socket.socket
    news: socket.socket

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by which signal); None while it has not."""

    def stop_softly(self) -> None:
        """Have an exception raised in the user's code."""

    def kill(self) -> None:
        """End it, and the processes that its code has started."""

    def close(self) -> None:
        """Give back the connections. What still runs is ended."""


class ChildStarter(Protocol):
    """Starts processes for steps."""

    def sent_source(self) -> StepSource | None:
        """Return where the code is, to be sent with each request; None: the processes have it."""

    def start(self) -> Child:
        """Start a process that waits for its request.

        Raises:
            StartFailedError: it cannot be had.
        """

    def close(self) -> None:
        """Give back what the starter holds."""


class OwnChild:
    """A process that this process has started itself, and waits for in a thread."""

    def __init__(self, process_id: int, data: socket.socket, wait: Callable[[], int]) -> None:
        self.process_id = process_id
        self.data = data
        self.news, self._ended = socket.socketpair()
        self._exit_code: int | None = None
        self._lock = threading.Lock()
        self._wait = wait
        self._thread = threading.Thread(target=self._watch, name=f"orchord-step-{process_id}", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        # Waited for without taking it away first: until the code is noted, its number cannot be another's.
        with contextlib.suppress(ChildProcessError, AttributeError):
            os.waitid(os.P_PID, self.process_id, os.WEXITED | os.WNOWAIT)
        with self._lock:
            try:
                self._exit_code = self._wait()
            except ChildProcessError:
                self._exit_code = UNKNOWN_EXIT
        self._ended.close()

    def exit_code(self) -> int | None:
        """Return how it ended; None while it has not."""
        return self._exit_code

    def stop_softly(self) -> None:
        """Have an exception raised in the user's code."""
        self._signal(lambda: os.kill(self.process_id, SOFT_STOP))

    def kill(self) -> None:
        """End it, and the processes that its code has started."""
        self._signal(lambda: kill_group(self.process_id))

    def _signal(self, send: Callable[[], None]) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._exit_code is None:
                send()

    def close(self) -> None:
        """Give back the connections and the thread."""
        self.data.close()
        self.kill()
        self._thread.join()
        self.news.close()


def kill_group(process_id: int) -> None:
    """SIGKILL a step's process with its group; or alone, if it has not made its group yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process_id, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, signal.SIGKILL)


class ForkStarter:
    """Forks the process that carries the run out: nothing is loaded again, and what it holds is there.

    Threads of that process do not come along, so that libraries with threads of their own may hang in the fork.

    Args:
        source: where the code is: in this process.
    """

    def __init__(self, source: StepSource) -> None:
        self._source = source

    def sent_source(self) -> StepSource | None:
        """Return None: the forks have it."""
        return None

    def start(self) -> Child:
        """Fork."""
        ours, theirs = socket.socketpair()
        # Until the fork hears it: the handler that it inherits is not its own. serve_step lets it through.
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {SOFT_STOP})
        try:
            process_id = os.fork()
            if process_id == 0:
                to_the_end(lambda: _forked(ours, theirs, self._source))
        except OSError as error:
            ours.close()
            theirs.close()
            raise StartFailedError(f"no process can be forked for the step: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
        theirs.close()
        return OwnChild(process_id, ours, lambda: os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]))

    def close(self) -> None:
        """Nothing is held."""


def _forked(ours: socket.socket, theirs: socket.socket, source: StepSource) -> int:
    ours.close()
    become_step_process()
    return serve_step(theirs, source)


class SpawnStarter:
    """Starts a new interpreter for each step, which loads the code anew: slow, and free of all that came before.

    Args:
        source: where the code is; it is sent to each process.
    """

    def __init__(self, source: StepSource) -> None:
        self._source = source

    def sent_source(self) -> StepSource | None:
        """Return where the code is."""
        return self._source

    def start(self) -> Child:
        """Start an interpreter."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "orchord.execution.processes.main", "step", str(theirs.fileno())]
        try:
            process = started(command, theirs)
        except OSError as error:
            ours.close()
            raise StartFailedError(f"no process can be started for the step: {error}") from error
        finally:
            theirs.close()
        return OwnChild(process.pid, ours, process.wait)

    def close(self) -> None:
        """Nothing is held."""


def started(command: list[str], *passed: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter with our own import path, which hands these sockets on."""
    numbers = [one.fileno() for one in passed]
    environment = child_environment(**{IMPORT_PATH_VARIABLE: os.pathsep.join(sys.path)})
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=numbers, env=environment)
