"""Files that have no name until something is written to them, so that a step that prints nothing makes none.

To create a file and a folder takes longer than many a step, and most steps are silent. Which attempt a file belongs
to, and where it is to be found, is local.py's matter.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress

#: Linux alone has unnamed files that can be given a name; 0 elsewhere.
_O_TMPFILE = getattr(os, "O_TMPFILE", 0)
_FLAGS = _O_TMPFILE | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
_LACKING = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS}
_SPARES = 4
_PIECE_BYTES = 1 << 20


class UnnamedFilesUnsupportedError(OSError):
    """The system or this file system has no unnamed files."""


class UnnamedFile:
    """An open file without a name. What is written to it goes through ``writer()``.

    Raises:
        UnnamedFilesUnsupportedError: there are none here.
        OSError: the folder is missing, may not be written to, or its disk is full.
    """

    __slots__ = ("descriptor",)

    def __init__(self, folder: str) -> None:
        self.descriptor = -1
        if not _O_TMPFILE:
            raise UnnamedFilesUnsupportedError(errno.EOPNOTSUPP, "no unnamed files on this system", folder)
        try:
            self.descriptor = os.open(folder, _FLAGS, 0o644)
        except OSError as error:
            if error.errno in _LACKING:
                raise UnnamedFilesUnsupportedError(error.errno, error.strerror, folder) from error
            raise

    def writer(self) -> int:
        """Return a new descriptor that appends.

        It is opened anew and not a copy, so that ``is_shared`` can tell whether someone holds on to it.
        """
        try:
            return os.open(f"/proc/self/fd/{self.descriptor}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise UnnamedFilesUnsupportedError(errno.ENOENT, "there is no /proc", error.filename) from error

    def size(self) -> int:
        """Return how many bytes were written."""
        return os.fstat(self.descriptor).st_size

    def is_shared(self) -> bool:
        """Whether a writer is open still, in this process or any other: a child that was left behind, a copy.

        A write lease is granted to whoever is the only one to have opened the file, so the kernel is asked for one.
        """
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            return True
        return False

    def link(self, path: str) -> None:
        """Give the file a name; the folder is made if it is missing.

        Raises:
            FileExistsError: the name is taken.
            OSError: the folder may not be written to, or lies on another file system.
        """
        try:
            self._link(path)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            self._link(path)

    def _link(self, path: str) -> None:
        # Only with a folder's descriptor does Python follow the symbolic link; that the path is absolute makes the
        # descriptor's value meaningless.
        os.link(f"/proc/self/fd/{self.descriptor}", path, src_dir_fd=self.descriptor, follow_symlinks=True)

    def append_to(self, path: str) -> None:
        """Copy what was written to the end of another file."""
        make_folder(os.path.dirname(path))
        position = 0
        with open(path, "ab") as file:
            while piece := os.pread(self.descriptor, _PIECE_BYTES, position):
                file.write(piece)
                position += len(piece)

    def close(self) -> None:
        """Close the file; without a name it is gone."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with suppress(OSError):
            self.close()


class SpareFiles:
    """Unnamed files of one folder that nothing was written to, and nobody else can write to.

    A fork shares them with its child, so that each process makes its own.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._pid = os.getpid()
        self._files: list[UnnamedFile] = []

    def take(self) -> UnnamedFile:
        """Return an empty file; ``give_back`` it if it is empty and unshared afterwards, else close it."""
        if self._pid != os.getpid():
            self._files, self._pid = [], os.getpid()
        try:
            return self._files.pop()
        except IndexError:
            pass
        try:
            return UnnamedFile(self._folder)
        except FileNotFoundError:
            os.makedirs(self._folder, exist_ok=True)
            return UnnamedFile(self._folder)

    def give_back(self, file: UnnamedFile) -> None:
        """Keep a file for the next who needs one."""
        if len(self._files) < _SPARES:
            self._files.append(file)
        else:
            file.close()

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.pop().close()


def make_folder(folder: str) -> None:
    """Make a folder, quickly if only its last part is missing."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
