"""When a tick worker's pool grows and shrinks, by what its parent process sees."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from celery.worker import state

from orchord_workers.ticks import room
from orchord_workers.ticks.room import RoomForOthers


class Pool:
    def __init__(self) -> None:
        self.num_processes = 2

    def grow(self, number: int) -> None:
        self.num_processes += number

    def shrink(self, number: int) -> None:
        self.num_processes -= number

    def maintain_pool(self) -> None: ...


class Request(SimpleNamespace):
    __hash__ = object.__hash__


@pytest.fixture
def _requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "reserved_requests", set())
    monkeypatch.setattr(state, "active_requests", set())
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(room.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(room.Processors, "idle_share", lambda self: 1.0)


def arrives(*, busy_for: float | None = None) -> Request:
    request = Request(args=[[1]], time_start=None if busy_for is None else time.time() - busy_for)
    state.reserved_requests.add(request)
    if busy_for is not None:
        state.active_requests.add(request)
    return request


def scaler() -> RoomForOthers:
    return RoomForOthers(Pool(), 32, 2)


@pytest.mark.usefixtures("_requests")
def test_a_process_that_is_busy_for_long_gets_a_deputy():
    one = scaler()
    arrives(busy_for=0.01)
    one.maybe_scale()
    assert one.processes == 2
    for _ in range(3):
        arrives(busy_for=30.0)
    one.maybe_scale()
    assert one.processes == 5


@pytest.mark.usefixtures("_requests")
def test_more_processes_come_only_when_messages_go_on_waiting():
    one = scaler()
    arrives()
    one.maybe_scale()
    assert one.processes == 2, "a burst may be over in a moment"
    one.maybe_scale()
    assert one.processes == 6
    for _ in range(5):
        one.maybe_scale()
    assert one.processes == 6


@pytest.mark.usefixtures("_requests")
def test_busy_processors_get_no_further_processes(monkeypatch):
    monkeypatch.setattr(room.Processors, "idle_share", lambda self: 0.0)
    one = scaler()
    arrives()
    for _ in range(3):
        one.maybe_scale()
    assert one.processes == 2


@pytest.mark.usefixtures("_requests")
def test_the_pool_never_outgrows_its_limit():
    one = scaler()
    for _ in range(50):
        arrives(busy_for=10.0)
    one.maybe_scale()
    assert one.processes == 32


@pytest.mark.usefixtures("_requests")
def test_processes_end_one_by_one_and_only_while_no_message_is_on_its_way(monkeypatch):
    one = scaler()
    hanging = [arrives(busy_for=9.0) for _ in range(3)]
    one.maybe_scale()
    monkeypatch.setattr(one, "_needed_until", 0.0)
    for request in hanging[1:]:
        state.reserved_requests.discard(request)
        state.active_requests.discard(request)
    fresh = arrives(busy_for=0.0)
    one.maybe_scale()
    assert one.processes == 5
    state.reserved_requests.discard(fresh)
    state.active_requests.discard(fresh)
    for expected in (4, 3, 3):
        one.maybe_scale()
        assert one.processes == expected
