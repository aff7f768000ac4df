"""Attempts, on both engines: one claim wins, only the token's holder finishes, no step succeeds twice."""

from __future__ import annotations

import pytest

from orchord.events import ErrorInfo, EventType
from orchord.runs import Attempt, AttemptStatus, RunStatus
from orchord.storage import Claim, Skip, WorkerRow


class TestClaiming:
    def test_the_first_claim_starts_the_run(self, life):
        run = life.run()
        claim = life.claim_of(run, "a", retry_number=0, process_id=7)
        result = life.storage.attempts.claim(claim, want_run=True)
        stored = life.storage.runs.get(run.run_id)
        assert (result.claimed, result.run_status, result.existing) == (True, RunStatus.STARTED, None)
        assert result.run == stored
        assert (stored.status, stored.started_at) == (RunStatus.STARTED, claim.at)
        assert life.storage.attempts.of_run(run.run_id) == [
            Attempt(run.run_id, "a", 1, AttemptStatus.RUNNING, 0, claim.token, "worker", 7, claim.at)
        ]
        assert life.types(run) == ["RUN_START", "STEP_START"]

    def test_later_claims_leave_the_runs_start_alone(self, life):
        run = life.run()
        first = life.claimed(run, "a")
        result = life.storage.attempts.claim(life.claim_of(run, "b"), want_run=True)
        assert result.run is not None
        assert result.run.started_at == first.at
        assert life.types(run) == ["RUN_START", "STEP_START", "STEP_START"]

    def test_a_further_attempt_is_a_restart(self, life):
        run = life.run()
        life.finished(life.claimed(run), AttemptStatus.UP_FOR_RETRY)
        life.claimed(run, attempt=2, retry_number=1)
        assert life.types(run)[-1] == "STEP_RESTARTED"
        assert life.storage.attempts.of_run(run.run_id)[-1].retry_number == 1

    def test_a_claim_that_is_sent_again_with_its_token_has_won(self, life):
        run = life.run()
        claim = life.claimed(run)
        again = life.storage.attempts.claim(claim, want_run=True)
        assert again.claimed
        assert again.run is not None
        assert again.run.status is RunStatus.STARTED
        assert life.types(run) == ["RUN_START", "STEP_START"]

    def test_a_claim_that_is_sent_again_after_its_finish_has_not(self, life):
        run = life.run()
        claim = life.claimed(run)
        life.finished(claim)
        assert not life.storage.attempts.claim(claim).claimed

    def test_a_taken_attempt_is_refused_and_named(self, life):
        run = life.run()
        life.claimed(run)
        result = life.storage.attempts.claim(life.claim_of(run))
        assert (result.claimed, result.existing, result.run) == (False, AttemptStatus.RUNNING, None)

    @pytest.mark.parametrize("end", [AttemptStatus.SUCCESS, AttemptStatus.FAILURE, AttemptStatus.CANCELED])
    def test_a_step_that_has_ended_is_not_claimed_again_by_a_later_attempt(self, life, end):
        run = life.run()
        life.done(run, "a", end)
        result = life.storage.attempts.claim(life.claim_of(run, "a", 2))
        assert (result.claimed, result.existing) == (False, end)

    def test_a_step_that_runs_is_not_claimed_by_a_later_attempt(self, life):
        run = life.run()
        life.claimed(run)
        result = life.storage.attempts.claim(life.claim_of(run, "a", 2))
        assert (result.claimed, result.existing) == (False, AttemptStatus.RUNNING)

    def test_a_skipped_step_is_not_claimed(self, life):
        run = life.run()
        life.storage.attempts.record_skips(run.run_id, [Skip("a", AttemptStatus.SKIPPED)], life.now())
        result = life.storage.attempts.claim(life.claim_of(run))
        assert (result.claimed, result.existing) == (False, AttemptStatus.SKIPPED)

    @pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.STARTING, RunStatus.STARTED}))
    def test_a_run_that_does_not_go_on_gives_no_claims(self, life, status):
        run = life.run(status=status)
        result = life.storage.attempts.claim(life.claim_of(run), want_run=True)
        assert (result.claimed, result.run_status, result.run) == (False, status, None)
        assert life.attempts(run) == {}
        assert life.types(run) == []

    def test_a_run_that_is_not_there_gives_none(self, life):
        result = life.storage.attempts.claim(Claim("nobody", "a", 1, "token", "worker", life.now()), want_run=True)
        assert (result.claimed, result.run_status, result.existing) == (False, None, None)

    def test_of_many_who_claim_one_attempt_one_wins(self, life, open_storage, race):
        storages = [open_storage() for _ in range(3)]
        for _ in range(5):
            run = life.run()
            claims = [life.claim_of(run) for _ in range(15)]
            results = race(
                [lambda number=n, claim=c: storages[number % 3].attempts.claim(claim) for n, c in enumerate(claims)]
            )
            winners = [claim.token for claim, result in zip(claims, results, strict=True) if result.claimed]
            assert [attempt.token for attempt in life.storage.attempts.of_run(run.run_id)] == winners
            assert {result.existing for result in results if not result.claimed} == {AttemptStatus.RUNNING}
            assert life.types(run) == ["RUN_START", "STEP_START"]

    def test_many_roots_claimed_at_once_start_the_run_once(self, life, race):
        for _ in range(5):
            run = life.run()
            results = race(
                [lambda key=key: life.storage.attempts.claim(life.claim_of(run, f"s{key}")) for key in range(12)]
            )
            assert all(result.claimed for result in results)
            assert life.types(run) == ["RUN_START", *["STEP_START"] * 12]

    def test_a_claim_and_the_runs_cancellation_never_both_miss_each_other(self, life, race):
        for _ in range(15):
            run = life.run()
            life.done(run, "before")
            runs = life.storage.runs

            def cancel(run=run, runs=runs):
                runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
                return [item.status for item in life.storage.attempts.of_run(run.run_id) if item.step_key == "a"]

            claimed, seen = race([lambda run=run: life.storage.attempts.claim(life.claim_of(run)).claimed, cancel])
            assert claimed == (seen == [AttemptStatus.RUNNING])


