"""Failed runs are run again by themselves: as often as was said, once each time, linked to where they come from."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import pytest

from orchord.events import ErrorInfo, utc_now
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.instance.run_retries import RunRetries
from orchord.instance.sections import RunRetrySettings
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.storage import Claim, Finish, Skip

SUCCESS, FAILURE, UPSTREAM_FAILED = AttemptStatus.SUCCESS, AttemptStatus.FAILURE, AttemptStatus.UPSTREAM_FAILED


@pytest.fixture
def retries(instance: OrchordInstance) -> RunRetries:
    configure(instance, enabled=True, max_retries=2)
    return RunRetries(instance)


def configure(instance: OrchordInstance, **settings: Any) -> None:
    instance.config = msgspec.structs.replace(instance.config, run_retries=RunRetrySettings(**settings))


def failed(instance: OrchordInstance, run: Run | None = None, *, error: str = "ValueError", **fields: Any) -> Run:
    """Carry out a run of the diamond, or what a retry has of it: `b` fails."""
    run = run or instance.launch(LaunchRequest(**({"job_name": "diamond"} | fields)))[0]
    attempts = instance.storage.attempts
    keys = run.step_keys or ("a", "b", "c", "d")
    for key in keys:
        if key == "d":
            attempts.record_skips(run.run_id, [Skip("d", UPSTREAM_FAILED)], utc_now())
            continue
        token = secrets.token_hex(4)
        assert attempts.claim(Claim(run.run_id, key, 1, token, "w", utc_now())).claimed
        status = FAILURE if key == "b" else SUCCESS
        outputs = ("result",) if status is SUCCESS else ()
        info = ErrorInfo(error, "no") if key == "b" else None
        attempts.finish(Finish(run.run_id, key, 1, token, status, utc_now(), outputs, error=info))
    assert instance.storage.runs.end(run.run_id, utc_now()) is RunStatus.FAILURE
    return run


def consider(instance: OrchordInstance, retries: RunRetries) -> list[Run]:
    """Tell all changes, twice, as a daemon may that dies in between; return the runs that were made."""
    changes = instance.storage.changes.page(1000)
    known = {run.run_id for run in instance.storage.runs.page(limit=500)}
    retries.consider(changes)
    retries.consider(changes)
    instance.storage.changes.settle([change.id for change in changes], [])
    return [run for run in instance.storage.runs.page(limit=500) if run.run_id not in known]


def test_a_failed_run_is_retried_from_its_failure_once_and_at_most_as_often_as_said(instance, retries) -> None:
    first = failed(instance)
    (second,) = consider(instance, retries)
    assert (second.parent_run_id, second.root_run_id) == (first.run_id, first.run_id)
    assert second.step_keys == ("b", "d")
    assert second.tags["orchord/retry_number"] == "1"
    told = instance.storage.runs.get(first.run_id)
    assert (told.tags["orchord/will_retry"], told.tags["orchord/auto_retry_run_id"]) == ("true", second.run_id)

    failed(instance, second)
    (third,) = consider(instance, retries)
    assert (third.parent_run_id, third.root_run_id) == (second.run_id, first.run_id)
    assert third.tags["orchord/retry_number"] == "2"
    assert "orchord/will_retry" not in third.tags

    failed(instance, third)
    assert consider(instance, retries) == []
    assert instance.storage.runs.get(third.run_id).tags["orchord/will_retry"] == "false"


def test_a_retry_that_was_recorded_before_its_daemon_died_is_not_made_again(instance, retries, monkeypatch) -> None:
    first = failed(instance)
    monkeypatch.setattr(instance.storage.runs, "add_tags", lambda *_: True)
    (second,) = consider(instance, retries)
    assert second.idempotency_key == f"retry:{first.run_id}"


def test_tags_go_before_the_instance_file(instance, retries) -> None:
    configure(instance, enabled=True)
    failed(instance)
    assert consider(instance, retries) == []
    failed(instance, tags={"dagster/max_retries": "1", "orchord/retry_strategy": "ALL_STEPS"})
    (again,) = consider(instance, retries)
    assert again.step_keys is None or set(again.step_keys) == {"a", "b", "c", "d"}


def test_without_the_switch_nothing_is_retried(instance, retries) -> None:
    configure(instance, enabled=False, max_retries=5)
    failed(instance, tags={"orchord/max_retries": "1"})
    assert consider(instance, retries) == []


def test_a_failure_of_the_users_code_is_left_alone_when_so_said_and_a_lost_process_is_not(instance, retries) -> None:
    failed(instance, tags={"orchord/retry_on_asset_or_op_failure": "false"})
    assert consider(instance, retries) == []
    failed(instance, tags={"orchord/retry_on_asset_or_op_failure": "false"}, error="StepProcessLost")
    assert len(consider(instance, retries)) == 1


def test_a_canceled_run_is_not_retried(instance, retries) -> None:
    run = instance.launch(LaunchRequest(job_name="diamond"))[0]
    instance.cancel(run.run_id)
    assert consider(instance, retries) == []


def test_a_run_whose_job_is_gone_is_given_up_with_a_word(instance, retries, caplog) -> None:
    run = failed(instance)
    snapshot = instance.storage.locations.all()[0].snapshot
    instance.storage.locations.put(msgspec.structs.replace(snapshot, jobs=()))
    assert consider(instance, retries) == []
    assert instance.storage.runs.get(run.run_id).tags["orchord/will_retry"] == "false"
    assert f"Run {run.run_id} cannot be retried" in caplog.text


def test_one_run_that_cannot_be_considered_does_not_keep_others_from_their_retry(
    instance, retries, monkeypatch, caplog
) -> None:
    broken, well = failed(instance), failed(instance)
    of_run = instance.storage.attempts.of_run

    def fails(run_id):
        if run_id == broken.run_id:
            raise AssertionError("a plan that nobody thought of")
        return of_run(run_id)

    monkeypatch.setattr(instance.storage.attempts, "of_run", fails)
    assert [run.parent_run_id for run in consider(instance, retries)] == [well.run_id]
    assert f"Run {broken.run_id} could not be considered for a retry" in caplog.text
