"""``orchord dev`` as a user meets it: jobs run, changed code is loaded anew, broken code and kills leave no mess."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchord.testing import eventually

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ORCHORD = str(Path(sys.executable).with_name("orchord"))
READY_SECONDS = 40

WORKING = """
import orchord as dg

VALUE = {value}

@dg.op
def number():
    print("the number is", VALUE)
    return VALUE

@dg.op
def double(number):
    return number * 2

@dg.op
def fail():
    raise ValueError("it broke")

@dg.job
def doubled():
    double(number())

@dg.job
def failing():
    fail()

defs = dg.Definitions(jobs=[doubled, failing])
"""
BROKEN = "import orchord as dg\n\ndef broken():\n    raise RuntimeError('the module is broken')\n\nbroken()\n"


class Dev:
    """One ``orchord dev``, its log and its address."""

    def __init__(self, code: Path, home: Path, log: Path) -> None:
        self.home = home
        self._log = log
        environment = {**os.environ, "ORCHORD_HOME": str(home)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [ORCHORD, "dev", "-f", str(code), "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """Everything that it and its processes have printed."""
        return self._log.read_text(errors="replace")

    def address(self) -> str:
        """Wait for the line that names the address."""
        found = eventually(
            lambda: re.search(r"Orchord is at (http://\S+)", self.said) or self._not_if_ended(), READY_SECONDS
        )
        assert not isinstance(found, bool)
        return found[1]

    def client(self) -> httpx.Client:
        """Return a client of its API."""
        return httpx.Client(base_url=self.address(), timeout=60, trust_env=False)

    def wait_until_ready(self, client: httpx.Client) -> None:
        """Wait until runs can be carried out."""
        eventually(lambda: client.get("/readyz").status_code == 200, READY_SECONDS, because="ready")

    def processes(self) -> set[int]:
        """Return the ids of all processes that have this home in their environment."""
        mark = f"ORCHORD_HOME={self.home}".encode()
        found = set()
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        return found

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another ``orchord`` command against its home."""
        environment = {**os.environ, "ORCHORD_HOME": str(self.home)}
        return subprocess.run(
            [ORCHORD, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    def _not_if_ended(self) -> bool:
        assert self.process.poll() is None, self.said
        return False


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    path = tmp_path / "code" / "numbers_location.py"
    path.write_text(WORKING.format(value=21))
    return path


@pytest.fixture
def start(code: Path, tmp_path: Path) -> Iterator[Callable[[], Dev]]:
    started: list[Dev] = []

    def begin() -> Dev:
        started.append(Dev(code, tmp_path / "home", tmp_path / f"dev-{len(started)}.log"))
        return started[-1]

    yield begin
    for dev in started:
        dev.process.send_signal(signal.SIGTERM)
        try:
            dev.process.wait(30)
        except subprocess.TimeoutExpired:
            dev.process.kill()
            dev.process.wait()
    for dev in started:
        left = dev.processes()
        assert not left, f"processes left behind: {left}\n{dev.said}"


def _run(client: httpx.Client, job: str = "doubled") -> dict[str, Any]:
    answer = client.post("/api/v1/runs", params={"wait_seconds": 50}, json={"job": job})
    assert answer.status_code < 300, answer.text
    run: dict[str, Any] = answer.json()
    return run


def test_a_job_runs_and_the_command_line_sees_it(start: Callable[[], Dev]) -> None:
    dev = start()
    with dev.client() as client:
        dev.wait_until_ready(client)
        run = _run(client)
        assert run["status"] == "SUCCESS"
    listed = dev.cli("run", "list", "--json")
    assert [item["run_id"] for item in json.loads(listed.stdout)] == [run["run_id"]]
    logs = dev.cli("run", "logs", run["run_id"])
    assert "RUN_SUCCESS" in logs.stdout
    assert "the number is 21" in logs.stdout
    launched = dev.cli("job", "launch", "doubled", "--wait", "--json")
    assert (launched.returncode, json.loads(launched.stdout)["status"]) == (0, "SUCCESS")
    assert "STEP_SUCCESS" in launched.stderr
    failed = dev.cli("job", "launch", "failing", "--wait")
    assert failed.returncode == 1
    assert "it broke" in failed.stderr


def test_changed_code_is_loaded_and_broken_code_is_shown_and_ignored(start: Callable[[], Dev], code: Path) -> None:
    dev = start()
    with dev.client() as client:
        dev.wait_until_ready(client)
        code.write_text(WORKING.format(value=4))
        eventually(lambda: "was loaded anew" in dev.said, READY_SECONDS)
        eventually(lambda: _printed(dev, _run(client)["run_id"]) == "the number is 4", READY_SECONDS)
        code.write_text(BROKEN)
        eventually(lambda: "the code from before goes on" in dev.said, READY_SECONDS)
        assert "RuntimeError: the module is broken" in dev.said
        run = _run(client)
        assert (run["status"], _printed(dev, run["run_id"])) == ("SUCCESS", "the number is 4")


def test_code_that_is_broken_from_the_start_takes_nothing_down(start: Callable[[], Dev], code: Path) -> None:
    code.write_text(BROKEN)
    dev = start()
    with dev.client() as client:
        eventually(lambda: "does not load. It is tried again" in dev.said, READY_SECONDS)
        assert "RuntimeError: the module is broken" in dev.said
        assert client.get("/livez").status_code == 200
        locations = client.get("/api/v1/locations").json()
        assert "the module is broken" in json.dumps(locations)
        code.write_text(WORKING.format(value=1))
        dev.wait_until_ready(client)
        eventually(lambda: "doubled" in client.get("/api/v1/jobs").text, READY_SECONDS)
        assert _run(client)["status"] == "SUCCESS"


def test_a_killed_dev_leaves_no_process_behind(start: Callable[[], Dev]) -> None:
    dev = start()
    with dev.client() as client:
        dev.wait_until_ready(client)
    assert len(dev.processes()) >= 4
    dev.process.send_signal(signal.SIGKILL)
    dev.process.wait()
    eventually(lambda: not dev.processes(), 20, because="all of its processes are gone")
    again = start()  # and its home can be used again
    with again.client() as client:
        again.wait_until_ready(client)


def test_two_in_one_home_are_refused(start: Callable[[], Dev]) -> None:
    first = start()
    first.address()
    second = start()
    assert second.process.wait(READY_SECONDS) == 1
    assert "Another `orchord dev`" in second.said


@pytest.mark.postgres
def test_services_that_the_home_names_are_used_and_none_is_embedded(
    postgres_url: str, valkey_url: str, tmp_path: Path, start: Callable[[], Dev]
) -> None:
    (tmp_path / "home").mkdir()
    file = tmp_path / "home" / "orchord.yaml"
    text = json.dumps({"storage": postgres_url, "celery": {"broker": valkey_url}})
    file.write_text(text)
    dev = start()
    with dev.client() as client:
        dev.wait_until_ready(client)
        assert _run(client)["status"] == "SUCCESS"
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in dev.processes()]
    assert not any(b"valkey-server" in command or b"redis-server" in command for command in commands)
    assert not (dev.home / "orchord.db").exists()
    assert file.read_text() == text


def _printed(dev: Dev, run_id: str) -> str:
    lines = dev.cli("run", "logs", run_id, "--step", "number").stdout.splitlines()
    return next((line.partition("| ")[2] for line in lines if "stdout |" in line), "")
