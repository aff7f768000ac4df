"""Following what one attempt prints, on whichever machine, until it has ended and all of it has been read.

Where the bytes come from is the compute log manager's matter; how they are shown is api/log_stream.py's and the CLI's.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from orchord.compute_logs import LogStream
from orchord.events import utc_now
from orchord.runs import Attempt, AttemptStatus

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

BOTH_STREAMS = (LogStream.STDOUT, LogStream.STDERR)
PIECE_BYTES = 256 * 1024
#: What an attempt of another machine printed last may still be on its way for so long after its end.
SETTLE_SECONDS = 3.0
#: How often the attempt itself is looked at while it prints.
STATUS_SECONDS = 1.0


class Piece(msgspec.Struct, frozen=True):
    """New text of a stream: it begins at byte ``offset`` and ends before byte ``next_offset``."""

    stream: LogStream
    text: str
    offset: int
    next_offset: int


class FollowedOutput:
    """What one attempt prints, each byte once.

    Args:
        instance: where the attempt is known, and its logs.
        attempt: the attempt as it stands.
        streams: which of its streams.
        offsets: where to begin in each; by default at its first byte.
    """

    def __init__(
        self,
        instance: OrchordInstance,
        attempt: Attempt,
        streams: Sequence[LogStream] = BOTH_STREAMS,
        offsets: Mapping[LogStream, int] | None = None,
    ) -> None:
        self._instance = instance
        self.attempt = attempt
        self.offsets = {stream: (offsets or {}).get(stream, 0) for stream in streams}
        self._complete: set[LogStream] = set()
        self._looked_at = time.monotonic()
        self.is_over = False

    def read(self) -> list[Piece]:
        """Return what is new; ``is_over`` tells whether more can come."""
        may_be_over = self._may_be_over()
        pieces: list[Piece] = []
        for stream in self.offsets:
            if stream not in self._complete:
                pieces += self._read(stream, is_last=may_be_over)
        has_ended = self.attempt.status is not AttemptStatus.RUNNING
        if (has_ended and len(self._complete) == len(self.offsets)) or (may_be_over and not pieces):
            self.is_over = True
        if not pieces and not self.is_over:
            self._look()
        return pieces

    def _read(self, stream: LogStream, *, is_last: bool) -> list[Piece]:
        one, offset = self.attempt, self.offsets[stream]
        chunk = self._instance.compute_log_manager.read(
            one.run_id, one.step_key, one.attempt, stream, offset, PIECE_BYTES
        )
        is_whole = chunk.is_complete or (is_last and len(chunk.data) < PIECE_BYTES)
        text, used = decoded(chunk.data, is_last=is_whole)
        # A place that nobody has any more is skipped over; a character that is cut at the end is not.
        self.offsets[stream] = next_offset = chunk.next_offset - (len(chunk.data) - used)
        if chunk.is_complete:
            self._complete.add(stream)
        return [Piece(stream, text, offset, next_offset)] if text else []

    def _may_be_over(self) -> bool:
        """Return whether all that the attempt printed can be read by now. Asked before anything is read."""
        if self.attempt.status is AttemptStatus.RUNNING and time.monotonic() - self._looked_at >= STATUS_SECONDS:
            self._look()
        return has_settled(self._instance, self.attempt)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self.attempt.status is AttemptStatus.RUNNING:
            one = self.attempt
            found = self._instance.storage.attempts.find(one.run_id, one.step_key, one.attempt)
            if found is None:
                # The run was deleted.
                self.is_over = True
            else:
                self.attempt = found


def has_settled(instance: OrchordInstance, attempt: Attempt) -> bool:
    """Return whether an attempt has ended, and so long ago that what it printed last has arrived here."""
    if attempt.status is AttemptStatus.RUNNING:
        return False
    manager = instance.compute_log_manager
    live, files = manager.live, manager.files_to_ship()
    is_of_this_machine = files is not None and files.has_files_of(attempt.worker_id)
    if is_of_this_machine or live is None or not live.shows_other_machines or attempt.ended_at is None:
        return True
    return utc_now() - attempt.ended_at > timedelta(seconds=SETTLE_SECONDS)


def decoded(data: bytes, *, is_last: bool) -> tuple[str, int]:
    """Return bytes as text, and how many of them it stands for: a character that is cut at the end waits."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_last)
    return text, len(data) - len(decoder.getstate()[0])
