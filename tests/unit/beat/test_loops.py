"""Loops that go on after faults, that end when they are told to, and that are seen when they hang."""

from __future__ import annotations

import threading
import time

import pytest

from orchord.errors import BrokerUnavailableError
from orchord.testing import eventually
from orchord_beat import loops
from orchord_beat.loops import Loop, LoopThreads, Watchdog


def test_a_fault_is_noted_backed_off_from_and_forgotten_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    faults: list[Exception] = [ValueError("a bug"), BrokerUnavailableError("away"), ValueError("again")]

    def work() -> None:
        if faults:
            raise faults.pop(0)

    loop = Loop("working", work, 0.5)
    assert loop.turn() == 1.0
    assert loop.error == "ValueError: a bug"
    assert "Traceback" in caplog.text
    assert loop.turn() == 2.0
    assert loop.error == "BrokerUnavailableError: away"
    assert loop.turn() == 4.0
    assert loop.turn() == 0.5
    assert loop.error is None


def test_the_back_off_has_an_end() -> None:
    def work() -> None:
        raise BrokerUnavailableError("away")

    loop = Loop("working", work, 0.5)
    assert max(loop.turn() for _ in range(2000)) == loops.LONGEST_BACK_OFF_SECONDS
    assert Loop("urgent", work, 0.5, longest_back_off_seconds=0.5).turn() == 0.5


def test_a_fault_that_goes_on_is_told_ever_rarer_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    left = [100]

    def work() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise BrokerUnavailableError("away")

    loop = Loop("working", work, 0.5)
    with caplog.at_level("INFO"):
        for _ in range(102):
            loop.turn()
    assert caplog.text.count("cannot work now") == 7
    assert caplog.text.count("works again, after 100 faults") == 1


def test_calls_just_after_a_turn_are_gathered_for_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop("working", lambda: None, 5.0, gather_seconds=0.05)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        loop.wake()
        loop.wake()

    monkeypatch.setattr(loops.time, "sleep", sleep)
    loop.rest(loop.turn())
    assert slept == [0.05]
    # One that has more to do at once does not wait for calls.
    loop.rest(0.0)
    assert slept == [0.05]


def test_work_says_itself_when_it_goes_on() -> None:
    assert Loop("working", lambda: 0.0, 5.0).turn() == 0.0


def test_a_loop_whose_turn_it_is_not_does_nothing() -> None:
    done: list[int] = []
    assert Loop("leading", lambda: done.append(1), 3.0, may_work=lambda: False).turn() == 3.0
    assert not done


def test_a_call_during_the_work_is_not_lost() -> None:
    loop = Loop("working", lambda: None, 60.0)
    loop.wake()
    began = time.monotonic()
    loop.rest(loop.turn())
    assert time.monotonic() - began < 5


def test_threads_go_on_until_they_are_stopped() -> None:
    done: list[int] = []
    threads = LoopThreads()
    threads.start(Loop("quick", lambda: done.append(1), 0.001))
    threads.start(Loop("slow", lambda: None, 60.0))
    eventually(lambda: len(done) > 3)
    assert threads.stop(time.monotonic() + 5) == []


def test_a_loop_that_does_not_end_is_named() -> None:
    let_go = threading.Event()
    threads = LoopThreads()
    loop = Loop("hanging", lambda: let_go.wait(10) and None, 60.0)
    threads.start(loop)
    eventually(lambda: loop.seconds_busy() > 0)
    assert threads.stop(time.monotonic() + 0.05) == ["hanging"]
    let_go.set()
    assert threads.stop(time.monotonic() + 5) == []


class TestTheWatchdog:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1000.0]
        monkeypatch.setattr("orchord_beat.loops.time.monotonic", lambda: now[0])
        return now

    def test_a_loop_that_hangs_is_seen(self, clock: list[float]) -> None:
        stuck: list[str] = []
        loop = Loop("hanging", lambda: None, 1.0)
        watchdog = Watchdog([loop], lambda name, seconds: stuck.append(name))
        loop._busy_since = clock[0]
        for _ in range(60):
            clock[0] += 1
            watchdog.look()
        assert stuck == []
        clock[0] += 1
        watchdog.look()
        assert stuck == ["hanging"]

    def test_a_pause_of_the_whole_process_is_nobodys_fault(self, clock: list[float]) -> None:
        stuck: list[str] = []
        loop = Loop("working", lambda: None, 1.0)
        watchdog = Watchdog([loop], lambda name, seconds: stuck.append(name))
        loop._busy_since = clock[0]
        clock[0] += 3600
        watchdog.look()
        assert stuck == []

    def test_a_loop_at_rest_never_hangs(self, clock: list[float]) -> None:
        stuck: list[str] = []
        watchdog = Watchdog([Loop("resting", lambda: None, 1.0)], lambda name, seconds: stuck.append(name))
        for _ in range(200):
            clock[0] += 1
            watchdog.look()
        assert stuck == []


def test_calls_do_not_drive_a_loop_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[float] = []

    def work() -> None:
        turns.append(time.monotonic())
        raise BrokerUnavailableError("away")

    loop = Loop("failing", work, 0.0)
    threads = LoopThreads()
    threads.start(loop)
    began = time.monotonic()
    while time.monotonic() - began < 1.0:
        loop.wake()
        threading.Event().wait(0.001)
    assert threads.stop(time.monotonic() + 5) == []
    assert 2 <= len(turns) <= 6
