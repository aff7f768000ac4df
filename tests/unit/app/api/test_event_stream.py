"""Messages of the stream, the positions in them, and when the stream ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from orchord.api.event_feed import EventFeed
from orchord.api.event_stream import Position, message_of, position_text, stream
from orchord.api.state import Holding
from orchord.events import Event, EventType, StoredEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stored(event_id: int, type_: str = "LOG") -> StoredEvent:
    return StoredEvent(event_id, "run", Event(type_, NOW, message="line\none"))


def ids(messages: list[str]) -> list[str]:
    return [line[4:] for message in messages for line in message.split("\n") if line.startswith("id: ")]


@pytest.mark.parametrize(
    ("text", "position"),
    [("0", Position(0)), ("7", Position(7)), ("7.0", Position(7)), ("7.3", Position(4, 7)), ("7.7", Position(0, 7))],
)
def test_a_position_is_read(text: str, position: Position) -> None:
    assert Position.parse(text) == position


@pytest.mark.parametrize("text", ["", "x", "-1", "7.8", "1.2.3", "99999999999999999999", "9223372036854775808", "٣"])
def test_what_is_no_position_is_refused(text: str) -> None:
    assert Position.parse(text) is None


@pytest.mark.parametrize(("event_id", "low"), [(9, 4), (9, 9), (9, 12), (1, 0)])
def test_a_position_never_goes_on_behind_an_event_that_was_not_sent(event_id: int, low: int) -> None:
    position = Position.parse(position_text(event_id, low))
    assert position is not None
    assert position.after == min(event_id, low)


def test_a_message_is_one_event_with_its_data_on_one_line() -> None:
    message = message_of(stored(9, "STEP_START"), low=4)
    head, data = message.rstrip("\n").split("\n")
    assert head == "id: 9.5"
    body = json.loads(data.removeprefix("data: "))
    assert (body["id"], body["type"], body["level"], body["message"]) == (9, "STEP_START", "INFO", "line\none")
    assert message.endswith("\n\n")


def test_the_stream_ends_after_the_end_event_and_brings_what_came_late() -> None:
    reads = [[stored(1), stored(3, EventType.RUN_SUCCESS)], [stored(1), stored(2), stored(3, EventType.RUN_SUCCESS)]]
    feed = EventFeed(lambda after, limit: reads.pop(0), 0)
    messages = list(stream(feed, lambda: False, Holding(1)))
    assert messages[0] == "retry: 1000\n\n"
    assert ids(messages) == ["1.1", "3.3", "2.2"]


def test_the_stream_ends_when_the_run_has_ended_and_its_end_event_is_filtered_out() -> None:
    feed = EventFeed(lambda after, limit: [stored(1)] if after < 1 else [], 0, settle_seconds=0.0)
    assert ids(list(stream(feed, lambda: True, Holding(1)))) == ["1"]


def test_the_stream_ends_when_the_server_stops() -> None:
    holding = Holding(1)
    holding.stop()
    feed = EventFeed(lambda after, limit: [], 0)
    assert list(stream(feed, lambda: False, holding)) == ["retry: 1000\n\n"]


def test_a_quiet_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchord.api.event_stream.KEEP_ALIVE_SECONDS", 0.0)
    feed = EventFeed(lambda after, limit: [], 0)
    messages = stream(feed, lambda: False, Holding(1))
    assert [next(messages), next(messages)] == ["retry: 1000\n\n", ": keep-alive\n\n"]
    messages.close()  # type: ignore[attr-defined]
