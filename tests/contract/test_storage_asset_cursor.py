"""An asset's history as a cursor reads it: every event once, whatever commits in which order."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from orchord.events import EventType
from orchord.storage.asset_store import insert_asset_events
from orchord.storage.postgres_statements import ASSET_GATE_CLASS


def ids(found):
    return [stored.id for stored in found]


class TestReading:
    def test_events_come_in_order_from_the_cursor_on(self, life):
        made = [life.storage.assets.report(life.materialization("orders", number=number)) for number in range(5)]
        life.storage.assets.report(life.materialization("customers"))
        assert ids(life.storage.assets.after(["orders"])) == ids(made)
        assert ids(life.storage.assets.after(["orders"], made[1].id, limit=2)) == ids(made[2:4])
        assert life.storage.assets.after(["orders"], made[-1].id) == []
        assert life.storage.assets.after(["orders"], made[3].id)[0].event.data == {"number": 4}

    def test_several_assets_are_read_as_one_history(self, life):
        first = life.storage.assets.report(life.materialization("orders"))
        second = life.storage.assets.report(life.materialization("customers"))
        third = life.storage.assets.report(life.materialization("orders"))
        found = life.storage.assets.after(["orders", "customers", "nothing"])
        assert ids(found) == [first.id, second.id, third.id]

    def test_observations_are_read_when_asked_for(self, life):
        made = life.storage.assets.report(life.materialization("orders"))
        seen = life.storage.assets.report(life.event(EventType.ASSET_OBSERVATION, "seen", asset_key="orders"))
        assert ids(life.storage.assets.after(["orders"])) == [made.id]
        assert ids(life.storage.assets.after(["orders"], kinds=[EventType.ASSET_OBSERVATION])) == [seen.id]

    def test_events_of_steps_are_read_too(self, life):
        run = life.run()
        life.done(run, events=(life.materialization("orders"), life.materialization("customers")))
        life.storage.attempts.append_events(run.run_id, [life.materialization("orders")])
        found = life.storage.assets.after(["orders", "customers"])
        assert [stored.event.asset_key for stored in found] == ["orders", "customers", "orders"]
        assert {stored.run_id for stored in found} == {run.run_id}

    def test_very_many_assets_are_read_at_once(self, life):
        life.storage.assets.report(life.materialization("key7"))
        assert len(life.storage.assets.after([f"key{number}" for number in range(5000)])) == 1


def test_a_reader_beside_many_writers_sees_every_event_once(life, open_storage):
    keys = ["orders", "customers"]
    run = life.run()
    steps, writers = 25, 4
    storages = [open_storage() for _ in range(writers)]
    going = threading.Event()

    def write(number):
        own = type(life)(storages[number])
        for step in range(steps):
            events = (own.materialization(keys[step % 2]), own.materialization(keys[(step + 1) % 2]))
            own.done(run, f"s{number}_{step}", events=events)
            own.storage.assets.report(own.materialization(keys[number % 2]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    reader, seen = open_storage(), []

    def read():
        while not going.is_set():
            seen.extend(ids(reader.assets.after(keys, seen[-1] if seen else 0, limit=7)))

    reading = threading.Thread(target=read)
    for thread in [reading, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    going.set()
    reading.join()
    while found := ids(reader.assets.after(keys, seen[-1] if seen else 0)):
        seen.extend(found)
    with life.storage.database.reading() as connection:
        stored = [row[0] for row in connection.execute(sa.text("SELECT id FROM asset_events ORDER BY id"))]
    assert seen == stored
    assert len(stored) == steps * writers * 3


@pytest.mark.postgres
class TestWritersThatTakeTheirTime:
    @pytest.fixture
    def storage_url(self, postgres_url):
        """Two writers at once are PostgreSQL's alone."""
        return postgres_url

    def test_an_event_behind_an_open_transaction_is_not_shown_before_it(self, life, open_storage):
        slow = open_storage().database
        with slow.engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
            transaction = connection.begin()
            (early,) = insert_asset_events(connection, "", [life.materialization("orders")])
            # The other writer shares the gate and commits first, with a greater id.
            run = life.run()
            life.done(run, events=(life.event(), life.materialization("other")))
            life.storage.attempts.append_events(run.run_id, [life.event(), life.materialization("another")])
            assert life.storage.assets.after(["orders", "other", "another"]) == []
            transaction.commit()
        found = ids(life.storage.assets.after(["orders", "other", "another"]))
        assert found[0] == early
        assert len(found) == 3

    def test_a_step_gives_no_ids_while_a_reader_looks(self, life, open_storage):
        slow = open_storage().database
        with slow.engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
            transaction = connection.begin()
            gates = f"SELECT pg_advisory_xact_lock({ASSET_GATE_CLASS}, g) FROM generate_series(0, 63) AS g"
            connection.execute(sa.text(gates))
            run = life.run()
            claim = life.claimed(run)
            done = threading.Event()

            def finish():
                life.finished(claim, events=(life.materialization("orders"),))
                done.set()

            thread = threading.Thread(target=finish)
            thread.start()
            assert not done.wait(0.3)
            transaction.commit()
            thread.join(timeout=10)
        assert len(life.storage.assets.after(["orders"])) == 1
