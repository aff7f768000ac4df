"""Every status that a run comes to is noted with it, and told of until somebody has dealt with it."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from orchord.events import ErrorInfo, EventType
from orchord.runs import AttemptStatus, RunStatus
from orchord.storage import RunChange, Skip
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick

REASON = ErrorInfo("RunTimeout", "The run took longer than 5 seconds.", cause=ErrorInfo("Why", "it was slow"))


@pytest.fixture
def told(storage):
    """Returns the statuses that are noted of a run, in order."""

    def of(run):
        return [change.status.value for change in storage.changes.page() if change.run_id == run.run_id]

    return of


def tick_of(change, name="on_end"):
    """The tick that a change asks for."""
    key = InstigatorKey("home", InstigatorKind.SENSOR, name)
    return NewTick(key, f"run:{change.run_id}:{change.status}", change.at, 60.0)


class TestNoting:
    def test_a_run_is_told_of_from_its_creation_to_its_end(self, life, told):
        run = life.run()
        assert told(run) == ["STARTING"]
        life.done(run, ends_run=True)
        assert told(run) == ["STARTING", "STARTED", "SUCCESS"]

    def test_a_change_carries_its_time(self, life):
        run = life.run()
        claim = life.claimed(run)
        end = life.finish_of(claim, ends_run=True)
        life.storage.attempts.finish(end)
        created, started, ended = life.storage.changes.page()
        assert created == RunChange(created.id, run.run_id, RunStatus.STARTING, run.created_at)
        assert (started.status, started.at) == (RunStatus.STARTED, claim.at)
        assert (ended.status, ended.at) == (RunStatus.SUCCESS, end.at)

    def test_a_run_that_is_there_already_is_told_of_once(self, life, told):
        run = life.run(idempotency_key="k")
        life.storage.runs.create(life.make(idempotency_key="k"))
        assert told(run) == ["STARTING"]
        assert life.storage.changes.count() == 1

    def test_further_claims_of_a_run_say_nothing(self, life, told):
        run = life.run()
        life.claimed(run, "a")
        life.claimed(run, "b")
        assert told(run) == ["STARTING", "STARTED"]

    def test_moves_and_cancels(self, life, told):
        run = life.run(status=RunStatus.QUEUED)
        runs = life.storage.runs
        assert runs.set_status(run.run_id, RunStatus.STARTING, allowed_from=[RunStatus.QUEUED])
        assert not runs.set_status(run.run_id, RunStatus.STARTING, allowed_from=[RunStatus.QUEUED])
        life.claimed(run)
        assert runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from=[RunStatus.STARTED])
        assert runs.end(run.run_id, life.now()) is RunStatus.CANCELED
        assert runs.end(run.run_id, life.now()) is None
        assert told(run) == ["QUEUED", "STARTING", "STARTED", "CANCELING", "CANCELED"]

    def test_failing_from_outside(self, life, told):
        run = life.run()
        life.storage.runs.fail(run.run_id, REASON, life.now())
        life.storage.runs.fail(run.run_id, REASON, life.now())
        assert told(run) == ["STARTING", "FAILURE"]

    def test_an_end_by_skips(self, life, told):
        run = life.run()
        life.done(run, status=AttemptStatus.FAILURE)
        skip = Skip("b", AttemptStatus.UPSTREAM_FAILED)
        assert life.storage.attempts.record_skips(run.run_id, [skip], life.now(), ends_run=True) is RunStatus.FAILURE
        assert told(run) == ["STARTING", "STARTED", "FAILURE"]

    def test_an_end_that_did_not_come_is_not_told_of(self, life, told):
        run = life.run()
        life.claimed(run, "a")
        life.done(run, "b", ends_run=True)
        assert told(run) == ["STARTING", "STARTED"]

    def test_steps_that_end_at_once_tell_of_one_end(self, life, told, open_storage, race):
        storages = [open_storage() for _ in range(4)]
        for _ in range(5):
            run = life.run()
            ends = [life.finish_of(life.claimed(run, f"s{n}"), ends_run=True) for n in range(4)]
            race(
                [
                    lambda storage=storage, end=end: storage.attempts.finish(end)
                    for storage, end in zip(storages, ends, strict=True)
                ]
            )
            assert told(run) == ["STARTING", "STARTED", "SUCCESS"]


class TestARunThatIsStoppedForAReason:
    def test_it_fails_by_the_reason_when_its_steps_have_stopped(self, life, told):
        run = life.run()
        claim = life.claimed(run)
        assert life.storage.runs.begin_stop(run.run_id, REASON, life.now())
        assert life.status(run) is RunStatus.CANCELING
        assert not life.storage.attempts.claim(life.claim_of(run, "b")).claimed
        result = life.finished(claim, AttemptStatus.CANCELED, ends_run=True)
        assert result.run_status is RunStatus.FAILURE
        self.check(life, run, told)

    @pytest.mark.parametrize("how", ["end", "fail", "skips", "cancel"])
    def test_whoever_ends_it(self, life, told, how):
        run = life.run()
        life.claimed(run)
        assert life.storage.runs.begin_stop(run.run_id, REASON, life.now())
        if how == "end":
            status = life.storage.runs.end(run.run_id, life.now())
        elif how == "fail":
            status = life.storage.runs.fail(run.run_id, ErrorInfo("Other", "another reason"), life.now())
        elif how == "cancel":
            canceled = life.event(EventType.RUN_CANCELED, "Run canceled by force.")
            life.storage.runs.set_status(
                run.run_id, RunStatus.CANCELED, allowed_from=[RunStatus.CANCELING], event=canceled
            )
            status = life.status(run)
        else:
            skip = Skip("b", AttemptStatus.CANCELED)
            status = life.storage.attempts.record_skips(run.run_id, [skip], life.now(), ends_run=True)
        assert status is RunStatus.FAILURE
        assert life.attempts(run)[("a", 1)] is AttemptStatus.CANCELED
        self.check(life, run, told)

    def check(self, life, run, told):
        stored = life.storage.runs.get(run.run_id)
        assert (stored.status, stored.error) == (RunStatus.FAILURE, REASON)
        assert told(run) == ["STARTING", "STARTED", "CANCELING", "FAILURE"]
        events = {stored.event.type: stored.event for stored in life.storage.events.page(run.run_id)}
        canceling, failure = events[EventType.RUN_CANCELING], events[EventType.RUN_FAILURE]
        assert canceling.message == "Stopping the run: The run took longer than 5 seconds."
        assert (failure.message, failure.level) == ("Run failed: The run took longer than 5 seconds.", 40)
        assert failure.data["error"]["cls_name"] == "RunTimeout"
        assert failure.data["error"]["cause"]["message"] == "it was slow"

    def test_it_is_stopped_once_and_only_while_it_is_under_way(self, life):
        run = life.run()
        assert life.storage.runs.begin_stop(run.run_id, REASON, life.now())
        assert not life.storage.runs.begin_stop(run.run_id, ErrorInfo("Other", "other"), life.now())
        assert life.storage.runs.get(run.run_id).error == REASON
        for status in (RunStatus.QUEUED, RunStatus.SUCCESS, RunStatus.CANCELING):
            other = life.run(status=status)
            assert not life.storage.runs.begin_stop(other.run_id, REASON, life.now())
            assert life.status(other) is status

    def test_a_canceled_run_stays_canceled(self, life):
        run = life.run(status=RunStatus.CANCELING)
        assert life.storage.runs.fail(run.run_id, REASON, life.now()) is RunStatus.CANCELED


class TestSettling:
    def test_settled_changes_are_gone_and_their_ticks_are_there(self, life):
        run = life.run()
        life.done(run, ends_run=True)
        changes = life.storage.changes.page(limit=2)
        made = life.storage.changes.settle([change.id for change in changes], [tick_of(changes[1])])
        assert [tick.tick_key for tick in made] == [f"run:{run.run_id}:STARTED"]
        assert [change.status for change in life.storage.changes.page()] == [RunStatus.SUCCESS]

    def test_a_change_that_is_settled_twice_makes_its_tick_once(self, life, open_storage, race):
        for _ in range(20):
            life.run()
        changes = life.storage.changes.page()
        storages = [open_storage() for _ in range(3)]
        ids = [change.id for change in changes]
        orders = (changes, changes[::-1], changes)
        acts = [
            lambda storage=storage, order=order: storage.changes.settle(ids, [tick_of(change) for change in order])
            for storage, order in zip(storages, orders, strict=True)
        ]
        made = [tick.tick_key for result in race(acts) for tick in result]
        assert sorted(made) == sorted(f"run:{change.run_id}:STARTING" for change in changes)
        assert life.storage.changes.count() == 0

    def test_very_many_are_settled_at_once(self, life):
        for _ in range(3):
            life.run()
        ids = [change.id for change in life.storage.changes.page()]
        assert life.storage.changes.settle([*ids, *range(10_000, 50_000)]) == []
        assert life.storage.changes.page() == []

    def test_a_dispatcher_beside_many_writers_misses_no_change(self, life, open_storage):
        writers, count = [open_storage() for _ in range(3)], 15

        def write(storage):
            own = type(life)(storage)
            for _ in range(count):
                own.done(own.run(), ends_run=True)

        threads = [threading.Thread(target=write, args=(storage,)) for storage in writers]
        for thread in threads:
            thread.start()
        seen: list[tuple[str, str]] = []

        def settle():
            changes = life.storage.changes.page(limit=10)
            life.storage.changes.settle([change.id for change in changes])
            seen.extend((change.run_id, change.status.value) for change in changes)
            return changes

        while any(thread.is_alive() for thread in threads) or settle():
            settle()
        with life.storage.database.reading() as connection:
            ids = [row[0] for row in connection.execute(sa.text("SELECT run_id FROM runs"))]
        assert len(ids) == 3 * count
        assert sorted(seen) == sorted(
            (run_id, status) for run_id in ids for status in ("STARTING", "STARTED", "SUCCESS")
        )


class TestPurging:
    def test_old_runs_go_by_status_oldest_first(self, life):
        runs = life.storage.runs

        def ended(days, status=RunStatus.SUCCESS):
            at = life.now(days=-days)
            return life.run(status=status, created_at=at, ended_at=at)

        oldest, old, failed, young = ended(9), ended(8), ended(9, RunStatus.FAILURE), ended(1)
        unfinished = life.run(status=RunStatus.QUEUED, created_at=life.now(days=-20))
        slow = life.run(status=RunStatus.SUCCESS, created_at=life.now(days=-9), ended_at=life.now())
        week = life.now(days=-7)
        assert runs.purge(week, [RunStatus.QUEUED]) == []
        assert runs.purge(week, [RunStatus.SUCCESS], limit=1) == [oldest.run_id]
        assert runs.purge(week, [RunStatus.SUCCESS]) == [old.run_id]
        assert runs.purge(week) == [failed.run_id]
        assert runs.purge(week) == []
        assert {run.run_id for run in runs.page()} == {young.run_id, unfinished.run_id, slow.run_id}

    def test_all_of_a_run_goes_but_what_it_told_of_assets(self, life):
        run = life.run(tags={"a": "b"})
        life.done(run, events=(life.materialization("orders"),), ends_run=True)
        assert life.storage.runs.purge(life.now(hours=1)) == [run.run_id]
        assert life.storage.runs.find(run.run_id) is None
        assert life.attempts(run) == {}
        assert life.types(run) == []
        assert life.storage.assets.latest()["orders"].run_id == run.run_id
