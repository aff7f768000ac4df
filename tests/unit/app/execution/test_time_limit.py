"""Time limits of steps in this process, and where they may be given."""

from __future__ import annotations

import signal
import threading

import pytest

import orchord as dg


def waits(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_step_that_takes_too_long_raises_in_its_own_function_which_may_clean_up() -> None:
    seen: list[type[BaseException]] = []

    @dg.op(timeout_seconds=0.1)
    def slow() -> None:
        try:
            waits(30)
        except dg.StepTimeoutError as error:
            seen.append(type(error))
            raise

    @dg.job
    def slow_job() -> None:
        slow()

    result = slow_job.execute_in_process(raise_on_error=False)
    assert not result.success
    assert seen == [dg.StepTimeoutError]
    with pytest.raises(dg.StepTimeoutError) as raised:
        slow_job.execute_in_process()
    assert str(raised.value) == "Step 'slow' took longer than its time limit of 0.1 s (timeout_seconds)."


def test_the_retry_policy_holds_for_a_step_that_took_too_long() -> None:
    tries: list[int] = []

    @dg.op(timeout_seconds=0.1, retry_policy=dg.RetryPolicy(max_retries=2))
    def slow_twice(context: dg.OpExecutionContext) -> None:
        tries.append(context.retry_number)
        if context.retry_number < 2:
            waits(30)

    @dg.job
    def slow_job() -> None:
        slow_twice()

    assert slow_job.execute_in_process().success
    assert tries == [0, 1, 2]


def test_a_quick_step_leaves_signals_and_timers_as_they_were() -> None:
    before = signal.getsignal(signal.SIGALRM)

    @dg.op(timeout_seconds=5)
    def quick() -> int:
        return 1

    @dg.job
    def quick_job() -> None:
        quick()

    assert quick_job.execute_in_process().success
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_limit_may_stand_in_a_tag_of_the_op_or_of_one_use_and_on_assets() -> None:
    @dg.op(tags={"orchord/timeout_seconds": "7"})
    def tagged() -> None: ...

    @dg.op(timeout_seconds=3, tags={"dagster/timeout_seconds": "7"})
    def both() -> None: ...

    @dg.asset(timeout_seconds=2)
    def an_asset() -> int:
        return 1

    @dg.multi_asset(specs=[dg.AssetSpec("x")], timeout_seconds=1.5)
    def several() -> None: ...

    @dg.job
    def tagged_job() -> None:
        tagged()
        both()
        both.alias("own").tag({"orchord/timeout_seconds": "1"})()

    from orchord.plan.compile import compile_plan

    limits = {step.key: step.timeout_seconds for step in compile_plan(tagged_job).steps}
    assert limits == {"tagged": 7.0, "both": 3.0, "own": 1.0}
    assert (an_asset.op.timeout_seconds, several.op.timeout_seconds) == (2.0, 1.5)


@pytest.mark.parametrize("wrong", [0, -1, "5", True, float("inf"), float("nan")])
def test_a_limit_that_is_no_number_above_zero_is_refused(wrong: object) -> None:
    with pytest.raises(dg.InvalidDefinitionError, match="timeout_seconds is .*: give a number of seconds above 0"):

        @dg.op(timeout_seconds=wrong)  # type: ignore[arg-type]
        def wrong_op() -> None: ...


def test_a_tag_that_is_no_number_is_refused_at_the_op_and_at_its_use() -> None:
    text = "its tag 'orchord/timeout_seconds' is 'soon': give a number of seconds above 0"
    with pytest.raises(dg.InvalidDefinitionError, match=text):

        @dg.op(tags={"orchord/timeout_seconds": "soon"})
        def wrong_op() -> None: ...

    @dg.op
    def an_op() -> None: ...

    @dg.job
    def a_job() -> None:
        an_op.tag({"orchord/timeout_seconds": "soon"})()

    from orchord.plan.compile import compile_plan

    with pytest.raises(dg.InvalidDefinitionError, match=f"Step 'an_op' cannot be right: {text}"):
        compile_plan(a_job)
