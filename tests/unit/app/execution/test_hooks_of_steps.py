"""Hooks: called after the end that they wait for, once, with what the step did; and never able to fail it."""

from __future__ import annotations

from typing import Any

from orchord.definitions.hooks import failure_hook, success_hook
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.resources import ResourceDefinition
from orchord.definitions.retry import RetryPolicy
from orchord.execution.build_context import build_hook_context

seen: list[tuple[Any, ...]] = []


@success_hook(required_resource_keys={"pager"})
def after_success(context: Any) -> None:
    seen.append((context.step_key, context.op_output_values, context.op_exception, context.resources.pager))


@failure_hook
def after_failure(context: Any) -> None:
    seen.append((context.step_key, context.op_output_values, context.op_exception, context.job_name))


@op
def good() -> int:
    return 1


@op(retry_policy=RetryPolicy(max_retries=1))
def bad() -> None:
    raise ValueError("bad")


@after_success
@after_failure
@job(resource_defs={"pager": ResourceDefinition.hardcoded_resource("beep")})
def watched() -> None:
    good()
    bad()


def test_each_hook_is_called_once_after_its_end_and_not_after_a_retry() -> None:
    seen.clear()
    result = watched.execute_in_process(raise_on_error=False)
    by_step = {entry[0]: entry for entry in seen}
    assert len(seen) == 2
    assert by_step["good"] == ("good", {"result": 1}, None, "beep")
    step_key, values, error, job_name = by_step["bad"]
    assert (step_key, values, str(error), job_name) == ("bad", {}, "bad", "watched")
    told = [(event.type, event.data["hook_name"]) for event in result.all_events if event.type.startswith("HOOK")]
    assert sorted(told) == [
        ("HOOK_COMPLETED", "after_failure"),
        ("HOOK_COMPLETED", "after_success"),
        ("HOOK_SKIPPED", "after_failure"),
        ("HOOK_SKIPPED", "after_success"),
    ]


def test_a_hook_that_raises_is_told_of_and_the_step_stays_done() -> None:
    @success_hook
    def broken(context: Any) -> None:
        context.log.info("still logging")
        raise RuntimeError("hook down")

    @job
    def hooked() -> None:
        good.with_hooks({broken})()

    result = hooked.execute_in_process()
    assert result.success
    errored = next(event for event in result.all_events if event.type == "HOOK_ERRORED")
    assert errored.message == "Hook 'broken' failed: RuntimeError: hook down"
    assert any(event.message == "still logging" for event in result.all_events)


def test_a_hook_is_called_directly_with_a_context_that_was_built() -> None:
    seen.clear()
    after_failure(build_hook_context(op=good, job_name="j", op_exception=ValueError("x")))
    assert (seen[0][0], str(seen[0][2]), seen[0][3]) == ("good", "x", "j")
