"""Server-Sent Events: the events of a run as lines, with positions to resume from, until the run has ended.

The position is the ``id`` of a message: the event's own id, and after a dot how far below it the stream would go on,
so that an event that was committed late is not lost by a client that reconnects. Which events are due is decided in
event_feed.py; the waiting thread's place is in state.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchord.api.event_feed import EventFeed
from orchord.api.models.events import EventBody
from orchord.api.state import Holding
from orchord.api.values import MAX_INTEGER
from orchord.events import EventType, StoredEvent

EVENT_STREAM_TYPE = "text/event-stream"
KEEP_ALIVE_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
RUN_END_TYPES = frozenset({EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED})

_POSITION = re.compile(r"^([0-9]{1,19})(?:\.([0-9]{1,19}))?$")


class Position(NamedTuple):
    """Where a stream goes on: after ``after``, without the event ``sent``, which the client has."""

    after: int
    sent: int | None = None

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Read what ``Last-Event-ID`` holds; None when it is not one of our positions."""
        match = _POSITION.match(text)
        if match is None:
            return None
        own, behind = int(match[1]), int(match[2] or 0)
        if own > MAX_INTEGER or behind > own:
            return None
        return cls(own - behind, own if behind else None)


def position_text(event_id: int, low: int) -> str:
    """Write the position that a client has reached with this event."""
    return f"{event_id}.{event_id - low}" if event_id > low else str(event_id)


def message_of(stored: StoredEvent, low: int) -> str:
    """Return one event as one message of the stream."""
    return f"id: {position_text(stored.id, low)}\ndata: {EventBody.of(stored).model_dump_json()}\n\n"


def stream(feed: EventFeed, has_ended: Callable[[], bool], holding: Holding) -> Iterator[str]:
    """Yield messages until the run's end event, or until the run has ended and nothing is left to tell.

    Args:
        feed: the events.
        has_ended: whether the run has a final status, or is gone. Asked only when no event is due.
        holding: tells when the server stops.
    """
    yield "retry: 1000\n\n"
    pause, quiet_since = FIRST_PAUSE_SECONDS, time.monotonic()
    while True:
        started = time.monotonic()
        fresh = feed.poll(started)
        yield from (message_of(stored, feed.low) for stored in fresh)
        if any(stored.event.type in RUN_END_TYPES for stored in fresh) or (not fresh and has_ended()):
            # All that the run wrote is committed by now, whatever its ids.
            yield from (message_of(stored, feed.low) for stored in feed.poll(time.monotonic()))
            return
        now = time.monotonic()
        if fresh:
            pause, quiet_since = FIRST_PAUSE_SECONDS, now
        elif now - quiet_since >= KEEP_ALIVE_SECONDS:
            yield ": keep-alive\n\n"
            quiet_since = now
        # A read that takes long is made less often.
        if holding.pause(max(pause, now - started)):
            return
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
