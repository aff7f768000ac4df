"""A compute log manager that keeps each attempt's output in files of a local or shared folder.

Layout: ``<base>/<run id>/<step key>.<attempt>.out`` and ``.err``. Once the attempt has ended they are read-only: that
costs no third file, and whoever reads them knows that nothing follows.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchord.compute_logs.manager import DEFAULT_CHUNK_BYTES, ComputeLogManager, LogChunk, LogStream
from orchord.compute_logs.redirect import redirected
from orchord.errors import NotFoundError

_SUFFIXES = {LogStream.STDOUT: "out", LogStream.STDERR: "err"}
_MAY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class LocalComputeLogManager(ComputeLogManager):
    """Keeps compute logs in files.

    Args:
        base_dir: the folder; made when first needed.
    """

    def __init__(self, base_dir: str | os.PathLike[str]) -> None:
        self.base_dir = Path(base_dir).expanduser().absolute()

    @contextmanager
    def capture(self, run_id: str, step_key: str, attempt: int) -> Iterator[None]:
        """Send this process's output, and its children's, to the attempt's files."""
        stem = self._stem(run_id, step_key, attempt)
        stdout_fd = self._open(f"{stem}.out")
        try:
            stderr_fd = self._open(f"{stem}.err")
            try:
                with redirected(stdout_fd, stderr_fd):
                    yield
            finally:
                _complete(stderr_fd)
        finally:
            _complete(stdout_fd)

    def read(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        stream: LogStream,
        offset: int = 0,
        limit: int = DEFAULT_CHUNK_BYTES,
    ) -> LogChunk:
        """Return up to ``limit`` bytes from byte ``offset`` on; an attempt that wrote nothing yet reads as empty."""
        stem = self._stem(run_id, step_key, attempt)
        try:
            with open(f"{stem}.{_SUFFIXES[LogStream(stream)]}", "rb") as file:
                # Asked before the data is read: an end that comes in between is seen by the next read.
                ended = not os.fstat(file.fileno()).st_mode & _MAY_WRITE
                file.seek(offset)
                data = file.read(limit)
                is_last = not file.read(1)
        except FileNotFoundError:
            return LogChunk(b"", offset, False)
        return LogChunk(data, offset + len(data), ended and is_last)

    def delete(self, run_id: str) -> None:
        """Remove the folder of a run."""
        shutil.rmtree(os.path.dirname(self._stem(run_id, "-", 0)), ignore_errors=True)

    def _stem(self, run_id: str, step_key: str, attempt: int) -> str:
        for name in (run_id, step_key):
            if not name or "/" in name or os.sep in name or "\0" in name or name in (".", ".."):
                raise NotFoundError(f"No compute logs are kept for run {run_id!r}, step {step_key!r}.")
        return os.path.join(self.base_dir, run_id, f"{step_key}.{attempt}")

    def _open(self, path: str) -> int:
        try:
            descriptor = os.open(path, _WRITE_FLAGS, 0o644)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, _WRITE_FLAGS, 0o644)
        except PermissionError:
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IWUSR)
            descriptor = os.open(path, _WRITE_FLAGS, 0o644)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if not mode & stat.S_IWUSR:
            os.fchmod(descriptor, mode | stat.S_IWUSR)
        return descriptor


def _complete(descriptor: int) -> None:
    """Mark a file as complete, and close it."""
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~_MAY_WRITE)
    os.close(descriptor)
