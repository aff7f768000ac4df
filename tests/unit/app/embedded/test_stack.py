"""Processes of the stack: started, noticed when they end, stopped together, ended when their supervisor is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchord.embedded.stack import Stack
from orchord.settings import child_environment
from orchord.testing import eventually


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which `orchord.cli.main` is a program that the test chooses by its first argument."""
    package = tmp_path / "fake" / "orchord" / "cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "main.py").write_text(
        """
import pathlib, signal, sys, time
kind, place = sys.argv[1:]
if kind == "ends":
    sys.exit(7)
if kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(place).write_text("up")
time.sleep(600)
"""
    )
    return child_environment(PYTHONPATH=str(tmp_path / "fake"))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_ends_is_noticed_once(environment: dict[str, str], tmp_path: Path) -> None:
    with Stack(environment, directory=tmp_path) as stack:
        stack.start("short", ["ends", "-"])
        ended = eventually(stack.ended)
        assert [(end.name, end.code) for end in ended] == [("short", 7)]
        assert stack.ended() == []
        stack.start("short", ["ends", "-"])  # the name is free again


def test_two_processes_of_one_name_are_a_mistake(environment: dict[str, str], tmp_path: Path) -> None:
    with Stack(environment, directory=tmp_path) as stack:
        stack.start("api", ["willing", str(tmp_path / "up")])
        with pytest.raises(ValueError, match="'api' runs already"):
            stack.start("api", ["willing", str(tmp_path / "up")])


def test_at_the_end_all_are_gone_also_one_that_does_not_want_to(environment: dict[str, str], tmp_path: Path) -> None:
    stack = Stack(environment, directory=tmp_path)
    with stack:
        for kind in ("willing", "stubborn"):
            stack.start(kind, [kind, str(tmp_path / kind)])
            eventually((tmp_path / kind).exists, 20)
        pids = [stack.pid(name) for name in stack.names()]
        stack.stop_all(grace_seconds=0.3)
    assert not any(_is_alive(pid) for pid in pids)


def test_a_retired_process_gives_its_name_free_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    with Stack(environment, directory=tmp_path) as stack:
        stack.start("worker", ["stubborn", str(tmp_path / "old")])
        eventually((tmp_path / "old").exists, 20)
        old = stack.pid("worker")
        stack.retire("worker")
        stack.start("worker", ["willing", str(tmp_path / "new")])
        eventually((tmp_path / "new").exists, 20)
        assert _is_alive(old)
        assert stack.pid("worker") != old
        stack.stop_all(grace_seconds=0.3)
    assert not _is_alive(old)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_supervisor_leaves_neither_processes_nor_its_folder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    program = """
import os, pathlib, signal, sys, time
from orchord.embedded.stack import Stack
folder = pathlib.Path(sys.argv[1])
with Stack({**os.environ, "PYTHONPATH": sys.argv[2]}, directory="/", remove_at_the_end=folder / "state") as stack:
    for kind in ("willing", "stubborn"):
        stack.start(kind, [kind, str(folder / kind)])
        while not (folder / kind).exists():
            time.sleep(0.01)
    print(*[stack.pid(name) for name in stack.names()], flush=True)
    signal.pause()
"""
    (tmp_path / "state").mkdir()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), environment["PYTHONPATH"]], stdout=subprocess.PIPE, text=True
    )
    try:
        assert supervisor.stdout is not None
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        assert len(pids) == 2
        assert all(_is_alive(pid) for pid in pids)
    finally:
        os.kill(supervisor.pid, signal.SIGKILL)
        supervisor.communicate()
    eventually(lambda: not any(_is_alive(pid) for pid in pids), 15, because="both processes are gone")
    eventually(lambda: not (tmp_path / "state").exists(), 15, because="the folder is gone")
