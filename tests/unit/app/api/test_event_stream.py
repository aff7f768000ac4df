"""Messages of the stream, where it goes on, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime
from typing import cast

import pytest

from orchord.api.event_stream import PAGE_SIZE, message_of, stream
from orchord.api.state import Holding
from orchord.events import Event, EventType, StoredEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stored(event_id: int, type_: str = "LOG") -> StoredEvent:
    return StoredEvent(event_id, "run", Event(type_, NOW, message="line\none"))


def ids(messages: list[str]) -> list[int]:
    return [int(line[4:]) for message in messages for line in message.split("\n") if line.startswith("id: ")]


def test_a_message_is_one_event_with_its_data_on_one_line() -> None:
    message = message_of(stored(9, "STEP_START"))
    head, data = message.rstrip("\n").split("\n")
    assert head == "id: 9"
    body = json.loads(data.removeprefix("data: "))
    assert (body["id"], body["type"], body["level"], body["message"]) == (9, "STEP_START", "INFO", "line\none")
    assert message.endswith("\n\n")


def test_the_stream_reads_on_from_the_last_event_until_the_end_event() -> None:
    pages = [[stored(3), stored(4)], [], [stored(9), stored(11, EventType.RUN_SUCCESS)]]
    asked: list[int] = []

    def read(after: int, limit: int) -> list[StoredEvent]:
        asked.append(after)
        return pages.pop(0)

    messages = list(stream(read, 2, lambda: False, Holding(1)))
    assert messages[0] == "retry: 1000\n\n"
    assert ids(messages) == [3, 4, 9, 11]
    assert asked == [2, 4, 4]


def test_the_stream_ends_when_the_run_has_ended_and_its_end_event_is_filtered_out() -> None:
    messages = list(stream(lambda after, limit: [stored(1)] if after < 1 else [], 0, lambda: True, Holding(1)))
    assert ids(messages) == [1]


def test_the_stream_does_not_pause_between_full_pages() -> None:
    count = PAGE_SIZE * 2 + 1

    def read(after: int, limit: int) -> list[StoredEvent]:
        return [stored(one) for one in range(after + 1, min(after + limit, count) + 1)]

    holding = Holding(1)
    pauses: list[float] = []
    holding.pause = lambda seconds: bool(pauses.append(seconds))  # type: ignore[method-assign, func-returns-value]
    assert ids(list(stream(read, 0, lambda: True, holding))) == list(range(1, count + 1))
    assert len(pauses) == 1


def test_the_stream_ends_when_the_server_stops() -> None:
    holding = Holding(1)
    holding.stop()
    assert list(stream(lambda after, limit: [], 0, lambda: False, holding)) == ["retry: 1000\n\n"]


def test_a_quiet_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchord.api.event_stream.KEEP_ALIVE_SECONDS", 0.0)
    messages = cast("Generator[str]", stream(lambda after, limit: [], 0, lambda: False, Holding(1)))
    assert [next(messages), next(messages)] == ["retry: 1000\n\n", ": keep-alive\n\n"]
    messages.close()
