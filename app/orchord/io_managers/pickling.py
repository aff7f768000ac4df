"""Pickling a value of any size into a stream, and out of one, with the value itself the only large thing in memory.

What is written is one plain pickle, which ``pickle.load`` reads. Where it goes is object_store.py's matter.
"""

from __future__ import annotations

import pickle
from typing import Any, Protocol

#: Buffers from this size on (arrays, frames) are passed on piece by piece; pickle itself would copy them whole.
_LARGE_BYTES = 1 << 20
_PIECE_BYTES = 8 << 20
_PROTOCOL = 5


class Sink(Protocol):
    """What pickles are written to. A buffer may be reused or released once ``write`` has returned."""

    def write(self, buffer: Any, /) -> Any:
        """Take the next bytes."""


def dump(value: Any, sink: Sink) -> None:
    """Write a value as one pickle.

    Raises:
        Whatever pickle raises for a value that it cannot take, and whatever the sink raises.
    """
    stream = _Stream(sink)
    pickle.Pickler(stream, protocol=_PROTOCOL, buffer_callback=stream.keeps_in_band).dump(value)


class _Stream:
    """Puts large buffers into the pickle at the places where pickle left them out.

    Pickle has its buffers come separately: it calls ``keeps_in_band`` with one, and writes NEXT_BUFFER where it
    belongs. What is pending then stands in the next piece that it writes, which begins and ends between instructions;
    there NEXT_BUFFER is replaced by the instruction that holds the bytes themselves.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending: list[memoryview] = []

    def keeps_in_band(self, buffer: pickle.PickleBuffer) -> bool:
        """Decide on one buffer: True leaves it to pickle."""
        try:
            view = buffer.raw()
        except BufferError:
            # Not one stretch of memory; pickle says so.
            return True
        if view.nbytes < _LARGE_BYTES:
            return True
        self._pending.append(view)
        return False

    def write(self, data: Any) -> int:
        if not self._pending:
            self._pass_on(memoryview(data))
            return len(data)
        pending, self._pending = iter(self._pending), []
        begin = 0
        for place, length in _cuts(data):
            self._pass_on(memoryview(data)[begin:place])
            begin = place + length
            if data[place : place + 1] == pickle.NEXT_BUFFER:
                view = next(pending)
                code = pickle.BINBYTES8 if view.readonly else pickle.BYTEARRAY8
                self._sink.write(code + view.nbytes.to_bytes(8, "little"))
                self._pass_on(view)
        self._pass_on(memoryview(data)[begin:])
        return len(data)

    def _pass_on(self, view: memoryview) -> None:
        if view.nbytes <= _PIECE_BYTES:
            if view.nbytes:
                self._sink.write(view)
            return
        for begin in range(0, view.nbytes, _PIECE_BYTES):
            self._sink.write(view[begin : begin + _PIECE_BYTES])


# Instructions with arguments: how many bytes follow, or how many bytes say how many follow.
_FIXED = {
    **dict.fromkeys((pickle.BININT1, pickle.BINGET, pickle.BINPUT, pickle.PROTO, pickle.EXT1), 1),
    **dict.fromkeys((pickle.BININT2, pickle.EXT2), 2),
    **dict.fromkeys((pickle.BININT, pickle.LONG_BINGET, pickle.LONG_BINPUT, pickle.EXT4), 4),
    **dict.fromkeys((pickle.BINFLOAT, pickle.FRAME), 8),
}
_COUNTED = {
    **dict.fromkeys((pickle.SHORT_BINUNICODE, pickle.SHORT_BINBYTES, pickle.LONG1, pickle.SHORT_BINSTRING), 1),
    **dict.fromkeys((pickle.BINUNICODE, pickle.BINBYTES, pickle.LONG4, pickle.BINSTRING), 4),
    **dict.fromkeys((pickle.BINUNICODE8, pickle.BINBYTES8, pickle.BYTEARRAY8), 8),
}


def _cuts(data: bytes) -> list[tuple[int, int]]:
    """Return what is to be taken out of a piece of a pickle, as places and lengths: each NEXT_BUFFER and each FRAME.

    A frame's length would no longer be true; it only helps readers to read ahead.
    """
    cuts, position = [], 0
    while position < len(data):
        begin, code = position, data[position : position + 1]
        position += 1
        if code in _FIXED:
            position += _FIXED[code]
        elif code in _COUNTED:
            width = _COUNTED[code]
            position += width + int.from_bytes(data[position : position + width], "little")
        if code in (pickle.NEXT_BUFFER, pickle.FRAME):
            cuts.append((begin, position - begin))
    return cuts
