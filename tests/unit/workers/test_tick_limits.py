"""The time limit of an evaluation is taken off whole, also when it strikes in that very moment."""

from __future__ import annotations

import faulthandler
import signal
from typing import Any

import pytest

from orchord.spi import TickTimeLimitExceeded
from orchord_workers.ticks.limits import held_to


def test_a_limit_that_strikes_while_it_is_taken_off_interrupts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_off: list[str] = []
    setitimer = signal.setitimer

    def strikes(which: Any, seconds: float, *more: float) -> Any:
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        return setitimer(which, seconds, *more)

    monkeypatch.setattr(signal, "setitimer", strikes)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: None)
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: taken_off.append("the end of the process"))
    before = signal.getsignal(signal.SIGALRM)
    with held_to(60.0, "sensor 'quick'"):
        pass
    assert taken_off == ["the end of the process"]
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_limit_that_strikes_in_time_is_an_exception_in_the_users_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: None)
    with (
        pytest.raises(TickTimeLimitExceeded, match=r"sensor 'slow' took longer than its limit of 60 s"),
        held_to(60.0, "sensor 'slow'"),
    ):
        signal.raise_signal(signal.SIGALRM)
