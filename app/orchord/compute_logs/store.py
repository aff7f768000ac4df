"""Compute logs in an object store: the port of such stores, and the manager that stands on any of them.

Steps print into local files (local.py); they are uploaded while the step runs and once it has ended, by whoever ships
them (shipping.py). The stores themselves are s3.py, azure.py and gcs.py.
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from orchord.compute_logs.local import LocalComputeLogManager
from orchord.compute_logs.manager import DEFAULT_CHUNK_BYTES, ComputeLogManager, LogChunk, LogStream
from orchord.compute_logs.streams import DEFAULT_MAX_BYTES, StreamName
from orchord.errors import UnavailableError

DEFAULT_PREFIX = "dagster"


class LogStore(ABC):
    """Objects under keys such as ``prefix/storage/<run id>/compute_logs/<step key>.<attempt>.out``.

    Every method may be called by several threads, and raises ``OSError`` (or one of its kind) when the store cannot
    be reached: whoever uploads tries again later. Texts of errors hold no credentials.
    """

    @abstractmethod
    def put(self, key: str, data: Path | bytes) -> None:
        """Store an object as a whole, in place of what was there; a reader sees the old one or the new one."""

    @abstractmethod
    def get_range(self, key: str, offset: int, limit: int) -> bytes | None:
        """Return up to ``limit`` bytes from byte ``offset`` on, empty at the end; None if there is no such object."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is no such object."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; none is no error."""

    @abstractmethod
    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key begins so; none is no error."""

    def url(self, key: str) -> str:
        """Return where a person finds an object, for ``show_url_only``."""
        return key

    def dispose(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Close what the store holds open."""


class StoredComputeLogManager(ComputeLogManager):
    """Keeps compute logs in a store; while a step runs, in files of its machine, and every so often in the store.

    Args:
        store: the store.
        prefix: what all keys begin with.
        local_dir: the folder of the files of running steps; without one, a folder among the system's temporary ones.
        upload_interval: how often, in seconds, the logs of a running step are uploaded; without one, at the end only.
        skip_empty_files: whether a stream without output gets no object. A stream that nothing was written to never
            has a file here, so that it never gets one.
        show_url_only: whether readers get the object's URL in place of what is in it.
        max_bytes: how much of each stream is kept; what follows is counted and cut.
    """

    takes_files = True

    def __init__(
        self,
        store: LogStore,
        *,
        prefix: str = DEFAULT_PREFIX,
        local_dir: str | os.PathLike[str] | None = None,
        upload_interval: int | None = None,
        skip_empty_files: bool = False,
        show_url_only: bool = False,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.store = store
        self.prefix = prefix.strip("/")
        self.upload_interval = upload_interval
        self.skip_empty_files = skip_empty_files
        self.show_url_only = show_url_only
        folder = local_dir or os.path.join(tempfile.gettempdir(), f"orchord-compute-logs-{os.getuid()}")
        self.local = LocalComputeLogManager(folder, max_bytes=max_bytes)

    def capture(self, run_id: str, step_key: str, attempt: int) -> AbstractContextManager[None]:
        """Send this process's output, and its children's, to files that are uploaded."""
        return self.local.capture(run_id, step_key, attempt)

    def read(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        stream: LogStream,
        offset: int = 0,
        limit: int = DEFAULT_CHUNK_BYTES,
    ) -> LogChunk:
        """Return up to ``limit`` bytes from byte ``offset`` on, from the file, the live pages or the store.

        Raises:
            UnavailableError: the store, which alone may have them, cannot be asked.
        """
        name = StreamName(run_id, step_key, attempt, LogStream(stream))
        key = self.key_of(name)
        if self.show_url_only:
            text = f"{self.store.url(key)}\n".encode()[offset : offset + limit]
            return LogChunk(text, offset + len(text), True)
        try:
            return self._read(name, key, offset, limit)
        except OSError as error:
            raise UnavailableError(f"What step '{step_key}' printed cannot be read now: {error}") from error

    def _read(self, name: StreamName, key: str, offset: int, limit: int) -> LogChunk:
        found = self.local.read_file(name, offset, limit) or self.read_live(name, offset, limit)
        if found is not None and found.next_offset > offset + len(found.data):
            # The live pages have let go of it; what was uploaded in between has it.
            early = self.store.get_range(partial(key), offset, min(limit, found.next_offset - offset))
            if early:
                return LogChunk(early, offset + len(early), False)
        if found is not None:
            return found
        data = self.store.get_range(key, offset, limit + 1)
        if data is not None:
            shown = data[:limit]
            return LogChunk(shown, offset + len(shown), len(data) <= limit)
        data = self.store.get_range(partial(key), offset, limit)
        return LogChunk(data or b"", offset + len(data or b""), False)

    def delete(self, run_id: str) -> None:
        """Remove what is kept of a run: its objects, its local files and its live pages.

        Raises:
            UnavailableError: the store cannot be asked to; the message says where the objects are.
        """
        self.local.delete(run_id)
        self.drop_live(run_id)
        prefix = f"{self._run_prefix(run_id)}/"
        try:
            self.store.delete_prefix(prefix)
        except OSError as error:
            where = self.store.url(prefix)
            raise UnavailableError(
                f"The compute logs of run {run_id} are still in the store. Remove {where} there: {error}"
            ) from error

    def key_of(self, name: StreamName) -> str:
        """Return the key of a stream's object."""
        return f"{self._run_prefix(name.run_id)}/{name.file_name}"

    def keep(self, name: StreamName, path: str, *, is_complete: bool) -> None:
        """Upload a stream's file: while it grows, beside its final key; a complete one is moved."""
        key = self.key_of(name)
        if not is_complete:
            self.store.put(partial(key), Path(path))
            return
        self.store.put(key, Path(path))
        self.store.delete(partial(key))
        with suppress(OSError):
            os.unlink(path)
        with suppress(OSError):
            os.rmdir(os.path.dirname(path))

    def keep_bytes(self, name: StreamName, data: bytes) -> None:
        """Store what is known of a stream whose machine is gone, unless its end is stored already."""
        key = self.key_of(name)
        if self.store.size(key) is None:
            self.store.put(key, data)
            self.store.delete(partial(key))

    def files_to_ship(self) -> LocalComputeLogManager:
        """Return the manager of the files that are uploaded."""
        return self.local

    def dispose(self) -> None:
        """Close what the store holds open."""
        self.local.dispose()
        self.store.dispose()

    def _run_prefix(self, run_id: str) -> str:
        path = f"storage/{run_id}/compute_logs"
        return f"{self.prefix}/{path}" if self.prefix else path


def partial(key: str) -> str:
    """Return the key of what is uploaded of a stream that is still written to."""
    return f"{key}.partial"
