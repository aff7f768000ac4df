"""The port of compute logs: what every manager does, and the chunk that reading returns.

Redirecting the descriptors is in redirect.py; where the bytes go is each manager's own matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from enum import StrEnum

import msgspec

DEFAULT_CHUNK_BYTES = 1 << 20


class LogStream(StrEnum):
    """The two streams of a step."""

    STDOUT = "stdout"
    STDERR = "stderr"


class LogChunk(msgspec.Struct, frozen=True):
    """A piece of a stream.

    ``data`` holds the bytes from the asked offset on, ``next_offset`` is where to go on. ``is_complete`` is True where
    the manager knows that the attempt has ended and nothing follows ``next_offset``. It need not know of an attempt
    that printed nothing, or whose process was killed: whoever knows that an attempt has ended knows that its stream
    is complete where no more data comes.
    """

    data: bytes
    next_offset: int
    is_complete: bool


class ComputeLogManager(ABC):
    """Keeps what each attempt at a step writes to its standard output and standard error."""

    #: False where nothing is kept, so that nobody is told of logs that are not there.
    keeps_logs: bool = True

    @abstractmethod
    def capture(self, run_id: str, step_key: str, attempt: int) -> AbstractContextManager[None]:
        """Return a context in which all that this process and its children print belongs to the attempt."""

    @abstractmethod
    def read(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        stream: LogStream,
        offset: int = 0,
        limit: int = DEFAULT_CHUNK_BYTES,
    ) -> LogChunk:
        """Return up to ``limit`` bytes of a stream from byte ``offset`` on; an attempt without logs reads as empty."""

    def delete(self, run_id: str) -> None:  # noqa: B027 - a manager that keeps nothing has nothing to delete
        """Remove what is kept of a run; a run without logs is no error."""

    def dispose(self) -> None:  # noqa: B027 - most managers hold nothing open
        """Close what the manager holds open."""
