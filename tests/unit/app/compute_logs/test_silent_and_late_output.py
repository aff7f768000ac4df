"""Files that appear only when something is printed: when they do, whose they are, and what outlives a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from orchord.compute_logs import LocalComputeLogManager, LogStream, unnamed
from orchord.compute_logs.watching import Watcher
from orchord.testing import eventually

SECONDS = 5.0
# Python 3.12 and later warn of it; that forks are safe beside the watching thread is what these tests prove.
forks_beside_a_thread = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[LocalComputeLogManager]:
    manager = LocalComputeLogManager(tmp_path / "logs")
    yield manager
    manager.dispose()


def read(manager: LocalComputeLogManager, step: str = "step", stream: LogStream = LogStream.STDOUT) -> str:
    return manager.read("run", step, 1, stream).data.decode()


def files(manager: LocalComputeLogManager) -> list[str]:
    return sorted(str(path.relative_to(manager.base_dir)) for path in manager.base_dir.rglob("*"))


def silent_inodes(manager: LocalComputeLogManager) -> tuple[int, int]:
    with manager.capture("run", "silent", 1):
        return os.fstat(1).st_ino, os.fstat(2).st_ino


def test_a_silent_attempt_leaves_nothing_and_reads_as_empty(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        pass
    assert files(manager) == []
    assert read(manager) == ""


def test_only_the_stream_that_was_written_to_has_a_file(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        print("oh", file=sys.stderr)
    assert files(manager) == ["run", "run/step.1.err"]


def test_silent_steps_use_the_same_files_again(manager: LocalComputeLogManager) -> None:
    assert set(silent_inodes(manager)) == set(silent_inodes(manager))


def test_no_descriptor_is_left_open_once_the_manager_is_disposed_of(manager: LocalComputeLogManager) -> None:
    before = os.listdir("/proc/self/fd")
    for step in ("silent", "loud"):
        with manager.capture("run", step, 1), manager.capture("run", f"inner_{step}", 1):
            print("x" if step == "loud" else "", end="")
    manager.dispose()
    assert os.listdir("/proc/self/fd") == before
    assert silent_inodes(manager)


@pytest.mark.parametrize("command", ["cat", "(cat &)"], ids=["child", "grandchild of nobody"])
def test_a_process_left_behind_writes_to_its_own_attempt_and_no_other(
    manager: LocalComputeLogManager, command: str
) -> None:
    silent_inodes(manager)
    source, sink = os.pipe()
    with manager.capture("run", "step", 1):
        left = subprocess.Popen(["sh", "-c", f"exec 3<&0; {command.replace('cat', 'cat <&3')}"], stdin=source)
        if "&" in command:
            left.wait()
    os.close(source)
    with manager.capture("run", "next", 1):
        os.write(sink, b"late\n")
        os.close(sink)
        eventually(lambda: read(manager) == "late\n", deadline_seconds=SECONDS)
    left.wait()
    assert read(manager, "next") == ""
    assert files(manager)[0] == "run"
    assert not [name for name in files(manager) if "next" in name]


def test_a_descriptor_that_the_step_kept_writes_to_its_own_attempt_and_no_other(
    manager: LocalComputeLogManager,
) -> None:
    with manager.capture("run", "step", 1):
        kept = os.dup(1)
    with manager.capture("run", "next", 1):
        os.write(kept, b"late\n")
    os.close(kept)
    assert (read(manager), read(manager, "next")) == ("late\n", "")


def test_what_c_code_and_children_print_is_soon_seen_while_the_step_runs(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        os.write(1, b"from C\n")
        started = time.monotonic()
        eventually(lambda: read(manager) == "from C\n", deadline_seconds=SECONDS)
        assert time.monotonic() - started < 2.0
        assert not manager.read("run", "step", 1, LogStream.STDOUT).is_complete
    assert manager.read("run", "step", 1, LogStream.STDOUT).is_complete


KILLED = """
import os, sys
from orchord.compute_logs import LocalComputeLogManager
manager = LocalComputeLogManager(sys.argv[1])
for step in ("silent", "step"):
    with manager.capture("run", step, 1):
        if step == "step":
            print("by Python")
            os.write(2, b"by C\\n")
            sys.stdin.read()
