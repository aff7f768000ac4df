"""One daemon holds the lease at a time, by the database's clock; all of them report themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from orchord.storage import DaemonRow
from orchord.testing import eventually

HOLDER = """
import json, sys
from orchord.storage import Storage

url, name = sys.argv[1:]
storage = Storage.open(url)
print("ready", flush=True)
sys.stdin.readline()
held = []
for _ in range(120):
    term = storage.daemons.take_lease("leader", name, 0.05)
    if term is not None:
        held.append(term)
storage.dispose()
print(json.dumps(held), flush=True)
"""


@pytest.fixture
def daemons(storage):
    """The daemons of the test's storage."""
    return storage.daemons


class TestTheLease:
    def test_who_comes_first_holds_it_and_renews_it(self, daemons, storage):
        assert daemons.lease("leader") is None
        assert daemons.take_lease("leader", "one", 60) == 1
        first = daemons.lease("leader")
        assert daemons.take_lease("leader", "one", 60) == 1
        renewed = daemons.lease("leader")
        assert (renewed.holder, renewed.term) == ("one", 1)
        assert renewed.expires_at > first.expires_at
        assert abs(renewed.expires_at - storage.clock() - timedelta(seconds=60)) < timedelta(seconds=5)

    def test_nobody_else_gets_it_meanwhile(self, daemons):
        daemons.take_lease("leader", "one", 60)
        assert daemons.take_lease("leader", "two", 60) is None
        assert daemons.lease("leader").holder == "one"
        assert daemons.take_lease("another", "two", 60) == 1

    def test_it_is_taken_over_when_it_has_expired(self, daemons):
        daemons.take_lease("leader", "one", 0.2)
        assert eventually(lambda: daemons.take_lease("leader", "two", 60)) == 2
        assert daemons.take_lease("leader", "one", 60) is None

    def test_an_expired_lease_is_held_by_nobody_and_renewed_by_its_holder(self, daemons):
        daemons.take_lease("leader", "one", 0.0)
        assert daemons.lease("leader") is None
        assert daemons.take_lease("leader", "one", 60) == 1

    def test_given_back_it_is_free_at_once_for_a_greater_term(self, daemons):
        daemons.take_lease("leader", "one", 60)
        assert not daemons.give_back("leader", "two")
        assert daemons.give_back("leader", "one")
        assert not daemons.give_back("leader", "one")
        assert daemons.lease("leader") is None
        assert daemons.take_lease("leader", "two", 60) == 2

    def test_one_of_many_gets_it(self, open_storage, race):
        storages = [open_storage() for _ in range(6)]
        for number in range(5):
            acts = [
                lambda storage=storage, name=f"d{place}", lease=f"l{number}": storage.daemons.take_lease(
                    lease, name, 60
                )
                for place, storage in enumerate(storages)
            ]
            assert sorted(race(acts), key=str) == [1, None, None, None, None, None]

    def test_processes_that_take_it_from_each_other_never_share_a_term(self, storage_url):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", HOLDER, storage_url, f"d{number}"],
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
        terms = []
        for child in children:
            output, _ = child.communicate(timeout=60)
            assert child.returncode == 0
            terms.append(set(json.loads(output)))
        assert sum(len(held) for held in terms) == len(set().union(*terms))
        assert set().union(*terms)


class TestSignsOfLife:
    def test_a_daemon_reports_itself_with_what_went_wrong(self, daemons, storage):
        row = DaemonRow("d1", "host", 7, storage.clock(), storage.clock(), True, {"clock": "no\x00thing"})
        daemons.beat(row)
        (found,) = daemons.all()
        assert found.errors == {"clock": "no\ufffdthing"}
        assert (found.daemon_id, found.hostname, found.pid, found.is_leader) == ("d1", "host", 7, True)
        later = DaemonRow("d1", "host", 7, row.started_at, storage.clock())
        daemons.beat(later)
        assert daemons.all() == [later]

    def test_a_daemon_that_goes_in_order_is_forgotten(self, daemons, storage):
        for name in ("d2", "d1"):
            daemons.beat(DaemonRow(name, "host", 7, storage.clock(), storage.clock()))
        assert [row.daemon_id for row in daemons.all()] == ["d1", "d2"]
        assert daemons.remove("d1")
        assert not daemons.remove("d1")
        assert [row.daemon_id for row in daemons.all()] == ["d2"]