class TestFinishing:
    def test_all_that_came_of_it_is_written(self, life):
        run = life.run()
        claim = life.claimed(run)
        events = (
            life.event(EventType.STEP_OUTPUT, "first", step_key="a", data={"n": 1, "nested": {"x": [1, None]}}),
            life.event(EventType.LOG, "second", step_key="a", level=40),
            life.event(EventType.STEP_SUCCESS, "", step_key="a"),
        )
        finish = life.finish_of(claim, outputs=("x", "y"), events=events)
        result = life.storage.attempts.finish(finish)
        assert (result.accepted, result.run_status, result.then_claimed) == (True, None, False)
        (attempt,) = life.storage.attempts.of_run(run.run_id)
        assert (attempt.status, attempt.outputs, attempt.ended_at) == (AttemptStatus.SUCCESS, ("x", "y"), finish.at)
        stored = life.storage.events.page(run.run_id, types=["STEP_OUTPUT", "LOG", "STEP_SUCCESS"])
        assert tuple(item.event for item in stored) == events

    def test_an_error_and_the_time_of_the_retry_are_kept(self, life):
        run = life.run()
        error, retry_at = ErrorInfo("ValueError", "bad", "Traceback", ErrorInfo("KeyError", "'x'")), life.now(minutes=5)
        life.finished(life.claimed(run), AttemptStatus.UP_FOR_RETRY, error=error, retry_at=retry_at)
        (attempt,) = life.storage.attempts.of_run(run.run_id)
        assert (attempt.status, attempt.error, attempt.retry_at) == (AttemptStatus.UP_FOR_RETRY, error, retry_at)

    def test_a_stale_token_is_refused_and_nothing_is_written(self, life):
        run = life.run()
        claim = life.claimed(run)
        stale = life.claim_of(run)
        finish = life.finish_of(
            stale, events=(life.materialization("x"),), skips=(Skip("b", AttemptStatus.SKIPPED),), ends_run=True
        )
        assert not life.storage.attempts.finish(finish).accepted
        assert life.attempts(run) == {("a", 1): AttemptStatus.RUNNING}
        assert life.types(run) == ["RUN_START", "STEP_START"]
        assert life.storage.assets.latest() == {}
        assert life.status(run) is RunStatus.STARTED
        life.finished(claim)

    def test_a_finish_is_accepted_once(self, life, race):
        run = life.run()
        finish = life.finish_of(life.claimed(run), events=(life.event(),))
        results = race([lambda: life.storage.attempts.finish(finish)] * 10)
        assert sum(result.accepted for result in results) == 1
        assert life.types(run).count("LOG") == 1

    def test_a_lost_attempt_is_finished_by_nobody(self, life):
        run = life.run()
        claim = life.claimed(run)
        assert life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "its worker died")
        second = life.claimed(run, "a", 2)
        assert not life.storage.attempts.finish(life.finish_of(claim)).accepted
        life.finished(second)
        assert life.attempts(run) == {("a", 1): AttemptStatus.LOST, ("a", 2): AttemptStatus.SUCCESS}

    def test_losing_and_finishing_at_once_leave_one_end(self, life, race):
        for _ in range(15):
            run = life.run()
            claim = life.claimed(run)
            lost, finished = race(
                [
                    lambda run=run: life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "gone"),
                    lambda claim=claim: life.storage.attempts.finish(life.finish_of(claim)).accepted,
                ]
            )
            assert lost != finished
            assert life.attempts(run) == {("a", 1): AttemptStatus.LOST if lost else AttemptStatus.SUCCESS}

    def test_no_step_has_two_successes_even_past_our_own_rules(self, life, storage):
        import sqlalchemy as sa

        run = life.run()
        life.done(run, "a")
        statement = sa.text(
            "INSERT INTO attempts (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id) "
            "VALUES (:run_id, 'a', 2, 'SUCCESS', 0, '', '', 0)"
        )
        with pytest.raises(sa.exc.IntegrityError):
            storage.database.transact(lambda connection: connection.execute(statement, {"run_id": run.run_id}))

    def test_text_that_a_database_refuses_is_made_harmless(self, life):
        run = life.run()
        nasty = "a\x00b \ud800 \\u0000 \\\x00"
        life.done(run, events=(life.event(message=nasty, data={"k\x00": [nasty], "deep": {"x": nasty}}),))
        event = life.storage.events.page(run.run_id, types=["LOG"])[0].event
        assert event.message in ("a\ufffdb ? \\u0000 \\\ufffd", "a\ufffdb \ufffd \\u0000 \\\ufffd")
        assert event.data == {"k\ufffd": [event.message], "deep": {"x": event.message}}

    def test_skips_are_recorded_with_their_reasons(self, life):
        run = life.run()
        skips = (Skip("c", AttemptStatus.SKIPPED, "not yielded"), Skip("b", AttemptStatus.UPSTREAM_FAILED, "failed"))
        life.finished(life.claimed(run), AttemptStatus.FAILURE, skips=skips)
        assert life.attempts(run) == {
            ("a", 1): AttemptStatus.FAILURE,
            ("b", 1): AttemptStatus.UPSTREAM_FAILED,
            ("c", 1): AttemptStatus.SKIPPED,
        }
        stored = life.storage.events.page(run.run_id, types=["STEP_SKIPPED"])
        told = {item.event.step_key: (item.event.message, item.event.data["status"]) for item in stored}
        assert told == {"b": ("failed", "UPSTREAM_FAILED"), "c": ("not yielded", "SKIPPED")}

    def test_a_step_that_has_a_row_is_not_skipped_too(self, life):
        run = life.run()
        first, second = life.claimed(run, "a"), life.claimed(run, "b")
        life.finished(first, skips=(Skip("b", AttemptStatus.SKIPPED),))
        assert life.attempts(run)["b", 1] is AttemptStatus.RUNNING
        assert "STEP_SKIPPED" not in life.types(run)
        life.finished(second)


