"""Events as the API shows them: single ones (also the data of a stream's messages), and pages of them.

What is told of each type of event is the event's own data; how a stream follows is event_stream.py.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from orchord.api.models.foundation import AnswerModel, HeaderModel, JsonObject, RequestModel
from orchord.api.values import Name, RowId, RunId
from orchord.events import EventType, StoredEvent

LevelName = str


class EventBody(AnswerModel):
    """One thing that happened in a run."""

    id: int = Field(description="Grows with time; the position for `after`.")
    run_id: str | None = Field(description="Null for what was reported without a run.")
    type: str = Field(description="Such as STEP_SUCCESS; LOG for a line of user code's log.")
    timestamp: datetime
    level: LevelName = Field(description="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    message: str
    step_key: str | None
    asset_key: str | None
    data: JsonObject = Field(description="What belongs to the type, such as metadata or the error.")

    @classmethod
    def of(cls, stored: StoredEvent) -> EventBody:
        """Return a stored event as a body."""
        event = stored.event
        return cls(
            id=stored.id,
            run_id=stored.run_id or None,
            type=event.type,
            timestamp=event.timestamp,
            level=logging.getLevelName(event.level),
            message=event.message,
            step_key=event.step_key,
            asset_key=event.asset_key,
            data=event.data,
        )


class EventPage(AnswerModel):
    """Events of a run, by id."""

    items: list[EventBody]
    next_after: int = Field(description="Give this as `after` for what follows, also for what is yet to happen.")
    has_more: bool = Field(description="Whether more events exist already.")


class EventQuery(RequestModel):
    """Which events of a run are asked for, and whether to stay for those to come."""

    after: RowId = Field(default=0, description="Only events with a higher id.")
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(default=100, description="At most so many (not with follow).")
    types: list[EventType] = Field(default=[], description="Only events of these types.")
    step: Name | None = Field(default=None, description="Only events of this step.")
    follow: bool = Field(
        default=False, description="Answer with Server-Sent Events until the run has ended; `limit` does not apply."
    )


class EventHeader(HeaderModel):
    """Where a client that reconnects to the stream goes on."""

    last_event_id: RowId | None = Field(
        default=None, alias="Last-Event-ID", description="The id of the last message received; overrides `after`."
    )


class LogQuery(RequestModel):
    """Which part of a step's captured output is asked for."""

    stream: Literal["stdout", "stderr"] | None = Field(
        default=None, description="Default: stdout; with `follow`, both streams."
    )
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(default=None, description="Default: the last.")
    offset: RowId = Field(default=0, description="In bytes.")
    limit: Annotated[int, Field(ge=4, le=4_194_304)] = Field(default=1_048_576, description="At most so many bytes.")
    follow: bool = Field(
        default=False, description="Answer with Server-Sent Events until the attempt has ended; `limit` does not apply."
    )


class LogHeader(HeaderModel):
    """Where a client that reconnects to the stream of a step's output goes on."""

    last_event_id: Annotated[str, Field(pattern=r"^\d{1,9}-\d{1,18}-\d{1,18}$")] | None = Field(
        default=None, alias="Last-Event-ID", description="The id of the last message received; overrides `offset`."
    )


class LogPiece(AnswerModel):
    """The data of one message of the stream: new text of one of the two streams."""

    attempt: int
    stream: Literal["stdout", "stderr"]
    offset: int = Field(description="The text's first byte within its stream.")
    text: str


class LogEnd(AnswerModel):
    """The data of the stream's last message."""

    attempt: int
    status: str


class LogBody(AnswerModel):
    """A part of what one attempt at a step wrote."""

    run_id: RunId
    step_key: str
    attempt: int
    stream: Literal["stdout", "stderr"]
    offset: int
    text: str = Field(description="Decoded as UTF-8; never cut within a character.")
    next_offset: int = Field(description="Give this as `offset` for what follows.")
    is_complete: bool = Field(description="Whether the attempt has ended and this is all.")
