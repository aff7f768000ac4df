"""Events and assets, on both engines: pages that miss nothing, histories, the latest of each asset."""

from __future__ import annotations

import threading

import pytest

from orchord.errors import InvariantViolationError
from orchord.events import EventType
from orchord.runs import AttemptStatus


class TestPages:
    def test_pages_hold_every_event_once_in_order(self, life):
        run, other = life.run(), life.run()
        for number in range(25):
            life.storage.attempts.append_events(run.run_id, [life.event(message=str(number))])
            life.storage.attempts.append_events(other.run_id, [life.event(message="other")])
        seen, after = [], 0
        while page := life.storage.events.page(run.run_id, after, limit=7):
            seen += [stored.event.message for stored in page]
            after = page[-1].id
        assert seen == [str(number) for number in range(25)]

    def test_pages_can_be_of_some_types_and_one_step(self, life):
        run = life.run()
        life.done(run, "a", events=(life.event(step_key="a"), life.event(EventType.STEP_OUTPUT, step_key="a")))
        life.done(run, "b", events=(life.event(step_key="b"),))
        page = life.storage.events.page
        assert [item.event.step_key for item in page(run.run_id, types=[EventType.LOG])] == ["a", "b"]
        assert [item.event.type for item in page(run.run_id, step_key="a")] == ["STEP_START", "LOG", "STEP_OUTPUT"]
        assert [item.event.type for item in page(run.run_id, types=["LOG"], step_key="b")] == ["LOG"]

    def test_an_event_comes_back_as_it_was_given(self, life):
        run = life.run()
        event = life.event(
            EventType.ASSET_OBSERVATION,
            "seen\n\tändern 😀",
            step_key="a",
            level=30,
            data={"big": 2**62, "float": 0.1, "text": "ä", "list": [1, [2, {"x": None}]], "yes": True},
            asset_key="x/y",
            partition="2026-01-01",
        )
        life.storage.attempts.append_events(run.run_id, [event])
        (stored,) = life.storage.events.page(run.run_id)
        assert stored.event == event
        assert stored.run_id == run.run_id

    def test_appending_nothing_is_nothing(self, life):
        run = life.run()
        life.storage.attempts.append_events(run.run_id, [])
        assert life.types(run) == []

    def test_who_follows_a_run_misses_no_event_while_many_write(self, life, open_storage):
        """Ids are given before commit: without the gate, a follower reads 7, goes on after it, and never sees 6."""
        run = life.run()
        reader, writers, per_writer = open_storage(), 8, 40
        stop = threading.Event()

        def write(number):
            for turn in range(per_writer):
                events = [life.event(message=f"{number}.{turn}.{part}") for part in range(1 + turn % 3)]
                life.storage.attempts.append_events(run.run_id, events)

        followed = []

        def follow():
            after, last_round = 0, False
            while True:
                page = reader.events.page(run.run_id, after, limit=13)
                followed.extend(stored.event.message for stored in page)
                after = page[-1].id if page else after
                if not page and last_round:
                    return
                last_round = stop.is_set() and not page

        threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
        follower = threading.Thread(target=follow)
        for thread in (follower, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        follower.join()
        expected = {
            f"{number}.{turn}.{part}"
            for number in range(writers)
            for turn in range(per_writer)
            for part in range(1 + turn % 3)
        }
        assert len(followed) == len(expected)
        assert set(followed) == expected


class TestAssets:
    def test_the_latest_of_each_asset_is_the_newest(self, life):
        run = life.run()
        life.done(run, "a", events=(life.materialization("x", n=1), life.materialization("y/z", n=2)))
        life.done(run, "b", events=(life.materialization("x", n=3), life.event(EventType.STEP_SUCCESS)))
        latest = life.storage.assets.latest(["x", "y/z", "nothing"])
        assert {key: stored.event.data["n"] for key, stored in latest.items()} == {"x": 3, "y/z": 2}
        assert latest["x"].run_id == run.run_id
        assert life.storage.assets.latest().keys() == {"x", "y/z"}
        assert life.storage.assets.known_keys() == ["x", "y/z"]
        assert life.storage.assets.has("x")
        assert not life.storage.assets.has("nothing")

    def test_several_of_one_asset_in_one_finish_leave_the_last_as_latest(self, life):
        life.done(life.run(), events=tuple(life.materialization("x", n=number) for number in range(5)))
        assert life.storage.assets.latest(["x"])["x"].event.data["n"] == 4

    def test_history_is_read_by_pages_newest_first(self, life):
        for number in range(7):
            life.done(life.run(), events=(life.materialization("x", n=number), life.materialization("other")))
        seen, before = [], None
        while page := life.storage.assets.history("x", limit=3, before_id=before):
            seen += [stored.event.data["n"] for stored in page]
            before = page[-1].id
        assert seen == [6, 5, 4, 3, 2, 1, 0]

    def test_observations_are_kept_apart(self, life):
        observed = life.event(EventType.ASSET_OBSERVATION, asset_key="x", data={"seen": True})
        life.done(life.run(), events=(life.materialization("x"), observed))
        assets = life.storage.assets
        assert assets.latest(["x"])["x"].event.type == "ASSET_MATERIALIZATION"
        assert assets.latest(["x"], EventType.ASSET_OBSERVATION)["x"].event.data == {"seen": True}
        assert [stored.event.type for stored in assets.history("x", kinds=[EventType.ASSET_OBSERVATION])] == [
            "ASSET_OBSERVATION"
        ]

    def test_planned_materializations_are_no_history(self, life):
        run = life.make()
        planned = life.event(EventType.ASSET_MATERIALIZATION_PLANNED, asset_key="x")
        life.storage.runs.create(run, [planned])
        assert life.storage.assets.latest() == {}
        assert life.storage.assets.history("x") == []

    def test_an_outside_report_is_stored_without_a_run(self, life):
        event = life.materialization("x", n=1)
        stored = life.storage.assets.report(event)
        assert (stored.run_id, stored.event) == ("", event)
        assert life.storage.assets.latest(["x"])["x"] == stored
        assert life.storage.assets.history("x") == [stored]

    def test_what_is_no_asset_event_is_not_reported(self, life):
        with pytest.raises(InvariantViolationError, match="cannot be reported"):
            life.storage.assets.report(life.event(asset_key="x"))
        with pytest.raises(InvariantViolationError, match="with its asset key"):
            life.storage.assets.report(life.event(EventType.ASSET_MATERIALIZATION))

    def test_many_who_make_the_same_assets_in_any_order_neither_wait_for_ever_nor_lose(self, life, race):
        keys = [f"k{number}" for number in range(12)]
        run = life.run()
        claims = [life.claimed(run, f"s{number}") for number in range(10)]

        def finish(number, claim):
            ordered = keys if number % 2 else keys[::-1]
            events = tuple(life.materialization(key, by=number) for key in ordered)
            return life.storage.attempts.finish(life.finish_of(claim, AttemptStatus.SUCCESS, events=events))

        results = race([lambda n=n, claim=claim: finish(n, claim) for n, claim in enumerate(claims)])
        assert all(result.accepted for result in results)
        for key, stored in life.storage.assets.latest().items():
            history = life.storage.assets.history(key)
            assert len(history) == len(claims)
            assert stored.id == max(item.id for item in history)


@pytest.mark.postgres
def test_a_page_waits_for_an_event_with_a_lower_id_that_is_not_committed_yet(postgres_url):
    from concurrent.futures import ThreadPoolExecutor

    from orchord.events import Event, utc_now
    from orchord.storage import Storage
    from orchord.storage.event_store import insert_events

    storage = Storage.open(postgres_url)
    written, may_commit = threading.Event(), threading.Event()

    def slow_writer():
        def work(connection):
            insert_events(connection, "run", [Event("LOG", utc_now(), "first")])
            written.set()
            assert may_commit.wait(20)

        storage.database.transact(work)

    with ThreadPoolExecutor(2) as pool:
        writer = pool.submit(slow_writer)
        assert written.wait(20)
        storage.attempts.append_events("run", [Event("LOG", utc_now(), "second")])
        page = pool.submit(storage.events.page, "run")
        with pytest.raises(TimeoutError):
            page.result(timeout=0.3)
        may_commit.set()
        assert [item.event.message for item in page.result(timeout=20)] == ["first", "second"]
        writer.result()
    storage.dispose()
