"""The port of compute logs: what every manager does, and the chunk that reading returns.

Redirecting the descriptors is in redirect.py; where the bytes go is each manager's own matter.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from orchord.errors import UnavailableError

if TYPE_CHECKING:
    from orchord.compute_logs.live import LivePages
    from orchord.compute_logs.local import LocalComputeLogManager
    from orchord.compute_logs.streams import StreamName

DEFAULT_CHUNK_BYTES = 1 << 20

logger = logging.getLogger(__name__)


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
    #: What was printed a moment ago on other machines; None where there is nothing of the kind.
    live: LivePages | None = None
    #: How often a running step's file is given to ``keep``, in seconds; None: not before its end.
    upload_interval: float | None = None
    #: Whether ``keep`` takes files elsewhere, so that their live pages can go.
    takes_files: bool = False

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

    def read_live(self, name: StreamName, offset: int, limit: int) -> LogChunk | None:
        """Return what the live pages hold; None when they hold nothing of the stream, or cannot be asked now."""
        if self.live is None:
            return None
        try:
            return self.live.read(name, offset, limit)
        except UnavailableError as error:
            logger.warning("What %s prints now cannot be read: %s", name.step_key, error)
            return None

    def drop_live(self, run_id: str) -> None:
        """Forget the live pages of a run; what cannot be forgotten now goes by its age."""
        if self.live is not None:
            try:
                self.live.drop_run(run_id)
            except UnavailableError as error:
                logger.warning("What run %s printed last is forgotten later: %s", run_id, error)

    def files_to_ship(self) -> LocalComputeLogManager | None:
        """Return who keeps the files that steps of this machine print into; None where there are none to ship."""
        return None

    def keep(self, name: StreamName, path: str, *, is_complete: bool) -> None:  # noqa: B027 - files may stay files
        """Take a file that a step prints into, or printed into, to where logs are kept. Called again after errors."""

    def keep_bytes(self, name: StreamName, data: bytes) -> None:  # noqa: B027 - as above
        """Keep what is known of a stream whose machine is gone, unless its logs are kept already."""

    def delete(self, run_id: str) -> None:  # noqa: B027 - a manager that keeps nothing has nothing to delete
        """Remove what is kept of a run; a run without logs is no error."""

    def dispose(self) -> None:  # noqa: B027 - most managers hold nothing open
        """Close what the manager holds open."""
