"""What happened in a run: its events by pages or as a stream, and what its steps printed.

How a stream follows a run, and how many may, is event_stream.py.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial

from flask import Response

from orchord.api.event_stream import EVENT_STREAM_TYPE, stream
from orchord.api.models.events import EventBody, EventHeader, EventPage, EventQuery, LogBody, LogQuery
from orchord.api.models.foundation import RequestModel
from orchord.api.models.runs import RunPath
from orchord.api.problems import RETRY_AFTER_SECONDS, ProblemError
from orchord.api.routes.runs import found_run
from orchord.api.routing import JSON_TYPE, Routes
from orchord.api.state import ApiState, api_state, the_instance
from orchord.api.values import Name, RunId
from orchord.compute_logs import LogStream
from orchord.errors import NotFoundError
from orchord.events import StoredEvent
from orchord.runs import AttemptStatus, Run
from orchord.storage import Storage

_EVENTS_ANSWER = {
    "description": "A page of events, or with `follow` a stream of them.",
    "content": {
        JSON_TYPE: {"schema": {"$ref": "#/components/schemas/EventPage"}},
        EVENT_STREAM_TYPE: {},  # a schema would speak of the whole stream, or of one message: readers differ
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
    ended; a client that reconnects with `Last-Event-ID` misses nothing and gets nothing twice. 204: the run has
    ended and nothing follows that position, so that browsers stop reconnecting.
    """
    after = query.after if header.last_event_id is None else header.last_event_id
    run = found_run(path.run_id)
    if query.follow:
        return _followed(run, query, after)
    stored = _page(the_instance().storage, run.run_id, query, after, query.limit + 1)
    shown = stored[: query.limit]
    return EventPage.model_construct(
        items=[EventBody.of(one) for one in shown],
        next_after=shown[-1].id if shown else after,
        has_more=len(stored) > query.limit,
    )


def _page(storage: Storage, run_id: str, query: EventQuery, after: int, limit: int) -> list[StoredEvent]:
    return storage.events.page(run_id, after_id=after, limit=limit, types=query.types or None, step_key=query.step)


def _followed(run: Run, query: EventQuery, after: int) -> Response:
    state = api_state()
    storage = state.instance.storage
    if run.status.is_terminal and not _page(storage, run.run_id, query, after, 1):
        return Response(status=204)
    if not state.holding.take():
        detail = "Too many requests follow or wait for runs already. Try again later, or read the events by pages."
        raise ProblemError(503, "too-many-followers", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})

    def read(after_id: int, limit: int) -> list[StoredEvent]:
        # Outside of the request: the stream goes on when Flask has forgotten it.
        return _page(storage, run.run_id, query, after_id, limit)

    def has_ended() -> bool:
        status = storage.runs.status(run.run_id)
        return status is None or status.is_terminal

    result = Response(_Held(stream(read, after, has_ended, state.holding), state), mimetype=EVENT_STREAM_TYPE)
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
    read = partial(instance.compute_log_manager.read, run.run_id, path.step, attempt, LogStream(query.stream))
    chunk = read(query.offset, query.limit)
    # The status was read before the logs were: what an ended attempt printed is all there.
    has_ended = any(one.attempt == attempt and one.status is not AttemptStatus.RUNNING for one in attempts)
    is_complete = chunk.is_complete or (has_ended and not read(chunk.next_offset, 1).data)
    text, used = decoded(chunk.data, is_last=is_complete)
    return LogBody(
        run_id=run.run_id,
        step_key=path.step,
        attempt=attempt,
        stream=query.stream,
        offset=query.offset,
        text=text,
        next_offset=query.offset + used,
        is_complete=is_complete,
    )


def decoded(data: bytes, *, is_last: bool) -> tuple[str, int]:
    """Return bytes as text, and how many of them it stands for: a character that is cut at the end waits."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_last)
    return text, len(data) - len(decoder.getstate()[0])
