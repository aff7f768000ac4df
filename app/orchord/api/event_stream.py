"""Server-Sent Events: the events of a run as lines, while they are written, until the run has ended.

A message's ``id`` is the event's, and the position from which a client that reconnects goes on. That no event with a
lower id appears later is storage's promise (``events.page``). The waiting thread's place is in state.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from orchord.api.models.events import EventBody
from orchord.api.state import Holding
from orchord.events import EventType, StoredEvent

EVENT_STREAM_TYPE = "text/event-stream"
PAGE_SIZE = 500
KEEP_ALIVE_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.25
RUN_END_TYPES = frozenset({EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED})

#: Reads up to ``limit`` events with ids above ``after_id``, in the order of their ids.
ReadPage = Callable[[int, int], Sequence[StoredEvent]]


def message_of(stored: StoredEvent) -> str:
    """Return one event as one message of the stream."""
    return f"id: {stored.id}\ndata: {EventBody.of(stored).model_dump_json()}\n\n"


def stream(read: ReadPage, after: int, has_ended: Callable[[], bool], holding: Holding) -> Iterator[str]:
    """Yield messages until the run's end event, or until the run has ended and nothing is left to tell.

    Args:
        read: reads one page.
        after: events up to this id are left out.
        has_ended: whether the run has a final status, or is gone.
        holding: tells when the server stops.
    """
    yield "retry: 1000\n\n"
    pause, last_word = FIRST_PAUSE_SECONDS, time.monotonic()
    while True:
        started = time.monotonic()
        # Asked before the page is read: what a run that has ended wrote is on the page, or was before.
        is_over = has_ended()
        page = read(after, PAGE_SIZE)
        if page:
            yield "".join(message_of(stored) for stored in page)
            after = page[-1].id
        if any(stored.event.type in RUN_END_TYPES for stored in page) or (is_over and not page):
            return
        now = time.monotonic()
        if page:
            pause, last_word = FIRST_PAUSE_SECONDS, now
        elif now - last_word >= KEEP_ALIVE_SECONDS:
            yield ": keep-alive\n\n"
            last_word = now
        if len(page) == PAGE_SIZE:
            continue
        # A read that takes long is made less often.
        if holding.pause(max(pause, now - started)):
            return
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
