"""The process of a run, from the worker that started it: a stop is passed on, unless the process is about to end."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from orchord.execution.interrupt import StopNotice
from orchord_workers import run_process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lasts as long as its standard input."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, process_group=0) as started:
        yield started


@pytest.fixture
def stop() -> Iterator[StopNotice]:
    with contextlib.closing(StopNotice()) as notice:
        notice.set()
        yield notice


def test_a_process_that_only_tears_down_is_left_to_its_end(child: subprocess.Popen[bytes], stop: StopNotice) -> None:
    asked = []

    def only_closes() -> bool:
        asked.append(True)
        assert child.stdin is not None
        child.stdin.close()
        return True

    assert run_process._waited_for(child, stop, only_closes) == 0
    assert asked == [True]


@pytest.mark.parametrize("tells_of_ends", [True, False])
def test_a_stop_is_passed_on_to_a_process_at_work(
    child: subprocess.Popen[bytes], stop: StopNotice, monkeypatch: pytest.MonkeyPatch, tells_of_ends: bool
) -> None:
    if not tells_of_ends:

        def refused(process_id: int) -> int:
            raise OSError("not on this kernel")

        monkeypatch.setattr("os.pidfd_open", refused)
    exit_code = run_process._waited_for(child, stop, lambda: False)
    assert run_process.worded(exit_code) == "was killed by SIGTERM"