class TestEndingWithTheLastStep:
    @pytest.mark.parametrize(
        ("status", "end"),
        [
            (AttemptStatus.SUCCESS, RunStatus.SUCCESS),
            (AttemptStatus.FAILURE, RunStatus.FAILURE),
            (AttemptStatus.CANCELED, RunStatus.FAILURE),
            (AttemptStatus.SKIPPED, RunStatus.SUCCESS),
        ],
    )
    def test_the_run_ends_as_its_steps_say(self, life, status, end):
        run = life.run()
        life.done(run, "before")
        result = life.finished(life.claimed(run), status, ends_run=True)
        assert result.run_status is end
        assert life.status(run) is end
        assert life.types(run)[-1] == f"RUN_{end}"

    def test_an_earlier_failure_counts(self, life):
        run = life.run()
        life.done(run, "before", AttemptStatus.FAILURE)
        assert life.finished(life.claimed(run), ends_run=True).run_status is RunStatus.FAILURE

    def test_skips_of_the_same_finish_belong_to_the_run_that_ends(self, life):
        run = life.run()
        skips = (Skip("b", AttemptStatus.UPSTREAM_FAILED),)
        result = life.finished(life.claimed(run), AttemptStatus.FAILURE, skips=skips, ends_run=True)
        assert result.run_status is RunStatus.FAILURE
        assert life.types(run)[-2:] == ["STEP_SKIPPED", "RUN_FAILURE"]

    def test_a_run_that_is_being_canceled_ends_as_canceled(self, life):
        run = life.run()
        claim = life.claimed(run)
        life.storage.runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
        assert life.finished(claim, ends_run=True).run_status is RunStatus.CANCELED
        assert life.attempts(run) == {("a", 1): AttemptStatus.SUCCESS}

    def test_a_retry_does_not_end_the_run(self, life):
        run = life.run()
        result = life.finished(life.claimed(run), AttemptStatus.UP_FOR_RETRY, ends_run=True)
        assert result.run_status is None
        assert life.status(run) is RunStatus.STARTED

    def test_of_twenty_finishes_that_end_the_run_one_does(self, life, race):
        run = life.run()
        claims = [life.claimed(run, f"s{number}") for number in range(20)]
        results = race(
            [lambda claim=claim: life.storage.attempts.finish(life.finish_of(claim, ends_run=True)) for claim in claims]
        )
        assert all(result.accepted for result in results)
        ended = [result.run_status for result in results if result.run_status is not None]
        assert ended == [RunStatus.SUCCESS]
        assert life.types(run).count("RUN_SUCCESS") == 1


