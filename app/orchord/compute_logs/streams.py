"""What identifies one stream of one attempt, and the bounds of what is kept of it.

Where a stream's bytes are kept is each manager's own matter; while it grows, that is local.py and live.py.
"""

from __future__ import annotations

import os
from typing import Self

import msgspec

from orchord.compute_logs.manager import LogStream
from orchord.errors import NotFoundError

#: How much is kept of each stream, in bytes, unless the instance file says otherwise.
DEFAULT_MAX_BYTES = 50 * 1024 * 1024

SUFFIXES = {LogStream.STDOUT: "out", LogStream.STDERR: "err"}
_STREAMS = {suffix: stream for stream, suffix in SUFFIXES.items()}


class StreamName(msgspec.Struct, frozen=True):
    """One stream of one attempt."""

    run_id: str
    step_key: str
    attempt: int
    stream: LogStream

    @property
    def file_name(self) -> str:
        """The name of its file or object, within its run's."""
        return f"{self.step_key}.{self.attempt}.{SUFFIXES[self.stream]}"

    @classmethod
    def of_path(cls, path: str) -> Self | None:
        """Return the stream that a file of the layout ``<run id>/<step key>.<attempt>.<suffix>`` belongs to."""
        folder, file_name = os.path.split(path)
        step_key, _, rest = file_name.rpartition(".")
        step_key, _, attempt = step_key.rpartition(".")
        run_id = os.path.basename(folder)
        if rest not in _STREAMS or not attempt.isdecimal() or not step_key or not run_id:
            return None
        return cls(run_id, step_key, int(attempt), _STREAMS[rest])


def checked_names(run_id: str, step_key: str) -> None:
    """Refuse names that would lead out of a run's folder.

    Raises:
        NotFoundError: there cannot be logs under such a name.
    """
    for name in (run_id, step_key):
        if not name or "/" in name or os.sep in name or "\0" in name or name in (".", ".."):
            raise NotFoundError(f"No compute logs are kept for run {run_id!r}, step {step_key!r}.")


def cut_mark(dropped_bytes: int, max_bytes: int) -> bytes:
    """Return the line that stands where a stream was cut."""
    return (
        f"\n[orchord] Cut here: {dropped_bytes:,} further bytes were printed; "
        f"at most {max_bytes:,} bytes of a stream are kept.\n"
    ).encode()


def left_out_mark(left_out_bytes: int) -> bytes:
    """Return the line that stands for what a reader asked for and nobody has any more."""
    return f"\n[orchord] Left out here: {left_out_bytes:,} bytes, which are not kept where they can be read.\n".encode()
