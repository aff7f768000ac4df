"""What happened in a run: its events by pages or as a stream, and what its steps printed.

How a stream follows a run, and how many may, is event_stream.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from flask import Response

from orchord.api.event_stream import EVENT_STREAM_TYPE, stream
from orchord.api.log_stream import log_stream, read_position
from orchord.api.models.events import EventBody, EventHeader, EventPage, EventQuery, LogBody, LogHeader, LogQuery
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
from orchord.instance.printed import BOTH_STREAMS, FollowedOutput, decoded, has_settled
from orchord.runs import Attempt, AttemptStatus, Run
from orchord.storage import Storage

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

_EVENTS_ANSWER = {
    "description": "A page of events, or with `follow` a stream of them.",
    "content": {
        JSON_TYPE: {"schema": {"$ref": "#/components/schemas/EventPage"}},
        EVENT_STREAM_TYPE: {},  # a schema would speak of the whole stream, or of one message: readers differ
    },
}


_LOG_ANSWER = {
    "description": "A part of what the step printed, or with `follow` a stream of it.",
    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/LogBody"}}, EVENT_STREAM_TYPE: {}},
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

    def read(after_id: int, limit: int) -> list[StoredEvent]:
        # Outside of the request: the stream goes on when Flask has forgotten it.
        return _page(storage, run.run_id, query, after_id, limit)

    def has_ended() -> bool:
        status = storage.runs.status(run.run_id)
        return status is None or status.is_terminal

    return _streamed(lambda: stream(read, after, has_ended, state.holding), state)


def _streamed(begin: Callable[[], Iterator[str]], state: ApiState) -> Response:
    if not state.holding.take():
        detail = "Too many requests follow or wait for runs already. Try again later, or read by pages."
        raise ProblemError(503, "too-many-followers", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    result = Response(_Held(begin(), state), mimetype=EVENT_STREAM_TYPE)
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


@routes.get("/runs/<run_id>/logs/<step>", {200: _LOG_ANSWER, 204: None})
def read_run_log(path: StepPath, query: LogQuery, header: LogHeader) -> LogBody | Response:
    """Read what a step wrote to its standard output or standard error, in pieces or as it is written.

    With `follow=true` the answer is a stream of Server-Sent Events: messages `output`, each with new text of one of
    the streams, and at the attempt's end one message `end`. A client that reconnects with `Last-Event-ID` misses
    nothing and gets nothing twice. A step that has not begun is waited for. 204: all has been sent already.
    """
    run = found_run(path.run_id)
    if query.follow:
        return _followed_log(run, path.step, query, header.last_event_id)
    instance = the_instance()
    one = _found_attempt(instance, run, path.step, query.attempt)
    stream_name = query.stream or "stdout"
    read = partial(instance.compute_log_manager.read, run.run_id, path.step, one.attempt, LogStream(stream_name))
    chunk = read(query.offset, query.limit)
    # The status was read before the logs were: what an ended attempt printed is all there.
    is_complete = chunk.is_complete or (has_settled(instance, one) and not read(chunk.next_offset, 1).data)
    text, used = decoded(chunk.data, is_last=is_complete)
    return LogBody(
        run_id=run.run_id,
        step_key=path.step,
        attempt=one.attempt,
        stream=stream_name,
        offset=query.offset,
        text=text,
        next_offset=chunk.next_offset - (len(chunk.data) - used),
        is_complete=is_complete,
    )


def _found_attempt(instance: OrchordInstance, run: Run, step_key: str, number: int | None) -> Attempt:
    attempts = [one for one in instance.storage.attempts.of_run(run.run_id) if one.step_key == step_key]
    if not attempts:
        raise NotFoundError(f"Step '{step_key}' has not run in run '{run.run_id}'.")
    if number is None:
        return max(attempts, key=lambda one: one.attempt)
    for one in attempts:
        if one.attempt == number:
            return one
    raise NotFoundError(f"Step '{step_key}' has no attempt {number}; it has {len(attempts)}.")


def _followed_log(run: Run, step_key: str, query: LogQuery, last_event_id: str | None) -> Response:
    state = api_state()
    instance = state.instance
    streams = BOTH_STREAMS if query.stream is None else (LogStream(query.stream),)
    number, offsets = query.attempt, dict.fromkeys(streams, query.offset)
    if last_event_id is not None:
        number, offsets = read_position(last_event_id)

    def wait() -> FollowedOutput | None:
        # Asked before the attempt is looked for: what a run that has ended began is there.
        status = instance.storage.runs.status(run.run_id)
        try:
            one = _found_attempt(instance, run, step_key, number)
        except NotFoundError:
            if status is None or status.is_terminal:
                raise LookupError(step_key) from None
            return None
        return FollowedOutput(instance, one, streams, offsets)

    try:
        output = wait()
    except LookupError:
        raise NotFoundError(f"Step '{step_key}' has not run in run '{run.run_id}'.") from None
    if (
        output is None
        and instance.job_snapshot(run.job_snapshot_id).plan.by_key.get(step_key.partition("[")[0]) is None
    ):
        raise NotFoundError(f"Job '{run.job_name}' has no step '{step_key}'.")
    if last_event_id is not None and output is not None and output.attempt.status is not AttemptStatus.RUNNING:
        is_news = output.read()
        if not is_news and output.is_over:
            return Response(status=204)
    return _streamed(lambda: log_stream(wait, state.holding), state)
