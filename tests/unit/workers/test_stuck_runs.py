"""Runs that would never end: claimed and abandoned, canceled while nothing runs, killed again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import redis.exceptions

import orchord as dg
from orchord.definitions.definitions_object import Definitions
from orchord.events import Event, EventType, utc_now
from orchord.execution import ExecutionInterrupted
from orchord.instance.sections import CelerySettings
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.snapshot import snapshot_of
from orchord.spi import CodeLocation, LocationTarget, OrchordInstance, StorageUnavailableError
from orchord.storage.values import Claim, Finish, FinishResult
from orchord.wire import StepMessage
from orchord_workers import persistence
from orchord_workers.app import make_app
from orchord_workers.board import Board, Busy
from orchord_workers.contexts import RunContexts
from orchord_workers.mending import Mender
from orchord_workers.outside_ends import end_attempt_alone, timed_out_result
from orchord_workers.step_runner import Holder, StepRunner
from orchord_workers.whole_run import run_whole


@dg.op
def one() -> int:
    return 1


@dg.op
def other() -> int:
    return 1


@dg.op
def plus(number: int) -> int:
    return number + 1


@dg.op
def both(left: int, right: int) -> int:
    return left + right


@dg.op
def unspeakable(context: dg.OpExecutionContext) -> None:
    context.log.log(2**70, "of a level that no database holds")


@dg.op(config_schema={"word": str})
def configured() -> None: ...


@dg.config_mapping(config_schema={})
def broken_mapping(config: Any) -> dict[str, Any]:
    return {"ops": {"configured": {"config": {"word": config["absent"]}}}}


@dg.job
def chain() -> None:
    plus(one())


@dg.job
def fork_and_join() -> None:
    start = one()
    plus(start)
    both(start, other())


@dg.job
def unspeakable_job() -> None:
    unspeakable()


@dg.job(config=broken_mapping)
def mapped() -> None:
    configured()


@dg.job(executor_def=dg.in_process_executor)
def whole() -> None:
    plus(one())


BOARDS: list[Board] = []
BUSY_AT_TEARDOWN: list[list[Busy]] = []


@dg.resource
def torn_down() -> Iterator[int]:
    yield 1
    BUSY_AT_TEARDOWN.append(BOARDS[0].busy())


@dg.op(required_resource_keys={"torn_down"})
def with_resource() -> None: ...


@dg.job(executor_def=dg.in_process_executor, resource_defs={"torn_down": torn_down})
def with_teardown() -> None:
    with_resource()


@dg.op(timeout_seconds=1, retry_policy=dg.RetryPolicy(max_retries=1, delay=60))
def limited() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def whole_with_limit() -> None:
    limited()


JOBS = [chain, fork_and_join, unspeakable_job, mapped, whole, with_teardown, whole_with_limit]


class RecordingCanvas:
    """Notes what is sent; returns of parts fail as ``fault`` says."""

    def __init__(self) -> None:
        self.app = make_app(CelerySettings(broker="memory://", result_backend="cache+memory://"), location="home")
        self.sent: list[str] = []
        self.fault: Exception | None = None

    def send_step(
        self, run: Run, plan: Any, message: StepMessage, parts: Any, *, delay_seconds: float | None = None
    ) -> None:
        self.sent.append(message.step_key)

    def send_whole_run(self, run: Run, attempt: int = 1) -> None:
        self.sent.append("whole run")

    def act(self, run: Run, plan: Any, moves: Any) -> None:
        self.sent += [start.step_key for start in moves.starts]

    def return_part(self, run: Run, join: Any) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class Stage:
    """A worker process without Celery, over a database of its own."""

    instance: OrchordInstance
    canvas: RecordingCanvas = field(default_factory=RecordingCanvas)

    def __post_init__(self) -> None:
        self.snapshot = snapshot_of(Definitions(jobs=JOBS).resolve(), "home")
        self.instance.storage.locations.put(self.snapshot)
        self.runner = self.runner_with(JOBS)
        self.mender = Mender(self.runner)

    def runner_with(self, jobs: list[dg.JobDefinition]) -> StepRunner:
        repository = Definitions(jobs=jobs).resolve()
        code = CodeLocation("home", repository, snapshot_of(repository, "home"), LocationTarget(module="jobs"))
        contexts = RunContexts(self.instance, code)
        holder = Holder("worker", 1)
        canvas: Any = self.canvas
        return StepRunner(self.instance, canvas, contexts, holder=holder, notify_end=lambda run_id, status: None)

    def run(self, job: str) -> str:
        known = self.snapshot.job_by_name[job]
        run = Run(
            *(new_run_id(), job, "home", RunStatus.STARTING, known.snapshot_id, utc_now()), executor=known.executor
        )
        self.instance.storage.runs.create(run, [])
        return run.run_id

    def attempt(
        self, run_id: str, step: str, status: AttemptStatus, number: int = 1, *, retry_in: float | None = None
    ) -> None:
        """An attempt of another process that has ended so, or runs."""
        storage, token = self.instance.storage, f"{step}{number}"
        assert storage.attempts.claim(Claim(run_id, step, number, token, "gone", utc_now())).claimed
        if status is AttemptStatus.LOST:
            storage.attempts.mark_lost(run_id, step, number, utc_now(), "it died")
        elif status is not AttemptStatus.RUNNING:
            retry_at = None if retry_in is None else utc_now() + timedelta(seconds=retry_in)
            outputs = ("result",) if status is AttemptStatus.SUCCESS else ()
            finish = Finish(run_id, step, number, token, status, utc_now(), outputs=outputs, retry_at=retry_at)
            assert storage.attempts.finish(finish).accepted

    def cancel(self, run_id: str) -> None:
        event = Event(EventType.RUN_CANCELING, utc_now(), "canceled")
        runs = self.instance.storage.runs
        assert runs.set_status(run_id, RunStatus.CANCELING, allowed_from={RunStatus.STARTED}, event=event)

    def status(self, run_id: str) -> RunStatus:
        return self.instance.storage.runs.get(run_id).status

    def attempts(self, run_id: str) -> list[tuple[str, int, AttemptStatus]]:
        stored = self.instance.storage.attempts.of_run(run_id)
        return sorted((a.step_key, a.attempt, a.status) for a in stored)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with OrchordInstance.ephemeral() as instance:
        yield Stage(instance)


@pytest.mark.parametrize("waits", [AttemptStatus.UP_FOR_RETRY, AttemptStatus.LOST])
def test_a_canceled_run_ends_when_the_message_of_its_next_attempt_comes(stage: Stage, waits: AttemptStatus) -> None:
    run_id = stage.run("chain")
    stage.attempt(run_id, "one", waits)
    stage.cancel(run_id)
    stage.runner.run(StepMessage(run_id, "one", 2), ())
    assert stage.status(run_id) is RunStatus.CANCELED
    assert ("one", 2, AttemptStatus.CANCELED) in stage.attempts(run_id)


@pytest.mark.parametrize("job", ["chain", "whole"])
@pytest.mark.parametrize("waits", [AttemptStatus.UP_FOR_RETRY, AttemptStatus.LOST])
def test_a_canceled_run_is_ended_by_the_mender_though_no_worker_is_there(
    stage: Stage, waits: AttemptStatus, job: str
) -> None:
    run_id = stage.run(job)
    stage.attempt(run_id, "one", waits, retry_in=3600)
    stage.cancel(run_id)
    stage.mender.mend_run(run_id)
    assert stage.status(run_id) is RunStatus.CANCELED
    assert stage.canvas.sent == []


def test_a_canceled_run_waits_for_the_step_that_runs(stage: Stage) -> None:
    run_id = stage.run("chain")
    stage.attempt(run_id, "one", AttemptStatus.RUNNING)
    stage.cancel(run_id)
    stage.mender.mend_run(run_id)
    assert stage.status(run_id) is RunStatus.CANCELING


def test_a_step_whose_end_cannot_be_stored_fails(stage: Stage) -> None:
    run_id = stage.run("unspeakable_job")
    stage.runner.run(StepMessage(run_id, "unspeakable"), ())
    assert stage.status(run_id) is RunStatus.FAILURE
    (attempt,) = stage.instance.storage.attempts.of_run(run_id)
    assert attempt.error is not None


def test_a_step_fails_when_the_users_config_mapping_raises(stage: Stage) -> None:
    run_id = stage.run("mapped")
    stage.runner.run(StepMessage(run_id, "configured"), ())
    assert stage.status(run_id) is RunStatus.FAILURE
    (attempt,) = stage.instance.storage.attempts.of_run(run_id)
    assert attempt.error is not None
    assert attempt.error.cls_name == "KeyError"


def test_a_run_whose_plan_is_gone_fails_when_its_first_step_is_claimed(stage: Stage) -> None:
    run = Run(new_run_id(), "chain", "home", RunStatus.STARTING, "no such snapshot", utc_now())
    stage.instance.storage.runs.create(run, [])
    stage.runner.run(StepMessage(run.run_id, "one"), ())
    stored = stage.instance.storage.runs.get(run.run_id)
    assert stored.status is RunStatus.FAILURE
    assert stored.error is not None
    assert "no such snapshot" in stored.error.message


def test_a_full_result_backend_does_not_keep_a_claimed_step_from_running(stage: Stage) -> None:
    stage.canvas.fault = redis.exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
    run_id = stage.run("fork_and_join")
    stage.runner.run(StepMessage(run_id, "one"), ())
    assert stage.attempts(run_id) == [("one", 1, AttemptStatus.SUCCESS), ("plus", 1, AttemptStatus.SUCCESS)]


def test_a_whole_run_that_kills_its_process_three_times_fails(stage: Stage) -> None:
    run_id = stage.run("whole")
    for number in (1, 2, 3):
        stage.mender.mend_run(run_id)
        stage.attempt(run_id, "one", AttemptStatus.LOST, number)
    stage.mender.mend_run(run_id)
    assert stage.status(run_id) is RunStatus.FAILURE


def test_a_whole_run_that_waits_for_a_retry_is_not_sent_again(stage: Stage) -> None:
    run_id = stage.run("whole")
    stage.attempt(run_id, "one", AttemptStatus.UP_FOR_RETRY, retry_in=3600)
    stage.mender.mend_run(run_id)
    assert stage.canvas.sent == []


@pytest.mark.parametrize("begun", [AttemptStatus.LOST, AttemptStatus.SUCCESS])
def test_a_whole_run_that_was_begun_fails_on_a_worker_without_its_job(stage: Stage, begun: AttemptStatus) -> None:
    run_id = stage.run("whole")
    stage.attempt(run_id, "one", begun)
    run_whole(stage.runner_with([chain]), run_id)
    assert stage.status(run_id) is RunStatus.FAILURE


@pytest.mark.parametrize(("moment", "is_done"), [("claim", True), ("finish", False), ("finish", True)])
def test_a_whole_run_interrupted_between_its_steps_leaves_no_attempt_running(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, moment: str, is_done: bool
) -> None:
    run_id = stage.run("whole")
    attempts = stage.instance.storage.attempts
    act, interruptions = getattr(attempts, moment), [ExecutionInterrupted("now")]

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if not interruptions:
            return act(*arguments, **named)
        if is_done:
            act(*arguments, **named)
        if stage.status(run_id) is RunStatus.STARTED:
            stage.cancel(run_id)
        raise interruptions.pop()

    monkeypatch.setattr(attempts, moment, interrupted)
    run_whole(stage.runner, run_id)
    assert stage.status(run_id) is RunStatus.CANCELED
    assert AttemptStatus.RUNNING not in [status for _, _, status in stage.attempts(run_id)]


@pytest.mark.parametrize("lost", ["claim", "finish"])
def test_a_step_goes_on_after_the_database_went_away_with_an_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The statement took place, its answer was lost, and the server stays away longer than storage itself tries."""
    run_id = stage.run("chain")
    attempts = stage.instance.storage.attempts
    act, left = getattr(attempts, lost), [2]

    def away(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 1:
            act(*arguments, **named)
        if left[0] >= 0:
            raise StorageUnavailableError("away")
        if lost == "finish" and left[0] == -1:
            # As PostgreSQL answers; SQLite never loses an answer.
            return FinishResult(named["again"], None, named["again"])
        return act(*arguments, **named)

    monkeypatch.setattr(attempts, lost, away)
    monkeypatch.setattr(persistence, "FIRST_PAUSE_SECONDS", 0.001)
    stage.runner.run(StepMessage(run_id, "one"), ())
    assert stage.status(run_id) is RunStatus.SUCCESS


def test_a_whole_run_that_has_ended_is_not_stopped_while_its_resources_are_torn_down(stage: Stage) -> None:
    BUSY_AT_TEARDOWN.clear()
    stage.runner.interrupts.board.take_place(0)
    BOARDS[:] = [stage.runner.interrupts.board]
    run_id = stage.run("with_teardown")
    run_whole(stage.runner, run_id)
    assert stage.status(run_id) is RunStatus.SUCCESS
    assert BUSY_AT_TEARDOWN == [[]]


def test_a_hard_time_limit_in_a_whole_run_keeps_the_delay_of_its_retry_policy(stage: Stage) -> None:
    run_id = stage.run("whole_with_limit")
    stage.attempt(run_id, "limited", AttemptStatus.RUNNING)
    (held,) = stage.instance.storage.attempts.of_run(run_id)
    result = timed_out_result(stage.snapshot.job_by_name["whole_with_limit"].plan.step("limited"), 0)
    end_attempt_alone(stage.runner, held, result)
    (ended,) = stage.instance.storage.attempts.of_run(run_id)
    assert ended.status is AttemptStatus.UP_FOR_RETRY
    assert ended.retry_at is not None
    assert ended.retry_at - utc_now() > timedelta(seconds=30)
