"""The file of one stream of one attempt: without a name until something is written, or named from the start.

What is written to a file without a name is seen by nobody and lost with the process, so that it gets its name as
soon as there is something in it. Where the names come from is local.py; who is told of them is spool.py.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress

from orchord.compute_logs.spool import MAY_WRITE
from orchord.compute_logs.streams import cut_mark
from orchord.compute_logs.unnamed import SpareFiles, UnnamedFile, make_folder

_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC

#: Is told of each file, by its path and the descriptor that the step writes to, before the file can be found.
Announce = Callable[[str, int], None]

logger = logging.getLogger(__name__)


class _Bound:
    """Keeps a file within its size: what is beyond is cut, counted, and told at the end.

    All who write to it append, so that a file may be cut under them: the next byte goes to its new end.
    """

    __slots__ = ("_dropped_bytes", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._dropped_bytes = 0

    def keep(self, descriptor: int) -> None:
        """Cut the file if it is too large by now."""
        excess = os.fstat(descriptor).st_size - self._max_bytes
        if excess > 0:
            os.ftruncate(descriptor, self._max_bytes)
            self._dropped_bytes += excess

    def end(self, descriptor: int) -> None:
        """Cut the file for the last time, and say in it how much is missing."""
        self.keep(descriptor)
        if self._dropped_bytes:
            os.write(descriptor, cut_mark(self._dropped_bytes, self._max_bytes))
            self._dropped_bytes = 0


class NamedFile:
    """A file that has its name from the start: where there are no others, and where an attempt goes on in its file.

    Raises:
        OSError: the file cannot be opened for writing.
    """

    __slots__ = ("_bound", "_pid", "writer")

    def __init__(self, path: str, max_bytes: int, announce: Announce | None = None) -> None:
        try:
            self.writer = os.open(path, _WRITE_FLAGS, 0o644)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            self.writer = os.open(path, _WRITE_FLAGS, 0o644)
        except PermissionError:
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IWUSR)
            self.writer = os.open(path, _WRITE_FLAGS, 0o644)
        mode = stat.S_IMODE(os.fstat(self.writer).st_mode)
        if not mode & stat.S_IWUSR:
            os.fchmod(self.writer, mode | stat.S_IWUSR)
        self._bound = _Bound(max_bytes)
        self._pid = os.getpid()
        if announce is not None:
            announce(path, self.writer)

    def show(self) -> None:
        """Do nothing: it is seen already."""

    def look(self) -> None:
        """Keep the file within its size."""
        writer = self.writer
        if writer >= 0 and self._pid == os.getpid():
            with suppress(OSError):
                self._bound.keep(writer)

    def finish(self) -> None:
        """Mark the file as complete, and close it."""
        writer, self.writer = self.writer, -1
        if writer >= 0:
            if self._pid == os.getpid():
                with suppress(OSError):
                    self._bound.end(writer)
            _complete(writer)
            os.close(writer)


class HiddenFile:
    """A file that gets its name, ``path``, when something is written to it.

    Raises:
        UnnamedFilesUnsupportedError: there are no such files here.
        OSError: the spares' folder may not be written to, or its disk is full.
    """

    __slots__ = ("_announce", "_bound", "_file", "_is_linked", "_lock", "_path", "_pid", "_spares", "writer")

    def __init__(self, path: str, spares: SpareFiles, max_bytes: int, announce: Announce | None = None) -> None:
        self._path = path
        self._spares = spares
        self._announce = announce
        self._bound = _Bound(max_bytes)
        self._is_linked = False
        # The step's own writes, the watching thread and the end may meet here. None of the first two ever waits: a
        # fork may copy the lock while it is held, and a signal handler may print in the middle of a print.
        self._lock = threading.Lock()
        self._pid = os.getpid()
        file = spares.take()
        try:
            self.writer = file.writer()
        except BaseException:
            file.close()
            raise
        self._file: UnnamedFile | None = file

    def show(self) -> None:
        """Give the file its name now, unless it has it. A failure waits for ``finish``."""
        if not self._is_linked:
            self._try_to_link(even_empty=True)

    def look(self) -> None:
        """Give the file its name if something was written to it, and keep it within its size."""
        if not self._is_linked:
            self._try_to_link(even_empty=False)
        if self._is_linked and self._pid == os.getpid() and self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    with suppress(OSError):
                        self._bound.keep(self._file.descriptor)
            finally:
                self._lock.release()

    def _try_to_link(self, *, even_empty: bool) -> None:
        # A forked child that prints leaves it to its parent, which has the same file.
        if self._pid != os.getpid() or not self._lock.acquire(blocking=False):
            return
        try:
            if self._file is not None and not self._is_linked and (even_empty or self._file.size()):
                with suppress(OSError):
                    self._tell()
                    self._file.link(self._path)
                    self._is_linked = True
        finally:
            self._lock.release()

    def _tell(self) -> None:
        # Before there is a name: of a file that is never named nothing is lost, of one that nobody knows all is.
        announce, self._announce = self._announce, None
        if announce is not None:
            announce(self._path, self.writer)

    def finish(self) -> None:
        """Close the file: complete if anything is in it or may still come, else to be used by another attempt.

        The descriptors that point at it must point elsewhere by now.
        """
        if self._pid != os.getpid():
            self._close_writer()
            return
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                self._close_writer()
                return
            if file.size() and not self._is_linked:
                self._tell()
            self._close_writer()
            # Asked first: once nobody else can write, the size is final. A child that was left behind may go on to
            # write, so that its file is kept, though it may stay empty.
            if not self._is_linked and not file.is_shared() and not file.size():
                self._spares.give_back(file)
                return
            try:
                with suppress(OSError):
                    self._bound.end(file.descriptor)
                if self._is_linked:
                    _complete(file.descriptor)
                else:
                    self._keep(file)
            finally:
                file.close()

    def _close_writer(self) -> None:
        writer, self.writer = self.writer, -1
        if writer >= 0:
            os.close(writer)

    def _keep(self, file: UnnamedFile) -> None:
        try:
            _complete(file.descriptor)
            file.link(self._path)
        except OSError as error:
            # The name is taken, or the folder is a file system of its own: what was printed is copied.
            try:
                file.append_to(self._path)
            except OSError:
                # The step is over and has its result; its logs alone are lost.
                logger.warning("What a step printed is not kept in %s: %s", self._path, error)


AttemptFile = NamedFile | HiddenFile


def _complete(descriptor: int) -> None:
    """Mark a file as complete."""
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~MAY_WRITE)
