"""What is on the leash ends with the supervisor, also what ignores a request to end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchord.embedded import leash
from orchord.testing import eventually

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
WILLING = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
        for code in (STUBBORN, WILLING)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_those_that_do_not_end_when_asked_are_killed(processes: list[subprocess.Popen[str]]) -> None:
    leash.end_groups([process.pid for process in processes], grace_seconds=0.2)
    eventually(lambda: all(process.poll() is not None for process in processes))
    assert [process.returncode for process in processes] == [-9, -15]


def test_the_end_of_orders_ends_what_was_not_let_go_and_removes_folders(
    processes: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    released, kept = processes
    folder = tmp_path / "state"
    folder.mkdir()
    holder = subprocess.Popen([sys.executable, "-I", "-S", leash.__file__], stdin=subprocess.PIPE, text=True)
    assert holder.stdin is not None
    holder.stdin.write(f"+ {kept.pid}\n+ {released.pid}\n- {released.pid}\nrm {folder}\n")
    holder.stdin.close()
    eventually(lambda: kept.poll() is not None)
    holder.wait(timeout=20)
    assert released.poll() is None
    assert not folder.exists()
