"""Live pages in memory, for tests of what ships logs and of what reads them.

The real ones are orchord_workers.live_pages; tests/contract holds both to the port.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchord.compute_logs.live import LivePages, LiveWrite
from orchord.compute_logs.manager import LogChunk
from orchord.compute_logs.streams import StreamName, left_out_mark
from orchord.errors import UnavailableError


class MemoryLivePages(LivePages):
    """Holds streams in this process.

    Args:
        window_bytes: how much of each stream is held.

    ``is_away`` makes every method fail, as when the server does not answer.
    """

    def __init__(self, window_bytes: int = 1 << 30) -> None:
        self._window_bytes = window_bytes
        # Where what is held begins, what is held, and whether nothing follows it.
        self._streams: dict[StreamName, tuple[int, bytearray, bool]] = {}
        self.is_away = False

    def write(self, writes: Sequence[LiveWrite]) -> None:
        """Store pieces."""
        self._check()
        for write in writes:
            began, data, _ = self._streams.get(write.name, (write.offset, bytearray(), False))
            if write.offset < began:
                began, data = write.offset, bytearray()
            place = write.offset - began
            data[place : place + len(write.data)] = write.data
            self._streams[write.name] = (began, data, write.is_complete)

    def read(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return up to ``limit`` bytes; None when nothing is known of the stream."""
        self._check()
        if name not in self._streams:
            return None
        began, data, is_complete = self._streams[name]
        first = max(began, began + len(data) - self._window_bytes)
        if offset < first:
            return LogChunk(left_out_mark(first - offset), first, False)
        piece = bytes(data[offset - began : offset - began + limit])
        return LogChunk(piece, offset + len(piece), is_complete and offset + len(piece) >= began + len(data))

    def drop(self, names: Sequence[StreamName]) -> None:
        """Forget streams."""
        self._check()
        for name in names:
            self._streams.pop(name, None)

    def drop_run(self, run_id: str) -> None:
        """Forget every stream of a run."""
        self.drop(self.of_run(run_id))

    def of_run(self, run_id: str) -> list[StreamName]:
        """Return the streams of a run that something is known of."""
        self._check()
        return sorted((name for name in self._streams if name.run_id == run_id), key=lambda name: name.file_name)

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError("The live pages do not answer.")
