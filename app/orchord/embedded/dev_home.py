"""The home of ``orchord dev``: a given folder or a fresh one, and the instance file that names the embedded broker.

An instance file of the user's own is never written to. What the keys of the file mean is in instance/config.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchord.errors import ConflictError, InstanceConfigError

INSTANCE_FILES = ("orchord.yaml", "dagster.yaml")
HEADER = "# Written by `orchord dev`: it is written at every start, and removed at the end.\n"


@dataclass(frozen=True)
class DevHome:
    """The folder that holds the state, and what its own instance file says.

    Attributes:
        folder: the folder; it exists.
        is_temporary: whether it goes at the end.
        given: the user's instance file, parsed; empty without one.
        given_file: where that file is.
    """

    folder: Path
    is_temporary: bool
    given: dict[str, Any]
    given_file: Path | None

    @property
    def needs_broker(self) -> bool:
        """Whether no broker is named, so that one has to be embedded."""
        return "broker" not in _section(self.given, "celery")

    @contextlib.contextmanager
    def instance_home(self, broker_url: str | None) -> Iterator[Path]:
        """Yield the folder that the processes take as their home, with an instance file that names the broker.

        That is ``folder`` itself, unless it has a file of the user's own that names no broker: then a folder inside
        it, whose file says the same with the embedded broker added.
        """
        if broker_url is None:
            yield self.folder
            return
        if self.given_file is None:
            home, content = self.folder, {}
        else:
            home, content = self.folder / ".dev", _with_absolute_places(self.given, self.folder)
            home.mkdir(exist_ok=True)
        celery = {"broker": broker_url, "result_backend": broker_url, **_section(content, "celery")}
        file = home / INSTANCE_FILES[0]
        file.write_text(HEADER + yaml.safe_dump({**content, "celery": celery}, sort_keys=False), encoding="utf-8")
        file.chmod(0o600)
        try:
            yield home
        finally:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def dev_home(given: Path | None) -> Iterator[DevHome]:
    """Open the home for one ``orchord dev``, and close it to others meanwhile.

    Args:
        given: the folder, made when it is not there; None takes a fresh one.

    Raises:
        ConflictError: another ``orchord dev`` uses this folder.
        InstanceConfigError: its instance file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        if given is None:
            fresh = tempfile.TemporaryDirectory(prefix="orchord-dev-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(fresh))
        else:
            folder = given.expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(folder))
        file = next((folder / name for name in INSTANCE_FILES if _is_the_users(folder / name)), None)
        yield DevHome(folder, given is None, {} if file is None else _read(file), file)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".dev.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConflictError(
                f"Another `orchord dev` (process {lock.read().strip()}) uses {folder}. Stop it, or give another --home."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _is_the_users(file: Path) -> bool:
    return file.is_file() and not file.read_text(encoding="utf-8", errors="replace").startswith(HEADER)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InstanceConfigError(f"{file} cannot be read", [f"not YAML: {' '.join(str(error).split())}"]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InstanceConfigError(f"{file} cannot be read", [f"must hold a mapping, found {type(content).__name__}"])
    return content


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    return section if isinstance(section, dict) else {}


def _with_absolute_places(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    # The file is read from a folder below: what is not said in it must still mean the folder of the user's file.
    places: dict[str, Any] = {"local_artifact_storage": {"base_dir": str(folder)}}
    if not {"storage", "run_storage"} & content.keys():
        places["storage"] = {"sqlite": {"base_dir": str(folder)}}
    return {**places, **content}
