"""A compute log manager that keeps nothing: the steps' output goes where the process's output goes.

For services whose output somebody else collects. What keeps it is local.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchord.compute_logs.manager import DEFAULT_CHUNK_BYTES, ComputeLogManager, LogChunk, LogStream


class NoOpComputeLogManager(ComputeLogManager):
    """Leaves the output of steps alone."""

    keeps_logs = False

    @contextmanager
    def capture(self, run_id: str, step_key: str, attempt: int) -> Iterator[None]:
        """Capture nothing."""
        yield

    def read(
        self,
        run_id: str,
        step_key: str,
        attempt: int,
        stream: LogStream,
        offset: int = 0,
        limit: int = DEFAULT_CHUNK_BYTES,
    ) -> LogChunk:
        """Return an empty, complete chunk."""
        return LogChunk(b"", offset, True)