class TestClaimingTheNextStep:
    def test_the_next_step_is_claimed_with_the_end_of_the_one_before(self, life):
        run = life.run()
        then = life.claim_of(run, "b", process_id=3)
        result = life.finished(life.claimed(run), then_claim=then, events=(life.event(),))
        assert result.then_claimed
        assert life.attempts(run) == {("a", 1): AttemptStatus.SUCCESS, ("b", 1): AttemptStatus.RUNNING}
        assert life.types(run)[-2:] == ["LOG", "STEP_START"]
        life.finished(then)

    def test_not_when_the_step_is_taken(self, life):
        run = life.run()
        other = life.claimed(run, "b")
        result = life.finished(life.claimed(run), then_claim=life.claim_of(run, "b"))
        assert not result.then_claimed
        assert life.types(run).count("STEP_START") == 2
        life.finished(other)

    def test_not_when_the_run_is_being_canceled(self, life):
        run = life.run()
        claim = life.claimed(run)
        life.storage.runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
        assert not life.finished(claim, then_claim=life.claim_of(run, "b")).then_claimed
        assert life.attempts(run) == {("a", 1): AttemptStatus.SUCCESS}

    def test_not_when_the_finish_is_refused(self, life):
        run = life.run()
        life.claimed(run)
        finish = life.finish_of(life.claim_of(run), then_claim=life.claim_of(run, "b"))
        result = life.storage.attempts.finish(finish)
        assert (result.accepted, result.then_claimed) == (False, False)
        assert life.attempts(run) == {("a", 1): AttemptStatus.RUNNING}

    def test_of_many_who_claim_it_so_one_wins(self, life, race):
        run = life.run()
        claims = [life.claimed(run, f"s{number}") for number in range(10)]
        results = race(
            [
                lambda claim=claim: life.storage.attempts.finish(
                    life.finish_of(claim, then_claim=life.claim_of(run, "next"))
                )
                for claim in claims
            ]
        )
        assert all(result.accepted for result in results)
        assert sum(result.then_claimed for result in results) == 1


