"""Ticks, leases and the outbox over lost connections, and between processes: nothing takes place twice or by halves."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.events import ErrorInfo
from orchord.runs import RunStatus
from orchord.storage import TickEnd
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, TickStatus

SENSOR = InstigatorKey("home", InstigatorKind.SENSOR, "files")

DAEMON = """
import json, secrets, sys
from datetime import UTC, datetime
from orchord.runs import Run, RunStatus, new_run_id
from orchord.storage import Storage, TickEnd
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, TickStatus

url, name, location = sys.argv[1:]
storage = Storage.open(url)
print("ready", flush=True)
sys.stdin.readline()
made, ran, lost = 0, 0, 0
keys = [InstigatorKey(location, InstigatorKind.SCHEDULE, f"s{number}") for number in range(10)]
for minute in range(8):
    now = datetime.now(UTC)
    new = [NewTick(key, f"minute {minute}", now, 60.0) for key in keys]
    files = InstigatorKey(location, InstigatorKind.SENSOR, "files")
    new.append(NewTick(files, f"due:{name}{minute}", now, 60.0, "lane"))
    made += len(storage.ticks.make(new, dict.fromkeys(keys, now)))
    for tick in storage.ticks.open(1000, now):
        if tick.key.name == "told":
            continue
        claimed = storage.ticks.claim(tick.tick_id, secrets.token_hex(8), name, now)
        if claimed is None:
            lost += 1
            continue
        run = Run(new_run_id(), "numbers", location, RunStatus.STARTING, "snapshot", now,
            idempotency_key=f"{tick.key.name} {tick.tick_key}", run_key=tick.tick_key)
        end = TickEnd(claimed.tick_id, claimed.token, TickStatus.SUCCESS, now, runs=[(run, ())])
        result = storage.ticks.finish(end)
        assert result.accepted
        ran += len(result.created)
    changes = storage.changes.page(50)
    told = InstigatorKey(location, InstigatorKind.SENSOR, "told")
    storage.changes.settle(
        [change.id for change in changes],
        [NewTick(told, f"run:{change.run_id}:{change.status}", now, 60.0) for change in changes],
    )
