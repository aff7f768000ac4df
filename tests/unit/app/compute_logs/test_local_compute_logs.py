"""What LocalComputeLogManager catches, keeps and gives back. The descriptors alone are test_redirect.py's."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchord.compute_logs import LocalComputeLogManager, LogStream, NoOpComputeLogManager
from orchord.errors import NotFoundError


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[LocalComputeLogManager]:
    manager = LocalComputeLogManager(tmp_path / "logs")
    yield manager
    manager.dispose()


def read(manager: LocalComputeLogManager, stream: LogStream = LogStream.STDOUT) -> str:
    return manager.read("run", "step", 1, stream).data.decode()


def test_prints_of_python_are_kept_apart_by_stream(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        print("to out")
        print("to err", file=sys.stderr)
    assert read(manager) == "to out\n"
    assert read(manager, LogStream.STDERR) == "to err\n"


def test_a_child_process_and_c_code_are_caught(manager: LocalComputeLogManager) -> None:
    libc = ctypes.CDLL(None)
    with manager.capture("run", "step", 1):
        subprocess.run(["sh", "-c", "echo child; echo complaint >&2"], check=True)
        libc.puts(b"from C")
        libc.fflush(None)
    assert read(manager) == "child\nfrom C\n"
    assert read(manager, LogStream.STDERR) == "complaint\n"


def test_the_streams_are_back_after_the_body_raised(manager: LocalComputeLogManager) -> None:
    before = (sys.stdout, sys.stderr, os.fstat(1).st_ino, os.fstat(2).st_ino)

    def body() -> None:
        with manager.capture("run", "step", 1):
            print("seen")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        body()
    assert (sys.stdout, sys.stderr, os.fstat(1).st_ino, os.fstat(2).st_ino) == before
    assert read(manager) == "seen\n"


def test_what_is_printed_can_be_read_while_the_step_runs(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        print("first line")
        chunk = manager.read("run", "step", 1, LogStream.STDOUT)
        assert (chunk.data, chunk.is_complete) == (b"first line\n", False)
        print("second line")
    rest = manager.read("run", "step", 1, LogStream.STDOUT, offset=chunk.next_offset)
    assert (rest.data, rest.is_complete) == (b"second line\n", True)


def test_reading_goes_on_by_offset_and_ends_complete(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        sys.stdout.write("0123456789")
    first = manager.read("run", "step", 1, LogStream.STDOUT, limit=4)
    assert (first.data, first.next_offset, first.is_complete) == (b"0123", 4, False)
    last = manager.read("run", "step", 1, LogStream.STDOUT, offset=4, limit=100)
    assert (last.data, last.next_offset, last.is_complete) == (b"456789", 10, True)


def test_an_attempt_without_logs_reads_as_empty(manager: LocalComputeLogManager) -> None:
    chunk = manager.read("no such run", "step", 1, LogStream.STDERR)
    assert (chunk.data, chunk.next_offset, chunk.is_complete) == (b"", 0, False)


def test_an_attempt_that_is_captured_again_goes_on_and_is_complete_at_its_end(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        print("first")
    with manager.capture("run", "step", 1):
        assert not manager.read("run", "step", 1, LogStream.STDOUT).is_complete
        print("again")
    chunk = manager.read("run", "step", 1, LogStream.STDOUT)
    assert (chunk.data, chunk.is_complete) == (b"first\nagain\n", True)


def test_attempts_are_kept_apart(manager: LocalComputeLogManager) -> None:
    for attempt in (1, 2):
        with manager.capture("run", "step", attempt):
            print(f"attempt {attempt}")
    assert manager.read("run", "step", 2, LogStream.STDOUT).data == b"attempt 2\n"


@pytest.mark.parametrize("name", ["../other", "a/b", "..", "", "a\0b"])
def test_names_that_would_leave_the_folder_are_refused(manager: LocalComputeLogManager, name: str) -> None:
    with pytest.raises(NotFoundError, match="No compute logs are kept for run"):
        manager.read(name, "step", 1, LogStream.STDOUT)
    with pytest.raises(NotFoundError, match="No compute logs are kept for run"):
        manager.read("run", name, 1, LogStream.STDOUT)


def test_deleting_a_run_removes_its_logs_and_no_others(manager: LocalComputeLogManager) -> None:
    for run_id in ("one", "two"):
        with manager.capture(run_id, "step", 1):
            print("hello")
    manager.delete("one")
    manager.delete("never was")
    assert manager.read("one", "step", 1, LogStream.STDOUT).data == b""
    assert manager.read("two", "step", 1, LogStream.STDOUT).data == b"hello\n"


def test_a_capture_inside_a_capture_takes_its_own_and_gives_back(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        print("outer")
        with manager.capture("run", "inner", 1):
            print("inner")
        print("outer again")
    assert read(manager) == "outer\nouter again\n"
    assert manager.read("run", "inner", 1, LogStream.STDOUT).data == b"inner\n"


def test_a_second_thread_is_not_captured_and_says_so(manager: LocalComputeLogManager) -> None:
    def other() -> None:
        with manager.capture("run", "other", 1):
            pass

    with manager.capture("run", "step", 1):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        print("mine")
    assert read(manager) == "mine\n"
    assert b"another thread" in manager.read("run", "other", 1, LogStream.STDERR).data


def test_a_forked_child_may_capture_for_itself(manager: LocalComputeLogManager) -> None:
    child = os.fork()
    if not child:
        with manager.capture("run", "step", 1):
            print("from the child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert read(manager) == "from the child\n"


def test_capturing_a_silent_step_takes_less_than_a_fifth_of_a_millisecond(manager: LocalComputeLogManager) -> None:
    durations = []
    for attempt in range(50):
        started = time.perf_counter()
        with manager.capture("run", "step", attempt):
            pass
        durations.append(time.perf_counter() - started)
    # The quickest tells what the work costs, the others how busy the machine is.
    assert min(durations) < 0.0002


def test_the_no_op_manager_leaves_the_output_alone(capfd: pytest.CaptureFixture[str]) -> None:
    manager = NoOpComputeLogManager()
    with manager.capture("run", "step", 1):
        print("stays")
    assert capfd.readouterr().out == "stays\n"
    assert manager.read("run", "step", 1, LogStream.STDOUT).is_complete
    assert not manager.keeps_logs
