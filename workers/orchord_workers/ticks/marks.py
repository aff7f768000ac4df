"""Which tick each process of a tick worker is evaluating, told to who survives it, and without a word to the database.

Ticks that are claimed together thus do not die together: the one that took its process with it fails, and the others
wait again (runner.py).
"""

from __future__ import annotations

import os
import struct
import tempfile
import weakref

_MARK = struct.Struct("=qq")  # a process id, a tick id


class Marks:
    """A place for each process id in a file without a name: forked processes share it, and it goes with the last.

    Make it before the fork. The file has holes where no process of this worker ever was, so it takes next to no room.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="orchord-ticks-") as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def put(self, process_id: int, tick_id: int) -> None:
        """Note that a process begins with a tick; 0: that it is at none."""
        os.pwrite(self._file, _MARK.pack(process_id, tick_id), process_id * _MARK.size)

    def get(self, process_id: int) -> int | None:
        """Return the tick that a process was at last, 0 when it was between ticks, or None when nothing is known."""
        found = os.pread(self._file, _MARK.size, process_id * _MARK.size)
        known_id, tick_id = _MARK.unpack(found) if len(found) == _MARK.size else (0, 0)
        return tick_id if known_id == process_id else None
