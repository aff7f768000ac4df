"""Starting a child process that cannot outlive this one, picking its port, and ending it.

Here is what every embedded server shares. What is particular to one server is in valkey.py and postgres.py; the
processes of the whole stack are supervised in stack.py.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: between fork and exec, loading a library could deadlock on another thread's lock.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that the system says is free now. Another process may take it: callers retry."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def spawn(
    argv: Sequence[str],
    *,
    output: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    directory: Path | str = "/",
    user: int | None = None,
    group: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, so that Ctrl-C in the terminal reaches this process alone.

    On Linux the kernel sends it ``death_signal`` when the *thread* that called this ends, however that happens: call
    it from a thread that lives as long as the process should.
    """
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        cwd=directory,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        start_new_session=True,
        # After setuid, as a change of credentials clears the signal.
        preexec_fn=_die_with_parent(os.getpid(), death_signal),
    )


def stop(process: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM, grace_seconds: float = 5) -> None:
    """End a process: ask with ``first``, and kill it with all of its group when the grace is over."""
    if process.poll() is None:
        process.send_signal(first)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill_group(process.pid)
        process.wait()


def kill_group(group_id: int) -> None:
    """Kill whatever is left of a process group; nothing left is fine."""
    try:
        os.killpg(group_id, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        # macOS answers so for a group that holds only zombies.
        return


def _die_with_parent(parent: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    if _prctl is None:
        return None
    prctl = _prctl

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent died before the signal was armed
            os._exit(1)

    return arm
