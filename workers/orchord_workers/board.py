"""What each pool child of a worker works on, in memory that the parent and its children share.

The parent reads it to learn whose step must stop, whatever the database or a message says of it; a child reads there
whether a signal is meant for what it works on now. Acting on it is interrupts.py and stopping.py.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from dataclasses import dataclass

# Process id, run id, token, since when, end at the latest (monotonic seconds; 0: no limit), token asked to stop.
_PLACE = struct.Struct("<q64s32sdd32s")
_ASKED = struct.Struct("<32s")
_ASKED_AT = _PLACE.size - _ASKED.size
_END = struct.Struct("<d")
_END_AT = _ASKED_AT - _END.size
PLACES = 1024


@dataclass(frozen=True)
class Busy:
    """One child at work.

    Attributes:
        place: where it stands on the board.
        process_id: the child.
        run_id: the run.
        token: the attempt's token, or ``run_id`` again when the child carries out a run as a whole.
        since: since when, in seconds of the machine's monotonic clock.
        end_at: when it is to have ended at the latest by the step's time limit, on the same clock; None: no limit.
    """

    place: int
    process_id: int
    run_id: str
    token: str
    since: float
    end_at: float | None

    @property
    def is_whole_run(self) -> bool:
        """Whether the child carries out a run as a whole."""
        return self.token == _text(_bytes(self.run_id, 32))


class Board:
    """The board of one worker: made before the pool forks. Each child writes in a place of its own."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _PLACE.size * PLACES)
        self._place: int | None = None

    def take_place(self, place: int) -> None:
        """Choose this process's place: once in each child, by its number in the pool."""
        self._place = place if 0 <= place < PLACES else None
        self.clear()

    def write(self, run_id: str, token: str | None = None, lasts_seconds: float | None = None) -> None:
        """Say what this process works on now; without a token, on a run as a whole."""
        if self._place is not None:
            now = time.monotonic()
            end_at = 0.0 if lasts_seconds is None else now + lasts_seconds
            named = _bytes(token or run_id, 32)
            row = (os.getpid(), _bytes(run_id, 64), named, now, end_at, b"")
            _PLACE.pack_into(self._memory, self._place * _PLACE.size, *row)

    def limit(self, lasts_seconds: float | None) -> None:
        """Say by when this process is to be done with what it works on, in seconds from now; None: no limit."""
        if self._place is not None:
            end_at = 0.0 if lasts_seconds is None else time.monotonic() + lasts_seconds
            # Nothing else: the parent may leave its word in this very moment.
            _END.pack_into(self._memory, self._place * _PLACE.size + _END_AT, end_at)

    def clear(self) -> None:
        """Say that this process works on nothing."""
        if self._place is not None:
            _PLACE.pack_into(self._memory, self._place * _PLACE.size, 0, b"", b"", 0.0, 0.0, b"")

    def is_asked_to_stop(self) -> bool:
        """Return whether the parent asked this process to stop what it works on now."""
        if self._place is None:
            return False
        _, _, token, _, _, asked = _PLACE.unpack_from(self._memory, self._place * _PLACE.size)
        return bool(_text(token)) and token == asked

    def ask_to_stop(self, busy: Busy) -> None:
        """Leave word for a child that it is to stop what it was seen to work on."""
        _ASKED.pack_into(self._memory, busy.place * _PLACE.size + _ASKED_AT, _bytes(busy.token, 32))

    def busy(self) -> list[Busy]:
        """Return the children at work."""
        found = []
        for place in range(PLACES):
            start = place * _PLACE.size
            row = _PLACE.unpack_from(self._memory, start)
            # Read twice: a child may be in the middle of writing.
            if row[0] and row[:5] == _PLACE.unpack_from(self._memory, start)[:5]:
                process_id, run_id, token, since, end_at, _ = row
                found.append(Busy(place, process_id, _text(run_id), _text(token), since, end_at or None))
        return found


def _bytes(text: str, size: int) -> bytes:
    # A run id is longer than a token's field; its end, where the random part is, tells runs apart.
    return text.encode()[-size:]


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
