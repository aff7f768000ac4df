"""One file that a step prints into, as its shipper follows it: what is new in it, and whether it has ended.

When pieces go where is shipping.py; what an announced file is, spool.py.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress

from orchord.compute_logs.live import LiveWrite
from orchord.compute_logs.spool import MAY_WRITE, has_writer, is_ended
from orchord.compute_logs.streams import StreamName, cut_mark

PIECE_BYTES = 4 * 1024 * 1024
#: A file that nobody can write to any more was left by a process that died. Asked twice, this far apart: in between
#: a step that ends in good order marks it.
QUIET_SECONDS = 1.0
#: An announced file that does not come into being is no more waited for after this time.
PATIENCE_SECONDS = 30.0
#: An open stream is told of again this often, so that it is not forgotten while its step is silent.
REFRESH_SECONDS = 3600.0

_TRY_AGAIN = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}


class Tail:
    """Follows one file.

    Args:
        entry: what announced it.
        path: where it is.
        name: whose it is.
        max_bytes: how much of it is kept.

    Attributes:
        shipped: up to where it has been shown live.
        is_shown: whether its end has been.
        kept: how much of it had been given to its keeper last.
        kept_at: when, by the monotonic clock.
        is_ended: whether nothing follows what is in it now.
        is_gone: whether there is nothing to follow (any more).
        task: the number of the task by which it is being kept now.
        failures: how often that failed.
        retry_at: when it is tried again.
    """

    def __init__(self, entry: str, path: str, name: StreamName, max_bytes: int) -> None:
        self.entry, self.path, self.name = entry, path, name
        self.shipped = 0
        self.is_shown = False
        self.kept = 0
        self.kept_at = time.monotonic()
        self.is_ended = False
        self.is_gone = False
        self.task: int | None = None
        self.failures = 0
        self.retry_at = 0.0
        self.size = 0
        self._told_at = time.monotonic()
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._since = time.monotonic()
        self._ask_at = 0.0
        self._is_quiet = False

    def look(self, *, is_last: bool = False) -> None:
        """See how large it is now, and whether it has ended.

        Args:
            is_last: whether this is the last look: who writes to it now is not waited for.
        """
        if self.is_ended or self.is_gone or not self._is_open(is_last=is_last):
            return
        ended = is_ended(self._descriptor) or self._was_left(is_last=is_last)
        size = os.fstat(self._descriptor).st_size
        self.size = size if ended else min(size, self._max_bytes)
        self.is_ended = ended

    def _is_open(self, *, is_last: bool) -> bool:
        if self._descriptor >= 0:
            return True
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.is_gone = is_last or time.monotonic() - self._since > PATIENCE_SECONDS
        except OSError as error:
            # This process, or its machine, may have too many files open just now; what was printed is there still.
            self.is_gone = error.errno not in _TRY_AGAIN
        return self._descriptor >= 0

    def _was_left(self, *, is_last: bool) -> bool:
        """Return whether whoever wrote to it has died; then say so in the file as the end would have."""
        now = time.monotonic()
        if now < self._ask_at and not is_last:
            return False
        self._ask_at = now + QUIET_SECONDS
        was_quiet, self._is_quiet = self._is_quiet, not has_writer(self._descriptor)
        if not self._is_quiet or not (was_quiet or is_last):
            return False
        with suppress(OSError):
            excess = os.fstat(self._descriptor).st_size - self._max_bytes
            with open(self.path, "ab", buffering=0) as file:
                if excess > len(cut_mark(excess, self._max_bytes)):
                    file.truncate(self._max_bytes)
                    file.write(cut_mark(excess, self._max_bytes))
                os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(file.fileno()).st_mode) & ~MAY_WRITE)
        return True

    def next_piece(self) -> LiveWrite | None:
        """Return what is to be shown live now, or None. ``shown`` says that it was."""
        if self._descriptor < 0 or self.is_shown:
            return None
        data = os.pread(self._descriptor, min(PIECE_BYTES, self.size - self.shipped), self.shipped)
        is_complete = self.is_ended and self.shipped + len(data) >= self.size
        is_stale = self.shipped > 0 and time.monotonic() - self._told_at > REFRESH_SECONDS
        if not data and not is_complete and not is_stale:
            return None
        return LiveWrite(self.name, self.shipped, data, is_complete)

    def shown(self, piece: LiveWrite) -> None:
        """Go on after a piece that was shown."""
        self.shipped = piece.offset + len(piece.data)
        self.is_shown = piece.is_complete
        self._told_at = time.monotonic()

    def was_removed(self) -> bool:
        """Return whether the file has gone from under its keeper, as when its run is deleted."""
        return not os.path.lexists(self.path)

    def release(self) -> None:
        """Close the file, of which nothing is to be read here any more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def close(self, *, forget: bool) -> None:
        """Close the file; ``forget`` it if all that is to be done is done."""
        self.release()
        if forget:
            with suppress(OSError):
                os.unlink(self.entry)
