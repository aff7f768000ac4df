"""Whose work must stop, by the database; and that a signal stops nobody else's."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, cast

import pytest

from orchord.runs import RunStatus
from orchord.spi import ExecutionInterrupted
from orchord.storage.values import WorkStanding
from orchord_workers import stopping
from orchord_workers.board import Board
from orchord_workers.interrupts import INTERRUPT_SIGNAL, Interrupts
from orchord_workers.stopping import Stopper

RUN = "01a20563-cda1-7189-b3a5-393a7ffcdcc5"


class Attempts:
    def __init__(self) -> None:
        self.standings: dict[str, WorkStanding] = {}

    def standing(self, worker_id: str, run_ids: list[str]) -> dict[str, WorkStanding]:
        return self.standings


class Storage:
    def __init__(self) -> None:
        self.attempts = Attempts()


class Instance:
    def __init__(self) -> None:
        self.storage = Storage()


class Watched:
    """A stopper over this very process, which plays the child; what would end it is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance = Instance()
        self.interrupts = Interrupts()
        self.interrupts.board.take_place(0)
        self.stopper = Stopper(cast(Any, self.instance), self.interrupts, "w", grace_seconds=5)
        self.ended: list[int] = []
        self.looks: list[int] = []
        self.seconds = 0.0
        start = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: start + self.seconds)
        monkeypatch.setattr(stopping, "end_process", lambda process_id: self.ended.append(process_id) or 1)

    def looked_at_during_work(self, token: str | None, *seconds: float) -> None:
        with self.interrupts.accepted(RUN, token):
            for self.seconds in seconds:
                self.looks.append(self.stopper.look())

    def stands(self, status: RunStatus, *tokens: str) -> None:
        self.instance.storage.attempts.standings = {RUN: WorkStanding(status, frozenset(tokens))}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_work_that_goes_on_by_the_database_is_left_alone(watched: Watched) -> None:
    with watched.interrupts.accepted(RUN, "token"):
        watched.stands(RunStatus.STARTED, "token")
        watched.seconds = 100
        assert watched.stopper.look() == 0


@pytest.mark.parametrize(
    ("status", "tokens"),
    [(RunStatus.CANCELING, ["token"]), (RunStatus.CANCELED, []), (RunStatus.STARTED, ["another"]), (None, [])],
)
def test_work_that_is_over_by_the_database_is_interrupted_once(
    watched: Watched, status: RunStatus | None, tokens: list[str]
) -> None:
    if status is not None:
        watched.stands(status, *tokens)
    with pytest.raises(ExecutionInterrupted):
        watched.looked_at_during_work("token", 0.5, 2)
    assert watched.looks == [0], "it was judged by a glimpse, or not at all"
    assert watched.ended == []


def test_a_process_that_does_not_stop_is_ended_after_the_grace_time(watched: Watched) -> None:
    watched.stands(RunStatus.CANCELING, "token")
    with watched.interrupts.accepted(RUN, "token"):
        signal.signal(INTERRUPT_SIGNAL, signal.SIG_IGN)
        for seconds in (2, 4, 6):
            watched.seconds = seconds
            watched.stopper.look()
            assert watched.ended == []
        watched.seconds = 7.5
        watched.stopper.look()
        assert watched.ended == [os.getpid()]


def test_a_process_past_its_time_limit_is_ended_when_its_own_limit_did_not_act(watched: Watched) -> None:
    with watched.interrupts.accepted(RUN, "token"):
        watched.interrupts.board.limit(6)
        watched.stands(RunStatus.STARTED, "token")
        watched.seconds = 8
        assert watched.stopper.look() == 0
        watched.seconds = 9.5
        watched.stopper.look()
        assert watched.ended == [os.getpid()]


def test_a_run_in_one_process_is_stopped_also_while_none_of_its_steps_runs(watched: Watched) -> None:
    watched.stands(RunStatus.CANCELING)
    with pytest.raises(ExecutionInterrupted):
        watched.looked_at_during_work(None, 2)


def test_a_signal_that_comes_late_interrupts_nobody_elses_step() -> None:
    interrupts = Interrupts(Board())
    interrupts.board.take_place(3)
    with interrupts.accepted(RUN, "first"):
        (busy,) = interrupts.board.busy()
    with interrupts.accepted(RUN, "second"):
        assert interrupts.interrupt(busy), "the child is there"
    assert interrupts.board.busy() == []