storage.dispose()
print(json.dumps({"made": made, "ran": ran, "lost": lost}), flush=True)
"""


def test_processes_that_do_a_daemons_work_at_once_do_everything_once(storage, storage_url):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", DAEMON, storage_url, f"d{number}", "home"],
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
    counts = []
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        counts.append(json.loads(output))
    with storage.database.reading() as connection:
        rows = connection.execute(sa.text("SELECT kind, name, status, run_ids FROM ticks")).all()
        runs = [row[0] for row in connection.execute(sa.text("SELECT run_id FROM runs"))]
    by_schedules = [row for row in rows if row.kind == "SCHEDULE"]
    assert len(by_schedules) == 80
    assert {row.status for row in by_schedules} == {"SUCCESS"}
    assert len({row.run_ids for row in by_schedules}) == 80
    assert sum(count["ran"] for count in counts) == len(runs)
    told = [row for row in rows if row.name == "told"]
    # A change is told by one tick, or still stands.
    left = storage.changes.count()
    assert len(told) + left == len(runs)


@pytest.mark.postgres
class TestLostConnections:
    @pytest.fixture
    def storage_url(self, postgres_url):
        """These tests are of PostgreSQL alone."""
        return postgres_url

    @pytest.fixture
    def lose_answers(self, storage, monkeypatch):
        """Makes the next transaction take place and its answer get lost."""
        real = storage.database._transaction

        def lose():
            left = [1]

            @contextmanager
            def transaction():
                with real() as connection:
                    yield connection
                if left[0]:
                    left[0] -= 1
                    raise StorageUnavailableError("lost while committing")

            monkeypatch.setattr(storage.database, "_transaction", transaction)

        return lose

    def new(self, life, tick_key="t1"):
        return NewTick(SENSOR, tick_key, life.now(), 60.0)

    def test_every_operation_goes_on_over_a_new_connection(self, life, storage, kill_connections):
        kill_connections()
        (tick,) = storage.ticks.make([self.new(life)])
        kill_connections()
        tick = storage.ticks.claim(tick.tick_id, "token", "w", life.now())
        kill_connections()
        run = life.make()
        assert storage.ticks.finish(TickEnd(tick.tick_id, "token", TickStatus.SUCCESS, life.now(), [(run, ())])).created
        kill_connections()
        (change,) = storage.changes.page()
        kill_connections()
        assert len(storage.changes.settle([change.id], [self.new(life, "t2")])) == 1
        kill_connections()
        assert storage.daemons.take_lease("leader", "one", 60) == 1
        kill_connections()
        assert storage.daemons.lease("leader").holder == "one"
        kill_connections()
        assert storage.runs.begin_stop(run.run_id, ErrorInfo("RunTimeout", "too long"), life.now())
        kill_connections()
        assert storage.assets.after(["orders"]) == []

    def test_ticks_are_claimed_and_end_together_over_a_new_connection(self, life, storage, kill_connections):
        numbers = [tick.tick_id for tick in storage.ticks.make([self.new(life, f"t{number}") for number in range(5)])]
        kill_connections()
        assert len(storage.ticks.claim_many(numbers, "token", "w", life.now())) == 5
        kill_connections()
        assert storage.ticks.renew(numbers, "token", life.now()) == set(numbers)
        kill_connections()
        ends = [TickEnd(number, "token", TickStatus.SUCCESS, life.now(), [(life.make(), ())]) for number in numbers]
        assert all(len(result.created) == 1 for result in storage.ticks.finish_many(ends))

    def test_ends_whose_answer_was_lost_can_be_sent_again_together(self, life, storage, lose_answers):
        numbers = [tick.tick_id for tick in storage.ticks.make([self.new(life, f"t{number}") for number in range(5)])]
        storage.ticks.claim_many(numbers, "token", "w", life.now())
        ends = [TickEnd(number, "token", TickStatus.SUCCESS, life.now(), [(life.make(), ())]) for number in numbers]
        lose_answers()
        with pytest.raises(StorageUnavailableError):
            storage.ticks.finish_many(ends)
        results = storage.ticks.finish_many(ends)
        assert [result.created for result in results] == [(end.runs[0][0].run_id,) for end in ends]
        assert storage.changes.count() == 5

    def test_an_end_whose_answer_was_lost_can_be_sent_again(self, life, storage, lose_answers):
        (tick,) = storage.ticks.make([self.new(life)])
        storage.ticks.claim(tick.tick_id, "token", "w", life.now())
        runs = [life.make(run_key="a", idempotency_key="k:a", status=RunStatus.QUEUED), life.make(run_key="b")]
        end = TickEnd(tick.tick_id, "token", TickStatus.SUCCESS, life.now(), [(run, ()) for run in runs])
        lose_answers()
        with pytest.raises(StorageUnavailableError):
            storage.ticks.finish(end)
        result = storage.ticks.finish(end)
        assert result.accepted
        assert result.created == tuple(run.run_id for run in runs)
        assert storage.changes.count() == 2

    def test_making_and_settling_again_does_no_harm(self, life, storage, lose_answers):
        lose_answers()
        with pytest.raises(StorageUnavailableError):
            storage.ticks.make([self.new(life)])
        assert storage.ticks.make([self.new(life)]) == []
        assert storage.ticks.find_by_key(SENSOR, "t1") is not None
        life.run()
        (change,) = storage.changes.page()
        lose_answers()
        with pytest.raises(StorageUnavailableError):
            storage.changes.settle([change.id], [self.new(life, "t2")])
        assert storage.changes.settle([change.id], [self.new(life, "t2")]) == []
        assert storage.ticks.find_by_key(SENSOR, "t2") is not None

    def test_a_lease_whose_answer_was_lost_is_renewed_with_its_term(self, storage, lose_answers):
        lose_answers()
        with pytest.raises(StorageUnavailableError):
            storage.daemons.take_lease("leader", "one", 60)
        assert storage.daemons.take_lease("leader", "one", 60) == 1


def test_what_a_process_holds_is_found_by_the_beginning_of_its_tokens(storage, life):
    ticks = storage.ticks
    names = ("host-1.7.", "host-1.71.", "host%1.7.")
    for number, prefix in enumerate((*names, names[0])):
        key = InstigatorKey("home", InstigatorKind.SCHEDULE, f"held {number}")
        (tick,) = ticks.make([NewTick(key, "t", life.now(), 60.0)])
        assert ticks.claim(tick.tick_id, f"{prefix}{number}", "worker", life.now())
    held = ticks.held_by("host-1.7.")
    assert [tick.token for tick in held] == ["host-1.7.0", "host-1.7.3"]
    ticks.finish(TickEnd(held[0].tick_id, held[0].token, TickStatus.SUCCESS, life.now()))
    assert [tick.token for tick in ticks.held_by("host-1.7.")] == ["host-1.7.3"]
    assert [tick.token for tick in ticks.held_by("host%1.7.")] == ["host%1.7.2"]
