"""What goes between a run's process and a step's: one request there; word of the start, events and a result back.

Frames on a stream: a letter, a length, a payload. What a killed process left half written is not a frame.
"""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from orchord.events import ErrorInfo, Event
from orchord.execution.request import StepResult
from orchord.runs import AttemptStatus

REQUEST, STARTED, EVENT, RESULT = b"Q", b"S", b"E", b"R"
_HEAD = struct.Struct("<cQ")
_READ_BYTES = 1 << 18
# How the standard library's fault handler begins what it says.
_CRASH = b"Fatal Python error"


class _PlainResult(msgspec.Struct, frozen=True, array_like=True):
    """A StepResult without the objects that stay in their process."""

    status: AttemptStatus
    outputs: tuple[str, ...]
    events: tuple[Event, ...]
    error: ErrorInfo | None
    retry_delay_seconds: float | None


_encode = msgspec.msgpack.Encoder().encode
_result_of = msgspec.msgpack.Decoder(_PlainResult).decode
_event_of = msgspec.msgpack.Decoder(Event).decode


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: its kind, and what it says."""

    kind: bytes
    value: Any = None


class FrameWriter:
    """Writes frames. Threads of the user's code may log at the same time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._connection.fileno()

    def write(self, kind: bytes, payload: bytes = b"") -> None:
        """Write one frame; who no longer listens need not be told."""
        with self._lock:
            try:
                self._connection.sendall(_HEAD.pack(kind, len(payload)) + payload)
            except (BrokenPipeError, ConnectionResetError):
                return

    def event(self, event: Event) -> None:
        """Tell of an event as it happens."""
        self.write(EVENT, _encode(event))

    def result(self, result: StepResult) -> None:
        """Tell how the attempt ended."""
        plain = _PlainResult(result.status, result.outputs, result.events, result.error, result.retry_delay_seconds)
        self.write(RESULT, _encode(plain))


class FrameReader:
    """Puts frames together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_garbled = False

    def last_words(self) -> str:
        """Return the stack that a crashing process has left behind its frames; empty when there is none."""
        at = self._buffer.rfind(_CRASH)
        return "" if at < 0 else self._buffer[at:].decode(errors="replace")

    def fed(self, data: bytes) -> Iterator[Frame]:
        """Take a piece; yield the frames that are whole now.

        Nothing follows one that makes no sense: a thread of the process was interrupted, or crashed, while it wrote.
        """
        self._buffer += data
        while not self._is_garbled and len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            try:
                frame = Frame(kind, _value(kind, payload))
            except msgspec.DecodeError:
                self._is_garbled = True
                return
            del self._buffer[:end]
            yield frame


def read_request(connection: socket.socket) -> Any:
    """Wait for the request, and return what was pickled into it.

    Raises:
        EOFError: who wanted to ask is gone.
    """
    reader = FrameReader()
    while data := connection.recv(_READ_BYTES):
        for frame in reader.fed(data):
            return frame.value
    raise EOFError("no request came")


def read_available(connection: socket.socket) -> bytes | None:
    """Return what has arrived; None when nothing has, and empty when nothing more will."""
    try:
        return connection.recv(_READ_BYTES, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""


def pickled(value: Any) -> bytes:
    """Return a request as bytes.

    Raises:
        TypeError: it holds what cannot be sent to another process.
    """
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(f"the step's request cannot be sent to another process: {error}") from error


def _value(kind: bytes, payload: bytes) -> Any:
    if kind == REQUEST:
        return pickle.loads(payload)
    if kind == EVENT:
        return _event_of(payload)
    if kind == RESULT:
        plain = _result_of(payload)
        return StepResult(plain.status, plain.outputs, plain.events, plain.error, plain.retry_delay_seconds)
    return None
