"""Server-Sent Events of what a step prints: each line soon after it was printed, until the attempt has ended.

A message's ``id`` says up to where both streams have been sent, so that a client that reconnects goes on there. What
is read, and when an attempt is over, is instance/printed.py; the stream of a run's events is event_stream.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping

from orchord.api.models.events import LogEnd, LogPiece
from orchord.api.state import Holding
from orchord.compute_logs import LogStream
from orchord.instance.printed import FollowedOutput

# Lines come in pieces of the shipper's (compute_logs/shipping.py): to look more often would cost much and show little.
FIRST_PAUSE_SECONDS = 0.15
LONGEST_PAUSE_SECONDS = 0.25
KEEP_ALIVE_SECONDS = 15.0
POSITION = re.compile(r"(\d{1,9})-(\d{1,18})-(\d{1,18})")


def position_of(attempt: int, offsets: Mapping[LogStream, int]) -> str:
    """Return up to where an attempt's streams have been sent: ``attempt-stdout-stderr``."""
    return f"{attempt}-{offsets.get(LogStream.STDOUT, 0)}-{offsets.get(LogStream.STDERR, 0)}"


def read_position(text: str) -> tuple[int, dict[LogStream, int]]:
    """Return the attempt and the offsets that a message's id names. The request's model has checked its form."""
    found = POSITION.fullmatch(text)
    assert found is not None, "checked by the model"
    attempt, stdout, stderr = map(int, found.groups())
    return attempt, {LogStream.STDOUT: stdout, LogStream.STDERR: stderr}


def log_stream(wait: Callable[[], FollowedOutput | None], holding: Holding) -> Iterator[str]:
    """Yield messages until the attempt has ended and all that it printed is sent.

    Args:
        wait: returns the attempt's output once there is one; None while there is none; raises LookupError when there
            will be none.
        holding: tells when the server stops.
    """
    yield "retry: 1000\n\n"
    pause, last_word = FIRST_PAUSE_SECONDS, time.monotonic()
    output: FollowedOutput | None = None
    while True:
        started = time.monotonic()
        text = ""
        if output is None:
            try:
                output = wait()
            except LookupError:
                yield "event: end\ndata: {}\n\n"
                return
        if output is not None:
            number, sent = output.attempt.attempt, dict(output.offsets)
            for piece in output.read():
                sent[piece.stream] = piece.next_offset
                body = LogPiece.model_construct(
                    attempt=number, stream=piece.stream.value, offset=piece.offset, text=piece.text
                )
                text += f"event: output\nid: {position_of(number, sent)}\ndata: {body.model_dump_json()}\n\n"
        now = time.monotonic()
        if text:
            yield text
            pause, last_word = FIRST_PAUSE_SECONDS, now
        elif now - last_word >= KEEP_ALIVE_SECONDS:
            yield ": keep-alive\n\n"
            last_word = now
        if output is not None and output.is_over:
            status = output.attempt.status.value
            end = LogEnd.model_construct(attempt=output.attempt.attempt, status=status)
            yield f"event: end\nid: {position_of(end.attempt, output.offsets)}\ndata: {end.model_dump_json()}\n\n"
            return
        if holding.pause(max(pause, now - started)):
            return
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