class TestSkipping:
    def test_skips_can_end_the_run(self, life):
        run = life.run()
        skips = [Skip("a", AttemptStatus.SKIPPED, "why"), Skip("b", AttemptStatus.SKIPPED, "too")]
        ended = life.storage.attempts.record_skips(run.run_id, skips, at=life.now(), ends_run=True)
        assert ended is RunStatus.SUCCESS
        assert life.types(run) == ["STEP_SKIPPED", "STEP_SKIPPED", "RUN_SUCCESS"]

    def test_an_earlier_failure_decides(self, life):
        run = life.run()
        life.done(run, "a", AttemptStatus.FAILURE)
        skips = [Skip("b", AttemptStatus.UPSTREAM_FAILED)]
        assert life.storage.attempts.record_skips(run.run_id, skips, life.now(), True) is RunStatus.FAILURE

    def test_a_canceled_step_is_recorded_under_its_attempt(self, life):
        run = life.run()
        life.finished(life.claimed(run), AttemptStatus.UP_FOR_RETRY)
        life.storage.runs.set_status(run.run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, at=life.now())
        skips = [Skip("a", AttemptStatus.CANCELED, "canceled", attempt=2)]
        assert life.storage.attempts.record_skips(run.run_id, skips, life.now(), True) is RunStatus.CANCELED
        assert life.attempts(run) == {("a", 1): AttemptStatus.UP_FOR_RETRY, ("a", 2): AttemptStatus.CANCELED}

    def test_recording_twice_changes_nothing(self, life, race):
        run = life.run()
        skips = [Skip(f"s{number}", AttemptStatus.SKIPPED) for number in range(10)]
        race([lambda: life.storage.attempts.record_skips(run.run_id, skips, life.now())] * 8)
        assert life.types(run) == ["STEP_SKIPPED"] * 10

    def test_skipping_and_claiming_at_once_leave_one_row(self, life, race):
        for _ in range(10):
            run = life.run()
            skips = [Skip("a", AttemptStatus.SKIPPED)]
            claimed, _ = race(
                [
                    lambda run=run: life.storage.attempts.claim(life.claim_of(run)).claimed,
                    lambda run=run, skips=skips: life.storage.attempts.record_skips(run.run_id, skips, life.now()),
                ]
            )
            expected = AttemptStatus.RUNNING if claimed else AttemptStatus.SKIPPED
            assert life.attempts(run) == {("a", 1): expected}

    def test_a_run_that_is_not_there_skips_nothing(self, life):
        skips = [Skip("a", AttemptStatus.SKIPPED)]
        assert life.storage.attempts.record_skips("nobody", skips, life.now(), True) is None
        assert life.storage.attempts.of_run("nobody") == []


class TestLosing:
    def test_a_lost_attempt_tells_why(self, life):
        run = life.run()
        life.claimed(run)
        assert life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "its process died")
        (attempt,) = life.storage.attempts.of_run(run.run_id)
        assert (attempt.status, attempt.error) == (AttemptStatus.LOST, ErrorInfo("AttemptLost", "its process died"))
        last = life.storage.events.page(run.run_id)[-1].event
        assert (last.type, last.message) == ("ENGINE_EVENT", "Attempt 1 was lost: its process died")

    def test_for_good_it_is_a_failure(self, life):
        run = life.run()
        life.claimed(run)
        assert life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "died", final=True)
        assert life.attempts(run) == {("a", 1): AttemptStatus.FAILURE}
        assert life.types(run)[-1] == "STEP_FAILURE"
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.FAILURE

    def test_only_a_running_attempt_is_lost(self, life):
        run = life.run()
        life.done(run)
        assert not life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "died")
        assert not life.storage.attempts.mark_lost(run.run_id, "b", 1, life.now(), "died")
        assert life.types(run) == ["RUN_START", "STEP_START"]

    def test_attempts_of_silent_and_unknown_workers_are_found(self, life):
        run, ended = life.run(), life.run()
        early = life.now(minutes=-10)
        for step, worker in (("a", "silent"), ("b", "alive"), ("c", "unknown"), ("d", "silent")):
            life.claimed(run, step, worker_id=worker, at=early)
        life.finished(life.claimed(run, "e", worker_id="silent", at=early))
        life.claimed(run, "late", worker_id="new", at=life.now())
        life.claimed(ended, "f", worker_id="silent", at=early)
        life.storage.runs.fail(ended.run_id, None, life.now())
        for name, seen in (("silent", early), ("alive", life.now())):
            life.storage.workers.beat(WorkerRow(name, "host", 1, "home", (), early, seen))
        found = life.storage.attempts.running_of_dead_workers(life.now(minutes=-1))
        assert sorted(attempt.step_key for attempt in found) == ["a", "c", "d"]

    def test_attempts_of_one_process_are_found(self, life):
        run = life.run()
        life.claimed(run, "a", worker_id="w", process_id=1)
        life.claimed(run, "b", worker_id="w", process_id=2)
        life.claimed(run, "c", worker_id="v", process_id=1)
        life.finished(life.claimed(run, "d", worker_id="w", process_id=1))
        found = life.storage.attempts.running_of_process("w", 1)
        assert [attempt.step_key for attempt in found] == ["a"]


def test_one_attempt_can_be_read(life):
    run = life.run()
    claim = life.claimed(run)
    found = life.storage.attempts.find(run.run_id, "a", 1)
    assert found is not None
    assert found.token == claim.token
    assert life.storage.attempts.find(run.run_id, "a", 2) is None
