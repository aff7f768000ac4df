"""The port of live pages: where lines that a step has just printed are seen from other machines.

A shipper (shipping.py) writes what appears in the local files; every manager reads from here what is neither in a
file of this machine nor in its store. The implementation lives in the workers' package, and is loaded by its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from orchord.compute_logs.manager import LogChunk
from orchord.compute_logs.streams import StreamName


class LiveWrite(msgspec.Struct, frozen=True):
    """Bytes that stand in a stream from ``offset`` on; ``is_complete``: nothing follows them."""

    name: StreamName
    offset: int
    data: bytes
    is_complete: bool = False


class LivePages(ABC):
    """Holds the last part of each stream that is written now, or was a short while ago.

    Every method raises ``UnavailableError`` when the pages cannot be reached; no step waits for them.
    """

    @property
    def shows_other_machines(self) -> bool:
        """Whether anything is ever seen here."""
        return True

    @abstractmethod
    def write(self, writes: Sequence[LiveWrite]) -> None:
        """Store pieces. The same piece may be written again: a place in a stream has one content."""

    @abstractmethod
    def read(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return up to ``limit`` bytes; None when nothing is known of the stream.

        Where the asked bytes are no longer here, ``next_offset`` is the first that is, and ``data`` says so.
        """

    @abstractmethod
    def drop(self, names: Sequence[StreamName]) -> None:
        """Forget streams: what was in them is kept elsewhere."""

    @abstractmethod
    def drop_run(self, run_id: str) -> None:
        """Forget every stream of a run."""

    @abstractmethod
    def of_run(self, run_id: str) -> list[StreamName]:
        """Return the streams of a run that something is known of."""

    def dispose(self) -> None:  # noqa: B027 - most hold nothing open
        """Give back connections."""
