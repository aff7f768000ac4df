"""A compute log manager that keeps each attempt's output in files of a local or shared folder.

Layout: ``<base>/<run id>/<step key>.<attempt>.out`` and ``.err``. A file appears once something is written to it, so
that a silent attempt leaves none. Once the attempt has ended it is read-only: that costs no further file, and whoever
reads it knows that nothing follows. How a file comes by its name is in attempt_files.py.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from orchord.compute_logs.attempt_files import AttemptFile, HiddenFile, NamedFile
from orchord.compute_logs.manager import DEFAULT_CHUNK_BYTES, ComputeLogManager, LogChunk, LogStream
from orchord.compute_logs.redirect import redirected
from orchord.compute_logs.spool import SPOOL_FOLDER, Spool, is_ended
from orchord.compute_logs.streams import DEFAULT_MAX_BYTES, StreamName, checked_names
from orchord.compute_logs.unnamed import SpareFiles, UnnamedFilesUnsupportedError, make_folder
from orchord.compute_logs.watching import Watcher


class LocalComputeLogManager(ComputeLogManager):
    """Keeps compute logs in files.

    Args:
        base_dir: the folder; made when first needed.
        max_bytes: how much of each stream is kept; what follows is counted and cut.
    """

    def __init__(self, base_dir: str | os.PathLike[str], max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.base_dir = Path(base_dir).expanduser().absolute()
        self._base = str(self.base_dir)
        self._spares = SpareFiles(self._base)
        self.watcher = Watcher()
        self._spool: Spool | None = None
        self._has_unnamed_files = True

    def capture(self, run_id: str, step_key: str, attempt: int) -> AbstractContextManager[None]:
        """Send this process's output, and its children's, to the attempt's files."""
        return _Capture(self, self._stem(run_id, step_key, attempt))

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
        name = StreamName(run_id, step_key, attempt, LogStream(stream))
        found = self.read_file(name, offset, limit) or self.read_live(name, offset, limit)
        return found if found is not None else LogChunk(b"", offset, False)

    def read_file(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return what this machine's file of a stream holds; None without such a file."""
        try:
            with open(self.path_of(name), "rb") as file:
                # Asked before the data is read: an end that comes in between is seen by the next read.
                ended = is_ended(file.fileno())
                if not ended:
                    # What is beyond is about to be cut.
                    limit = max(0, min(limit, self.max_bytes - offset))
                file.seek(offset)
                data = file.read(limit)
                is_last = not file.read(1)
        except FileNotFoundError:
            return None
        return LogChunk(data, offset + len(data), ended and is_last)

    def delete(self, run_id: str) -> None:
        """Remove the folder of a run, and its live pages."""
        self.drop_live(run_id)
        shutil.rmtree(os.path.dirname(self._stem(run_id, "-", 0)), ignore_errors=True)

    def keep_bytes(self, name: StreamName, data: bytes) -> None:
        """Write what is known of a stream whose machine is gone, unless there is a file of it."""
        path = self.path_of(name)
        if os.access(path, os.F_OK):
            return
        draft = f"{path}.{os.getpid()}.draft"
        make_folder(os.path.dirname(path))
        with open(draft, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o444)
        os.rename(draft, path)

    def files_to_ship(self) -> LocalComputeLogManager:
        """Return itself: the files are its own."""
        return self

    def announce_as(self, owner: str) -> None:
        """Leave word of each file that is printed into, for the shipper of this worker."""
        self._spool = Spool(self._base, owner)

    def has_files_of(self, owner: str) -> bool:
        """Return whether this worker prints into files of the same folder."""
        return os.path.isdir(os.path.join(self._base, SPOOL_FOLDER, owner))

    def dispose(self) -> None:
        """Close spare files and let the thread that looks after running steps end; both come back when needed."""
        self.watcher.stop()
        self._spares.close()

    def __del__(self) -> None:
        # Not made when the constructor failed.
        with suppress(AttributeError):
            self.dispose()

    def open_files(self, stem: str) -> tuple[AttemptFile, AttemptFile]:
        """Open the files of an attempt for its standard output and error."""
        stdout = self._open(f"{stem}.out")
        try:
            return stdout, self._open(f"{stem}.err")
        except BaseException:
            stdout.finish()
            raise

    def _open(self, path: str) -> AttemptFile:
        announce = None if self._spool is None else self._spool.announce
        # An attempt that is captured again, for example by a worker that was believed dead, goes on in its file.
        if self._has_unnamed_files and not os.access(path, os.F_OK):
            try:
                return HiddenFile(path, self._spares, self.max_bytes, announce)
            except UnnamedFilesUnsupportedError:
                self._has_unnamed_files = False
        return NamedFile(path, self.max_bytes, announce)

    def path_of(self, name: StreamName) -> str:
        """Return where this machine's file of a stream is, if there is one."""
        checked_names(name.run_id, name.step_key)
        return f"{self._base}{os.sep}{name.run_id}{os.sep}{name.file_name}"

    def _stem(self, run_id: str, step_key: str, attempt: int) -> str:
        checked_names(run_id, step_key)
        return f"{self._base}{os.sep}{run_id}{os.sep}{step_key}.{attempt}"


class _Capture(AbstractContextManager[None]):
    """One attempt's output on its way to its files."""

    __slots__ = ("_files", "_manager", "_redirected", "_stem")

    def __init__(self, manager: LocalComputeLogManager, stem: str) -> None:
        self._manager = manager
        self._stem = stem
        self._files: tuple[AttemptFile, ...] = ()
        self._redirected: redirected | None = None

    def __enter__(self) -> None:
        stdout, stderr = self._files = self._manager.open_files(self._stem)
        try:
            self._manager.watcher.add(self)
            self._redirected = redirected(stdout.writer, stderr.writer, stdout.show, stderr.show)
            self._redirected.__enter__()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._redirected is not None:
                self._redirected.__exit__(kind, error, trace)
        finally:
            self._finish()

    def look(self) -> None:
        """Make visible what C code and child processes wrote."""
        for file in self._files:
            file.look()

    def _finish(self) -> None:
        self._manager.watcher.discard(self)
        for file in self._files:
            file.finish()
