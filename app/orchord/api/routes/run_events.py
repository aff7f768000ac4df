"""What happened in a run: its events by pages or as a stream, and what its steps printed."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response

from orchord.api.event_feed import EventFeed
from orchord.api.event_stream import EVENT_STREAM_TYPE, Position, stream
from orchord.api.models.events import EventBody, EventHeader, EventPage, EventQuery, LogBody, LogQuery
from orchord.api.models.foundation import RequestModel
from orchord.api.models.runs import RunPath
from orchord.api.problems import ProblemError
from orchord.api.routes.runs import found_run
from orchord.api.routing import JSON_TYPE, Routes
from orchord.api.state import ApiState, api_state, the_instance
from orchord.api.values import Name, RunId
from orchord.compute_logs import LogStream
from orchord.errors import NotFoundError
from orchord.events import StoredEvent
from orchord.runs import Run

#: How much later than a higher id an event may be committed on an engine with several writers.
SETTLE_SECONDS = 2.0

_EVENTS_ANSWER = {
    "description": "A page of events, or with `follow` a stream of them.",
    "content": {
        JSON_TYPE: {"schema": {"$ref": "#/components/schemas/EventPage"}},
        EVENT_STREAM_TYPE: {"schema": {"type": "string"}},
    },
}


routes = Routes("run events", "What happened in a run, and what its steps printed.")


class StepPath(RequestModel):
    """One step of one run."""

    run_id: RunId
    step: Name


@routes.get("/runs/<run_id>/events", {200: _EVENTS_ANSWER, 204: None})
def read_run_events(path: RunPath, query: EventQuery, header: EventHeader) -> EventPage | Response:
    """Read the events of a run by pages, or follow them.

    With `follow=true` the answer is a stream of Server-Sent Events, one message for each event, until the run has
    ended. A client that reconnects with `Last-Event-ID` misses nothing; an event that had a lower id and was
    committed later may come after its neighbours, and around a reconnection an event may come twice: `id` in the
    data tells. 204: the run has ended and nothing follows that position, so that browsers stop reconnecting.
    """
    run = found_run(path.run_id)
    if query.follow:
        return _followed(run, query, header)
    position = Position.parse(header.last_event_id) if header.last_event_id else None
    after = position.after if position else query.after
    stored = the_instance().storage.events.page(
        run.run_id, after_id=after, limit=query.limit + 1, types=query.types or None, step_key=query.step
    )
    shown = stored[: query.limit]
    return EventPage.model_construct(
        items=[EventBody.of(one) for one in shown],
        next_after=shown[-1].id if shown else after,
        has_more=len(stored) > query.limit,
    )


def _followed(run: Run, query: EventQuery, header: EventHeader) -> Response:
    state = api_state()
    position = Position.parse(header.last_event_id) if header.last_event_id else Position(query.after)
    assert position is not None  # The header's pattern holds.
    storage, run_id = state.instance.storage, run.run_id

    def read(after_id: int, limit: int) -> list[StoredEvent]:
        return storage.events.page(
            run_id, after_id=after_id, limit=limit, types=query.types or None, step_key=query.step
        )

    def has_ended() -> bool:
        now = storage.runs.get(run_id)
        return now is None or now.status.is_terminal

    has_settled = run.status.is_terminal
    if has_settled and not [one for one in read(position.after, 2) if one.id != position.sent]:
        return Response(status=204)
    if not state.holding.take():
        detail = "Too many requests follow or wait for runs already. Try again later, or read the events by pages."
        raise ProblemError(503, "too-many-followers", detail, headers={"Retry-After": "5"})
    feed = EventFeed(read, position.after, sent=position.sent, settle_seconds=0.0 if has_settled else SETTLE_SECONDS)
    result = Response(_Held(stream(feed, has_ended, state.holding), state), mimetype=EVENT_STREAM_TYPE)
    result.headers["Cache-Control"] = "no-store"
    result.headers["X-Accel-Buffering"] = "no"
    return result


class _Held:
    """A stream that gives its place back when it ends or the client goes, also if it was never begun."""

    def __init__(self, messages: Iterator[str], state: ApiState) -> None:
        self._messages = messages
        self._state: ApiState | None = state

    def __iter__(self) -> Iterator[str]:
        return self._messages

    def close(self) -> None:
        """Give the place back, once. Called by the server for every answer."""
        if self._state is not None:
            self._state.holding.give_back()
            self._state = None


@routes.get("/runs/<run_id>/logs/<step>", {200: LogBody})
def read_run_log(path: StepPath, query: LogQuery) -> LogBody:
    """Read what a step wrote to its standard output or standard error, in pieces, also while it runs."""
    run = found_run(path.run_id)
    instance = the_instance()
    attempts = [one for one in instance.storage.attempts.of_run(run.run_id) if one.step_key == path.step]
    if not attempts:
        raise NotFoundError(f"Step '{path.step}' has not run in run '{run.run_id}'.")
    attempt = query.attempt or max(one.attempt for one in attempts)
    if attempt not in {one.attempt for one in attempts}:
        raise NotFoundError(f"Step '{path.step}' has no attempt {attempt}; it has {len(attempts)}.")
    chunk = instance.compute_log_manager.read(
        run.run_id, path.step, attempt, LogStream(query.stream), query.offset, query.limit
    )
    data = chunk.data if chunk.is_complete else chunk.data[: _whole_characters(chunk.data)]
    return LogBody(
        run_id=run.run_id,
        step_key=path.step,
        attempt=attempt,
        stream=query.stream,
        offset=query.offset,
        text=data.decode("utf-8", errors="replace"),
        next_offset=query.offset + len(data),
        is_complete=chunk.is_complete,
    )


def _whole_characters(data: bytes) -> int:
    """Return the length of ``data`` without a UTF-8 character that is cut at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(data) - back if needed > back else len(data)
    return len(data)
