"""Several processes on one database, and forks: connections are never shared, claims stay fenced."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from orchord.runs import RunStatus

CLAIMER = """
import json, secrets, sys
from datetime import UTC, datetime
from orchord.runs import AttemptStatus
from orchord.storage import Claim, Finish, Storage

url, run_id, name = sys.argv[1:]
storage = Storage.open(url)
won = []
print("ready", flush=True)
sys.stdin.readline()
for number in range(30):
    claim = Claim(run_id, f"s{number}", 1, secrets.token_hex(8), name, datetime.now(UTC))
    if storage.attempts.claim(claim).claimed:
        won.append(number)
        finish = Finish(run_id, f"s{number}", 1, claim.token, AttemptStatus.SUCCESS, datetime.now(UTC))
        assert storage.attempts.finish(finish).accepted
storage.dispose()
print(json.dumps(won), flush=True)
"""


def test_every_step_is_won_by_one_of_several_processes(life, storage_url):
    run = life.run()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, storage_url, run.run_id, f"w{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    won = []
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        won += json.loads(output)
    assert sorted(won) == list(range(30))
    assert life.types(run).count("STEP_START") == 30
    assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.SUCCESS


def in_child(act):
    """Do something in a forked child; return what it wrote to its pipe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, act().encode())
        except BaseException as error:  # noqa: BLE001  # the child must not go on as a second test process
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own(life, storage):
    run = life.run()
    with storage.database.reading() as connection:
        before = connection.connection.driver_connection

        def act():
            inherited = storage.database.engine.pool.checkedin()
            life.claimed(run, "child")
            with storage.database.reading() as own:
                shared = own.connection.driver_connection is before
            return f"{inherited} {shared} {life.status(run)}"

        assert in_child(act) == "0 False STARTED"
    # The parent's own connections have survived the child's end.
    life.claimed(run, "parent")
    assert {step for step, _ in life.attempts(run)} == {"child", "parent"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_many_forks_leave_the_parent_able_to_write(life):
    run = life.run()
    for number in range(5):
        assert in_child(lambda number=number: str(life.claimed(run, f"c{number}").attempt)) == "1"
        life.claimed(run, f"p{number}")
    assert len(life.attempts(run)) == 10
