"""What one attempt at a step answers: status, events, error and delay, whatever the user's code raises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchord.compute_logs import LocalComputeLogManager, LogStream
from orchord.definitions.job import JobDefinition, job
from orchord.definitions.op import op
from orchord.definitions.resources import resource
from orchord.definitions.retry import Backoff, RetryPolicy
from orchord.definitions.signals import Failure, RetryRequested
from orchord.events import Event, EventType
from orchord.execution import ExecutionInterrupted, StepResult
from orchord.execution.journal import Journal
from orchord.io_managers import FilesystemIOManager
from orchord.runs import AttemptStatus

RunStep = Callable[..., StepResult]
JobOf = Callable[..., JobDefinition]


def types(result: StepResult) -> list[str]:
    return [event.type for event in result.events]


def raising(error: BaseException, **options: Any) -> Any:
    def body() -> None:
        raise error

    return op(name="body", **options)(body)


def test_a_step_that_succeeds_tells_of_all_it_did_in_order(run_step: RunStep) -> None:
    @op
    def one() -> int:
        return 1

    @op
    def add(x: int) -> int:
        return x + 1

    @job(resource_defs={"io_manager": FilesystemIOManager()})
    def chain() -> None:
        add(one())

    result = run_step(chain, "one")
    assert (result.status, result.outputs, result.values) == (AttemptStatus.SUCCESS, ("result",), {"result": 1})
    assert types(result) == ["STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"]
    assert result.events[-1].data["duration_ms"] > 0
    assert result.error is result.exception is None


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), SystemExit(3), MemoryError(), GeneratorExit()], ids=lambda one: type(one).__name__
)
def test_whatever_user_code_raises_fails_the_step_and_goes_no_further(
    run_step: RunStep, job_of: JobOf, error: BaseException
) -> None:
    result = run_step(job_of(raising(error)), "body")
    assert result.status is AttemptStatus.FAILURE
    assert result.exception is error
    assert result.error is not None
    assert result.error.cls_name == type(error).__name__
    assert types(result) == ["STEP_FAILURE"]
    assert result.events[0].data["error"]["cls_name"] == type(error).__name__


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ExecutionInterrupted("The run was canceled.")])
def test_an_interrupt_cancels_whatever_the_policy_says(run_step: RunStep, job_of: JobOf, error: BaseException) -> None:
    body = raising(error, retry_policy=RetryPolicy(max_retries=3))
    result = run_step(job_of(body), "body")
    assert result.status is AttemptStatus.CANCELED
    assert result.events[-1].data["canceled"] is True


def test_the_traceback_holds_the_users_frames_alone_and_its_causes(run_step: RunStep, job_of: JobOf) -> None:
    def inner() -> None:
        raise KeyError("deep")

    @op
    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError("shallow") from error

    error = run_step(job_of(outer), "outer").error
    assert error is not None
    assert error.cause is not None
    assert (error.cls_name, error.message, error.cause.cls_name) == ("ValueError", "shallow", "KeyError")
    assert "in outer" in error.stack
    assert "in inner" in error.cause.stack
    assert "orchord/execution" not in error.to_string()
    assert error.to_string().index("KeyError") < error.to_string().index("ValueError")


def test_an_error_whose_text_fails_is_told_of_all_the_same(run_step: RunStep, job_of: JobOf) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    error = run_step(job_of(raising(Broken())), "body").error
    assert error is not None
    assert "whose text cannot be had" in error.message


def test_a_failure_has_its_description_and_metadata_in_the_event(run_step: RunStep, job_of: JobOf) -> None:
    result = run_step(job_of(raising(Failure("no rows", metadata={"path": "/tmp/x", "rows": 0}))), "body")
    assert result.events[-1].message == "Step 'body' failed: Failure: no rows"
    assert result.events[-1].data["failure"]["description"] == "no rows"
    assert result.events[-1].data["failure"]["metadata"]["rows"] == {"type": "int", "value": 0}


def test_a_retry_policy_asks_for_another_attempt_until_it_is_used_up(run_step: RunStep, job_of: JobOf) -> None:
    policy = RetryPolicy(max_retries=2, delay=3, backoff=Backoff.EXPONENTIAL)
    one = job_of(raising(ValueError("again"), retry_policy=policy))
    results = [run_step(one, "body", retry_number=number) for number in range(3)]
    assert [result.status for result in results] == ["UP_FOR_RETRY", "UP_FOR_RETRY", "FAILURE"]
    assert [result.retry_delay_seconds for result in results] == [3.0, 9.0, None]
    assert results[0].events[-1].message == "Step 'body' is tried again in 3 s: ValueError: again"
    assert all(result.error is not None and result.error.message == "again" for result in results)


def test_a_failure_may_forbid_retries(run_step: RunStep, job_of: JobOf) -> None:
    policy = RetryPolicy(max_retries=2)
    forbidden = job_of(raising(Failure("stop", allow_retries=False), retry_policy=policy))
    allowed = job_of(raising(Failure("go on"), retry_policy=policy))
    assert run_step(forbidden, "body").status is AttemptStatus.FAILURE
    assert run_step(allowed, "body").status is AttemptStatus.UP_FOR_RETRY


def test_a_mistake_that_would_only_be_met_again_is_not_retried(run_step: RunStep, job_of: JobOf) -> None:
    @op(retry_policy=RetryPolicy(max_retries=5))
    def lies() -> int:
        return "text"  # type: ignore[return-value]

    assert run_step(job_of(lies), "lies").status is AttemptStatus.FAILURE


def test_a_requested_retry_counts_by_its_own_number_and_fails_with_its_cause(run_step: RunStep, job_of: JobOf) -> None:
    @op
    def asks() -> None:
        try:
            raise ConnectionError("gone")
        except ConnectionError as error:
            raise RetryRequested(max_retries=1, seconds_to_wait=0.5) from error

    first, second = (run_step(job_of(asks), "asks", retry_number=number) for number in (0, 1))
    assert (first.status, first.retry_delay_seconds) == (AttemptStatus.UP_FOR_RETRY, 0.5)
    assert second.status is AttemptStatus.FAILURE
    assert isinstance(second.exception, ConnectionError)


def test_the_body_sees_which_retry_it_is(run_step: RunStep, job_of: JobOf) -> None:
    @op
    def counts(context: Any) -> int:
        return int(context.retry_number)

    assert run_step(job_of(counts), "counts", retry_number=2).values == {"result": 2}


def test_resources_are_set_up_and_torn_down_around_the_step_and_told_of(run_step: RunStep, job_of: JobOf) -> None:
    order = []

    @resource
    def db(context: Any) -> Iterator[str]:
        order.append("up")
        yield "connection"
        order.append("down")

    @op(required_resource_keys={"db"})
    def queries(context: Any) -> str:
        order.append(context.resources.db)
        return "rows"

    result = run_step(job_of(queries, resource_defs={"db": db}), "queries")
    assert order == ["up", "connection", "down"]
    assert types(result)[:2] == ["RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS"]
    assert result.events[0].data == {"resources": ["db"]}


def test_a_resource_that_cannot_be_set_up_fails_the_step_and_may_be_retried(run_step: RunStep, job_of: JobOf) -> None:
    @resource
    def db(context: Any) -> None:
        raise ConnectionError("refused")

    @op(required_resource_keys={"db"}, retry_policy=RetryPolicy(max_retries=1))
    def queries(context: Any) -> None: ...

    one = job_of(queries, resource_defs={"db": db})
    first, second = (run_step(one, "queries", retry_number=number) for number in (0, 1))
    assert first.status is AttemptStatus.UP_FOR_RETRY
    assert types(second) == ["RESOURCE_INIT_STARTED", "RESOURCE_INIT_FAILURE", "STEP_FAILURE"]
    assert second.error is not None
    assert "Resource 'db' could not be set up: ConnectionError: refused" in second.error.message
    assert second.error.cause is not None
    assert second.error.cause.cls_name == "ConnectionError"


def test_a_resource_that_cannot_be_torn_down_is_told_of_and_fails_nothing(run_step: RunStep, job_of: JobOf) -> None:
    @resource
    def db(context: Any) -> Iterator[int]:
        yield 1
        raise ConnectionError("hung up")

    @op(required_resource_keys={"db"})
    def queries(context: Any) -> None: ...

    result = run_step(job_of(queries, resource_defs={"db": db}), "queries")
    assert result.status is AttemptStatus.SUCCESS
    assert any("hung up" in event.message for event in result.events)


def test_a_value_that_cannot_be_stored_is_named_with_op_output_and_type(run_step: RunStep, job_of: JobOf) -> None:
    @op
    def locks() -> Any:
        import threading

        return threading.Lock()

    result = run_step(job_of(locks, resource_defs={"io_manager": FilesystemIOManager()}), "locks")
    assert result.status is AttemptStatus.FAILURE
    assert result.error is not None
    assert "Output 'result' of step 'locks' is a value of type '_thread.lock'" in result.error.message
    assert "stored output 'result' of op 'locks' (a value of type 'lock')" in result.error.stack


def test_events_are_shown_live_as_they_happen(run_step: RunStep, job_of: JobOf) -> None:
    seen: list[Event] = []

    @op
    def talks(context: Any) -> int:
        context.log.info("working")
        return len(seen)

    result = run_step(job_of(talks), "talks", emit_live=seen.append)
    assert result.values == {"result": 1}
    assert tuple(seen) == result.events


def test_what_a_step_prints_is_kept_and_told_of(run_step: RunStep, job_of: JobOf, tmp_path: Path) -> None:
    @op
    def prints() -> None:
        print("hello")

    logs = LocalComputeLogManager(tmp_path)
    result = run_step(job_of(prints), "prints", compute_logs=logs)
    assert types(result)[0] == "LOGS_CAPTURED"
    run_id, step_key, attempt = result.events[0].data["log_key"]
    assert logs.read(run_id, step_key, int(attempt), LogStream.STDOUT).data == b"hello\n"


def test_logs_that_cannot_be_kept_do_not_stop_the_step(run_step: RunStep, job_of: JobOf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    @op
    def works() -> int:
        return 1

    result = run_step(job_of(works), "works", compute_logs=LocalComputeLogManager(tmp_path / "file"))
    assert result.status is AttemptStatus.SUCCESS
    assert "is not kept" in result.events[0].message


def test_a_trivial_step_with_files_costs_less_than_one_and_a_half_milliseconds(run_step: RunStep) -> None:
    @op
    def trivial() -> int:
        return 1

    @job(resource_defs={"io_manager": FilesystemIOManager()})
    def small() -> None:
        trivial()

    durations = []
    for _ in range(30):
        started = time.perf_counter()
        run_step(small, "trivial")
        durations.append(time.perf_counter() - started)
    # The quickest tells what the work costs, the others how busy the machine is.
    assert min(durations) < 0.0015


def test_data_that_json_cannot_hold_is_told_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    journal = Journal("step")
    journal.add(EventType.ENGINE_EVENT, data={"object": ValueError("x"), "deep": deep, "fine": {"a": [1, None]}})
    data = journal.events[0].data
    assert (data["object"], data["fine"]) == ("ValueError('x')", {"a": [1, None]})
    assert b"<list>" in msgspec.json.encode(data)
