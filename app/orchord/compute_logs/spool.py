"""The index of the files that steps of this machine print into: what a shipper finds them by.

An attempt that prints leaves a symbolic link for each of its streams, in a folder that is its worker's own. That
outlives the worker, so that another one of the machine ships what a killed one left. Who does is shipping.py.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import stat
from collections.abc import Container
from contextlib import suppress

SPOOL_FOLDER = ".spool"
MAY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

logger = logging.getLogger(__name__)


class Spool:
    """The part of the index that belongs to one worker, or to one process that runs jobs by itself.

    Args:
        base_dir: the folder of the compute logs' files.
        owner: the worker's identity.
    """

    def __init__(self, base_dir: str, owner: str) -> None:
        self.folder = os.path.join(base_dir, SPOOL_FOLDER, owner)
        self._numbers = itertools.count()

    def announce(self, path: str, writer: int) -> None:
        """Tell of a file that is about to be written to. A failure costs liveness alone, and never the step.

        Args:
            path: where the file is, or will be.
            writer: the descriptor that the step's output goes to. Its lock, which whoever prints into it shares,
                tells when nobody can any more.
        """
        try:
            fcntl.flock(writer, fcntl.LOCK_SH | fcntl.LOCK_NB)
            entry = f"{self.folder}{os.sep}{os.getpid()}.{next(self._numbers)}"
            try:
                os.symlink(path, entry)
            except FileNotFoundError:
                os.makedirs(self.folder, exist_ok=True)
                os.symlink(path, entry)
        except OSError as error:
            logger.warning("What a step prints into %s is not seen elsewhere: %s", path, error)


class SpoolFolder:
    """One owner's part as a shipper sees it: locked while somebody attends to it.

    Args:
        folder: the part.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._descriptor = -1

    def take(self, *, make: bool = False) -> bool:
        """Attend to it from now on; False while another living process does, or where it is missing.

        Args:
            make: whether it is made if it is missing.
        """
        if make:
            with suppress(OSError):
                os.makedirs(self.folder, exist_ok=True)
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever attended to it a moment ago may have removed it: the lock is then on a folder that nobody sees.
            is_there = os.path.samestat(os.fstat(descriptor), os.stat(self.folder))
        except OSError:
            is_there = False
        if not is_there:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    @property
    def is_taken(self) -> bool:
        """Whether this process attends to it."""
        return self._descriptor >= 0

    def entries(self, known: Container[str] = ()) -> dict[str, str]:
        """Return the path of each announced file by the entry that names it, but for those that are known."""
        found: dict[str, str] = {}
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.path not in known:
                    with suppress(OSError):
                        found[entry.path] = os.readlink(entry.path)
        return found

    def close(self) -> None:
        """Let somebody else attend to it; an empty one goes, by whoever attends to it alone."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.rmdir(self.folder)
            os.close(descriptor)


def other_folders(folder: str) -> list[str]:
    """Return the parts of the same index that belong to others."""
    root = os.path.dirname(folder)
    try:
        with os.scandir(root) as entries:
            return sorted(entry.path for entry in entries if entry.path != folder and entry.is_dir())
    except OSError:
        return []


def is_ended(descriptor: int) -> bool:
    """Return whether the file's attempt has ended in good order: then it is read-only."""
    return not os.fstat(descriptor).st_mode & MAY_WRITE


def has_writer(descriptor: int) -> bool:
    """Return whether a process holds the announced file open to print into it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
