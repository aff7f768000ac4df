"""Runs, on both engines: created once per key, moved only where they may, read by pages, ended once, deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchord.errors import ConflictError, RunNotFoundError
from orchord.events import ErrorInfo, EventType
from orchord.runs import AttemptStatus, Inherited, RunStatus, new_run_id
from orchord.storage import RunFilter


class TestCreating:
    def test_a_run_comes_back_as_it_was_given(self, life):
        run = life.run(
            run_config={"ops": {"a": {"config": {"n": 1, "text": "grüß\x7f", "env": {"env": "NAME"}}}}},
            tags={"team": "data", "größe": "groß"},
            step_keys=("a", "b"),
            asset_selection=("x/y",),
            inherited={"c": Inherited("earlier", ("result",))},
            parent_run_id="parent",
            root_run_id="root",
            executor="in_process_executor",
            run_key="key",
        )
        assert life.storage.runs.get(run.run_id) == run

    def test_its_first_events_are_stored_with_it(self, life):
        run = life.make()
        life.storage.runs.create(run, [life.event(EventType.RUN_STARTING), life.event(message="second")])
        assert life.types(run) == ["RUN_STARTING", "LOG"]

    def test_the_same_key_gives_the_same_run(self, life):
        first, created = life.storage.runs.create(life.make(idempotency_key="k"), [life.event()])
        again, created_again = life.storage.runs.create(life.make(idempotency_key="k"), [life.event()])
        assert (created, created_again) == (True, False)
        assert again == first
        assert life.types(first) == ["LOG"]

    def test_the_same_key_with_another_request_is_a_conflict_that_says_what_differs(self, life):
        life.run(idempotency_key="k")
        other = life.make(idempotency_key="k", job_name="other", run_config={"ops": {}}, step_keys=("a",))
        with pytest.raises(ConflictError, match="another job and another config and another selection"):
            life.storage.runs.create(other)

    def test_twenty_requests_with_one_key_make_one_run(self, life, race):
        runs = [life.make(idempotency_key="k") for _ in range(20)]
        answers = race([lambda run=run: life.storage.runs.create(run) for run in runs])
        assert sum(created for _, created in answers) == 1
        assert len({run.run_id for run, _ in answers}) == 1
        assert len(life.storage.runs.page()) == 1

    def test_a_run_id_is_used_once(self, life):
        run = life.run()
        with pytest.raises(ConflictError, match="exists already"):
            life.storage.runs.create(life.make(run_id=run.run_id, created_at=life.now(hours=1)))

    def test_what_was_stored_by_a_try_whose_answer_was_lost_counts_as_created(self, life):
        run = life.make(idempotency_key="k")
        life.storage.runs.create(run)
        assert life.storage.runs.create(run) == (run, True)


class TestReading:
    def test_an_unknown_run_is_an_error_that_names_it(self, life):
        with pytest.raises(RunNotFoundError, match="No run has the id 'nobody'"):
            life.storage.runs.get("nobody")
        assert life.storage.runs.find("nobody") is None
        assert life.storage.runs.status("nobody") is None

    def test_pages_hold_every_run_once_newest_first(self, life):
        made = [life.run().run_id for _ in range(7)]
        seen, before = [], None
        while page := life.storage.runs.page(limit=3, before_run_id=before):
            seen += [run.run_id for run in page]
            before = seen[-1]
        assert seen == made[::-1]

    def test_a_page_goes_on_where_its_last_run_has_been_deleted_meanwhile(self, life):
        runs = [life.run(status=RunStatus.SUCCESS) for _ in range(3)]
        life.storage.runs.delete(runs[1].run_id)
        page = life.storage.runs.page(before_run_id=runs[1].run_id)
        assert [run.run_id for run in page] == [runs[0].run_id]

    def test_a_page_after_a_run_that_never_was_is_an_error(self, life):
        with pytest.raises(RunNotFoundError, match="no page can follow it"):
            life.storage.runs.page(before_run_id="nobody")

    def test_runs_of_one_moment_are_told_apart_by_their_ids(self, life):
        moment = life.now()
        made = [life.run(created_at=moment).run_id for _ in range(4)]
        first = life.storage.runs.page(limit=2)
        second = life.storage.runs.page(limit=2, before_run_id=first[-1].run_id)
        assert [run.run_id for run in first + second] == sorted(made, reverse=True)

    @pytest.mark.parametrize(
        ("wanted", "names"),
        [
            (RunFilter(), "dcba"),
            (RunFilter(job_name="numbers"), "dba"),
            (RunFilter(location="away"), "d"),
            (RunFilter(statuses=(RunStatus.STARTED, RunStatus.SUCCESS)), "cb"),
            (RunFilter(tags={"team": "data"}), "cb"),
            (RunFilter(tags={"team": "data", "size": "big"}), "b"),
            (RunFilter(tags={"team": "other"}), ""),
            (RunFilter(parent_run_id="p"), "c"),
            (RunFilter(root_run_id="r"), "cb"),
            (RunFilter(run_ids=()), ""),
            (RunFilter(run_ids=["nobody"]), ""),
            (RunFilter(job_name="numbers", tags={"team": "data"}, statuses=(RunStatus.STARTED,)), "b"),
        ],
    )
    def test_filters_must_all_fit(self, life, wanted, names):
        runs = {
            "a": life.run(),
            "b": life.run(status=RunStatus.STARTED, tags={"team": "data", "size": "big"}, root_run_id="r"),
            "c": life.run(
                job_name="other",
                status=RunStatus.SUCCESS,
                tags={"team": "data"},
                parent_run_id="p",
                root_run_id="r",
            ),
            "d": life.run(location="away"),
        }
        by_id = {run.run_id: name for name, run in runs.items()}
        assert "".join(by_id[run.run_id] for run in life.storage.runs.page(wanted)) == names

    def test_filters_by_time_leave_out_their_bounds(self, life):
        start = life.now()
        runs = [life.run(created_at=start + timedelta(seconds=number)) for number in range(4)]
        wanted = RunFilter(created_after=runs[0].created_at, created_before=runs[3].created_at)
        assert [run.run_id for run in life.storage.runs.page(wanted)] == [runs[2].run_id, runs[1].run_id]

    def test_unfinished_runs_come_oldest_first(self, life):
        runs = [life.run(status=status) for status in RunStatus]
        expected = [run.run_id for run in runs if not run.status.is_terminal]
        assert [run.run_id for run in life.storage.runs.unfinished()] == expected
        assert [run.run_id for run in life.storage.runs.unfinished(limit=2)] == expected[:2]
        after = life.storage.runs.get(expected[1])
        assert [run.run_id for run in life.storage.runs.unfinished(after=after)] == expected[2:]

    def test_runs_are_counted_by_status(self, life):
        for status in (RunStatus.SUCCESS, RunStatus.SUCCESS, RunStatus.QUEUED):
            life.run(status=status)
        assert life.storage.runs.count_by_status() == {RunStatus.SUCCESS: 2, RunStatus.QUEUED: 1}


class TestMoving:
    def test_a_run_moves_from_where_it_may_and_writes_the_event(self, life):
        run = life.run(status=RunStatus.QUEUED)
        event = life.event(EventType.RUN_DEQUEUED)
        moved = life.storage.runs.set_status(
            run.run_id, RunStatus.STARTING, allowed_from={RunStatus.QUEUED}, event=event
        )
        assert moved
        assert life.status(run) is RunStatus.STARTING
        assert life.types(run) == ["RUN_DEQUEUED"]

    def test_a_run_stays_where_it_may_not_move(self, life):
        run = life.run(status=RunStatus.STARTED)
        event = life.event(EventType.RUN_CANCELED)
        moved = life.storage.runs.set_status(
            run.run_id, RunStatus.CANCELED, allowed_from={RunStatus.QUEUED}, event=event
        )
        assert not moved
        assert life.types(run) == []

    @pytest.mark.parametrize("terminal", [RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED])
    def test_a_terminal_status_never_changes(self, life, terminal):
        run = life.run(status=terminal)
        runs = life.storage.runs
        for status in RunStatus:
            assert not runs.set_status(run.run_id, status, allowed_from=set(RunStatus), at=life.now())
        assert runs.end(run.run_id, life.now()) is None
        assert runs.fail(run.run_id, None, life.now()) is None
        assert not life.storage.attempts.claim(life.claim_of(run)).claimed
        assert life.storage.attempts.record_skips(run.run_id, [], life.now(), ends_run=True) is None
        assert life.status(run) is terminal

    def test_ending_by_hand_closes_what_still_runs(self, life):
        run = life.run()
        claim = life.claimed(run)
        assert life.storage.runs.set_status(
            run.run_id, RunStatus.CANCELED, allowed_from={RunStatus.STARTED}, at=life.now()
        )
        assert life.attempts(run) == {("a", 1): AttemptStatus.CANCELED}
        assert not life.storage.attempts.finish(life.finish_of(claim)).accepted


class TestEnding:
    def test_success_when_no_step_failed(self, life):
        run = life.run()
        life.done(run)
        at = life.now()
        assert life.storage.runs.end(run.run_id, at) is RunStatus.SUCCESS
        stored = life.storage.runs.get(run.run_id)
        assert (stored.status, stored.ended_at, stored.updated_at) == (RunStatus.SUCCESS, at, at)
        assert life.types(run)[-1] == "RUN_SUCCESS"

    @pytest.mark.parametrize("status", [AttemptStatus.FAILURE, AttemptStatus.CANCELED])
    def test_failure_when_a_step_failed(self, life, status):
        run = life.run()
        life.done(run, "a")
        life.done(run, "b", status)
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.FAILURE
        assert life.types(run)[-1] == "RUN_FAILURE"

    def test_canceled_when_it_was_being_canceled_whatever_its_steps_say(self, life):
        run = life.run()
        life.done(run, "a")
        life.storage.runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.CANCELED
        assert life.types(run)[-1] == "RUN_CANCELED"

    def test_a_run_without_steps_succeeds(self, life):
        assert life.storage.runs.end(life.run().run_id, life.now()) is RunStatus.SUCCESS

    def test_not_while_a_step_runs(self, life):
        run = life.run()
        claim = life.claimed(run)
        assert life.storage.runs.end(run.run_id, life.now()) is None
        life.finished(claim)
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.SUCCESS

    @pytest.mark.parametrize("status", [AttemptStatus.UP_FOR_RETRY, AttemptStatus.LOST])
    def test_not_while_a_step_waits_for_its_next_attempt(self, life, status):
        run = life.run()
        claim = life.claimed(run)
        if status is AttemptStatus.LOST:
            assert life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "gone")
        else:
            life.finished(claim, status)
        assert life.storage.runs.end(run.run_id, life.now()) is None
        life.finished(life.claimed(run, "a", 2))
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.SUCCESS

    def test_canceling_closes_what_still_runs(self, life):
        run = life.run()
        claim = life.claimed(run)
        life.storage.runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.CANCELED
        assert life.attempts(run) == {("a", 1): AttemptStatus.CANCELED}
        assert not life.storage.attempts.finish(life.finish_of(claim)).accepted

    def test_a_run_that_is_not_there_does_not_end(self, life):
        assert life.storage.runs.end(new_run_id(), life.now()) is None

    def test_twenty_who_end_a_run_end_it_once(self, life, race):
        run = life.run()
        life.done(run)
        answers = race([lambda: life.storage.runs.end(run.run_id, life.now())] * 20)
        assert sorted(map(str, filter(None, answers))) == ["SUCCESS"]
        assert life.types(run).count("RUN_SUCCESS") == 1

    def test_ending_and_failing_and_canceling_at_once_leave_one_end(self, life, race):
        for _ in range(10):
            run = life.run()
            life.done(run)
            runs, canceled = life.storage.runs, life.event(EventType.RUN_CANCELED)
            answers = race(
                [
                    lambda: runs.end(run.run_id, life.now()),
                    lambda: runs.fail(run.run_id, None, life.now()),
                    lambda: runs.set_status(
                        run.run_id, RunStatus.CANCELED, allowed_from={RunStatus.STARTED}, event=canceled
                    ),
                ]
            )
            assert len([answer for answer in answers if answer]) == 1
            ends = [kind for kind in life.types(run) if kind in ("RUN_SUCCESS", "RUN_FAILURE", "RUN_CANCELED")]
            assert len(ends) == 1


class TestFailing:
    def test_the_error_is_kept_and_told(self, life):
        run = life.run()
        life.claimed(run)
        error = ErrorInfo("Gone", "the worker is gone", "Traceback…", cause=ErrorInfo("Deeper", "why"))
        assert life.storage.runs.fail(run.run_id, error, life.now()) is RunStatus.FAILURE
        assert life.storage.runs.get(run.run_id).error == error
        last = life.storage.events.page(run.run_id)[-1].event
        assert (last.type, last.message) == ("RUN_FAILURE", "Run failed: the worker is gone")
        assert last.data["error"]["cause"]["cls_name"] == "Deeper"
        assert life.attempts(run) == {("a", 1): AttemptStatus.CANCELED}

    def test_a_run_that_is_being_canceled_ends_as_canceled(self, life):
        run = life.run(status=RunStatus.CANCELING)
        assert life.storage.runs.fail(run.run_id, ErrorInfo("X", "x"), life.now()) is RunStatus.CANCELED

    def test_its_key_can_be_given_free(self, life):
        run = life.run(idempotency_key="k")
        life.storage.runs.fail(run.run_id, None, life.now(), free_key=True)
        again, created = life.storage.runs.create(life.make(idempotency_key="k"))
        assert created
        assert again.run_id != run.run_id


class TestDeleting:
    def test_everything_of_a_run_goes_but_what_it_told_of_assets(self, life):
        run = life.run(status=RunStatus.STARTING, tags={"a": "b"})
        other = life.run()
        life.done(run, events=(life.materialization("x"),))
        life.done(other)
        life.storage.runs.end(run.run_id, life.now())
        assert life.storage.runs.delete(run.run_id)
        assert life.storage.runs.find(run.run_id) is None
        assert life.types(run) == []
        assert life.attempts(run) == {}
        assert life.storage.runs.page(RunFilter(tags={"a": "b"})) == []
        assert life.storage.assets.latest(["x"])["x"].run_id == run.run_id
        assert life.attempts(other) == {("a", 1): AttemptStatus.SUCCESS}

    def test_a_run_that_goes_on_is_not_deleted(self, life):
        run = life.run(status=RunStatus.STARTED)
        with pytest.raises(ConflictError, match="is STARTED and cannot be deleted before it has ended. Cancel it"):
            life.storage.runs.delete(run.run_id)
        assert life.status(run) is RunStatus.STARTED

    def test_deleting_nothing_says_so(self, life):
        assert not life.storage.runs.delete("nobody")