"""


def test_what_was_printed_outlives_a_killed_process(manager: LocalComputeLogManager) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(manager.base_dir)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process.stdin:
        # Also what another process reads while it runs.
        eventually(lambda: read(manager, stream=LogStream.STDERR) == "by C\n", deadline_seconds=20.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert read(manager) == "by Python\n"
    assert read(manager, stream=LogStream.STDERR) == "by C\n"
    assert files(manager) == ["run", "run/step.1.err", "run/step.1.out"]


def test_a_crash_right_after_a_print_of_python_does_not_lose_it(manager: LocalComputeLogManager) -> None:
    script = KILLED.replace("sys.stdin.read()", "os._exit(1)")
    subprocess.run([sys.executable, "-c", script, str(manager.base_dir)], check=False)
    assert read(manager) == "by Python\n"


@forks_beside_a_thread
def test_forked_children_do_not_share_their_parents_spare_files(manager: LocalComputeLogManager) -> None:
    parents = set(silent_inodes(manager))
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if not parents & set(silent_inodes(manager)) else 2
            with manager.capture("run", "child", 1):
                print("child")
        finally:
            os._exit(code)
    with manager.capture("run", "parent", 1):
        print("parent")
    assert os.waitpid(child, 0)[1] == 0
    assert (read(manager, "child"), read(manager, "parent")) == ("child\n", "parent\n")


@forks_beside_a_thread
def test_a_child_that_leaves_the_capture_by_itself_takes_nothing_from_its_parent(
    manager: LocalComputeLogManager,
) -> None:
    with manager.capture("run", "step", 1):
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert not manager.read("run", "step", 1, LogStream.STDOUT).is_complete
            print("parent")
        else:
            print("child")
    if not child:
        os._exit(0)
    assert read(manager) == "child\nparent\n"


def test_a_name_that_is_taken_meanwhile_is_appended_to(manager: LocalComputeLogManager) -> None:
    with manager.capture("run", "step", 1):
        path = manager.base_dir / "run" / "step.1.out"
        path.parent.mkdir(parents=True)
        path.write_text("another's\n")
        print("mine")
    assert read(manager) == "another's\nmine\n"


def test_logs_that_cannot_be_kept_at_the_end_are_told_of_and_raise_nothing(
    manager: LocalComputeLogManager, caplog: pytest.LogCaptureFixture
) -> None:
    with manager.capture("run", "step", 1):
        (manager.base_dir / "run").write_text("in the way")
        print("lost")
    assert "What a step printed is not kept in" in caplog.text


def test_logs_are_kept_where_there_are_no_unnamed_files(
    manager: LocalComputeLogManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unnamed, "_O_TMPFILE", 0)
    for _ in range(2):
        with manager.capture("run", "step", 1):
            print("seen")
            assert read(manager).endswith("seen\n")
    chunk = manager.read("run", "step", 1, LogStream.STDOUT)
    assert (chunk.data, chunk.is_complete) == (b"seen\nseen\n", True)
    assert manager.read("run", "step", 1, LogStream.STDERR).is_complete


def test_logs_are_kept_in_a_folder_that_was_removed_meanwhile(manager: LocalComputeLogManager) -> None:
    silent_inodes(manager)
    manager.base_dir.rmdir()
    for step in ("step", "next"):
        with manager.capture("run", step, 1):
            print("hello")
    assert (read(manager), read(manager, "next")) == ("hello\n", "hello\n")


def test_the_watching_thread_ends_when_nothing_runs_and_comes_back(manager: LocalComputeLogManager) -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "orchord-compute-logs"]

    def is_read(step: str) -> bool:
        return read(manager, step) == "x"

    for step in ("first", "second"):
        with manager.capture("run", step, 1):
            os.write(1, b"x")
            eventually(partial(is_read, step), deadline_seconds=SECONDS)
            assert len(threads()) == 1
        eventually(lambda: not threads(), deadline_seconds=SECONDS)


def test_a_stopped_watcher_goes_on_looking_at_what_runs() -> None:
    looked = threading.Event()

    class Running:
        def look(self) -> None:
            looked.set()

    watcher, running = Watcher(), Running()
    watcher.add(running)
    watcher.stop()
    assert looked.wait(SECONDS)
    watcher.discard(running)
    watcher.stop()
