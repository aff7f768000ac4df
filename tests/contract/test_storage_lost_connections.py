"""Lost connections on PostgreSQL: a dead pooled connection costs nothing, and no statement takes place twice."""

from __future__ import annotations

import psycopg2
import pytest
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.events import EventType
from orchord.runs import AttemptStatus, RunStatus
from orchord.storage import FinishResult, Skip

pytestmark = pytest.mark.postgres


@pytest.fixture
def storage_url(postgres_url):
    """These tests are of PostgreSQL alone."""
    return postgres_url


@pytest.fixture
def lose_answers(storage, monkeypatch):
    """Makes the next ``count`` statements of the hot path take place and their answers get lost."""
    real = storage.database.once

    def lose(count=1):
        left = [count]

        def once(sql, parameters):
            row = real(sql, parameters)
            if left[0]:
                left[0] -= 1
                cause = psycopg2.OperationalError("server closed the connection unexpectedly")
                raise StorageUnavailableError("lost") from cause
            return row

        monkeypatch.setattr(storage.database, "once", once)

    return lose


class TestDeadPooledConnections:
    def test_every_operation_goes_on_over_a_new_connection(self, life, kill_connections):
        run = life.run()
        kill_connections()
        claim = life.claimed(run)
        kill_connections()
        life.finished(claim, events=(life.event(),))
        kill_connections()
        assert life.storage.runs.get(run.run_id).status is RunStatus.STARTED
        kill_connections()
        assert life.types(run) == ["RUN_START", "STEP_START", "LOG"]
        kill_connections()
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.SUCCESS
        kill_connections()
        assert life.run().run_id

    def test_transactions_too(self, life, kill_connections):
        run = life.run()
        life.claimed(run)
        kill_connections()
        assert life.storage.attempts.mark_lost(run.run_id, "a", 1, life.now(), "gone")
        kill_connections()
        assert life.storage.runs.fail(run.run_id, None, life.now()) is RunStatus.FAILURE
        kill_connections()
        assert life.storage.runs.delete(run.run_id)


class TestLostAnswers:
    def test_a_run_is_created_once(self, life, lose_answers):
        lose_answers()
        run = life.make(idempotency_key="k")
        assert life.storage.runs.create(run, [life.event()]) == (run, True)
        assert life.types(run) == ["LOG"]

    def test_a_claim_has_won(self, life, lose_answers):
        run = life.run()
        lose_answers()
        result = life.storage.attempts.claim(life.claim_of(run), want_run=True)
        assert (result.claimed, result.run_status) == (True, RunStatus.STARTED)
        assert result.run is not None
        assert result.run.status is RunStatus.STARTED
        assert life.types(run) == ["RUN_START", "STEP_START"]

    def test_a_finish_is_accepted(self, life, lose_answers):
        run = life.run()
        claim = life.claimed(run)
        lose_answers()
        result = life.finished(claim, events=(life.event(EventType.LOG),), skips=(Skip("b", AttemptStatus.SKIPPED),))
        assert result.run_status is None
        assert life.types(run) == ["RUN_START", "STEP_START", "LOG", "STEP_SKIPPED"]

    def test_a_finish_that_ended_the_run_says_so(self, life, lose_answers):
        run = life.run()
        claim = life.claimed(run)
        lose_answers()
        assert life.finished(claim, ends_run=True).run_status is RunStatus.SUCCESS
        assert life.types(run).count("RUN_SUCCESS") == 1

    def test_a_refused_finish_stays_refused(self, life, lose_answers):
        run = life.run()
        life.claimed(run)
        lose_answers()
        assert not life.storage.attempts.finish(life.finish_of(life.claim_of(run))).accepted

    def test_a_next_step_that_was_claimed_is_told(self, life, lose_answers):
        run = life.run()
        claim, then = life.claimed(run), life.claim_of(run, "b")
        lose_answers()
        assert life.finished(claim, then_claim=then).then_claimed
        assert life.storage.attempts.claim(then).claimed
        assert life.types(run).count("STEP_START") == 2

    def test_a_finish_that_its_caller_sends_again_later_is_told_the_same(self, life):
        run = life.run()
        finish = life.finish_of(life.claimed(run), then_claim=life.claim_of(run, "b"))
        assert life.storage.attempts.finish(finish) == FinishResult(True, None, True)
        assert life.storage.attempts.finish(finish, again=True) == FinishResult(True, None, True)

    def test_a_finish_that_ended_the_run_is_told_the_same_later(self, life):
        run = life.run()
        finish = life.finish_of(life.claimed(run), ends_run=True)
        assert life.storage.attempts.finish(finish).run_status is RunStatus.SUCCESS
        assert life.storage.attempts.finish(finish, again=True) == FinishResult(True, RunStatus.SUCCESS)
        assert life.types(run).count("RUN_SUCCESS") == 1

    def test_an_end_is_told_to_who_made_it(self, life, lose_answers):
        run = life.run()
        lose_answers()
        assert life.storage.runs.end(run.run_id, life.now()) is RunStatus.SUCCESS
        assert life.storage.runs.end(run.run_id, life.now()) is None

    def test_skips_that_ended_the_run_say_so(self, life, lose_answers):
        run = life.run()
        lose_answers()
        skips = [Skip("a", AttemptStatus.SKIPPED)]
        assert life.storage.attempts.record_skips(run.run_id, skips, life.now(), True) is RunStatus.SUCCESS
        assert life.types(run) == ["STEP_SKIPPED", "RUN_SUCCESS"]

    def test_a_server_that_stays_away_is_an_error_after_three_tries(self, life, lose_answers):
        run = life.run()
        lose_answers(3)
        with pytest.raises(StorageUnavailableError):
            life.storage.attempts.claim(life.claim_of(run))


class TestMigrationsUnderWay:
    def test_a_prepared_statement_outlives_a_column_that_changes_its_type(self, life):
        first, second = life.run(), life.run()
        assert life.storage.attempts.claim(life.claim_of(first), want_run=True).run is not None
        with life.storage.database.engine.connect() as connection:
            connection.execute(sa.text("ALTER TABLE runs ALTER COLUMN error TYPE varchar(100000)"))
        for run in (second, life.run()):
            assert life.storage.attempts.claim(life.claim_of(run), want_run=True).run is not None
        assert life.storage.database._preparing.is_on
