"""How attempts end whose process or container is gone: the words, and their steps' retry policies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchord.plan.model import RetryRule, Step
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord_workers.outside_ends import as_retried_in, crashed_result, killed_for_memory_result

STEP = Step("load", "load")


def test_a_kill_for_memory_says_so_with_the_limit_and_the_fix() -> None:
    result = killed_for_memory_result(STEP, 0, 64 << 20)
    assert result.status is AttemptStatus.FAILURE
    assert result.error is not None
    assert result.error.cls_name == "StepOutOfMemoryError"
    assert result.error.message == (
        "Step 'load' was killed by the kernel for its memory (limit 64 MiB). Give its container more memory, or have "
        "the step hold less at once."
    )
    unknown = killed_for_memory_result(STEP, 0).error
    assert unknown is not None
    assert "for its memory. Give" in unknown.message


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(-11, "was ended by SIGSEGV"), (7, "exited with code 7"), (None, "ended"), (-99, "was ended by signal 99")],
)
def test_a_crash_says_how_the_process_ended(exit_code: int | None, words: str) -> None:
    error = crashed_result(STEP, 0, exit_code=exit_code).error
    assert error is not None
    assert error.message == f"The process of step 'load' {words} before the step had ended."


def test_a_crash_carries_the_platforms_words_and_the_last_lines() -> None:
    error = crashed_result(STEP, 0, exit_code=1, reason="DeadlineExceeded", tail="first\nlast\n").error
    assert error is not None
    assert error.message.endswith(
        "exited with code 1 (DeadlineExceeded) before the step had ended. Its last lines:\nfirst\nlast"
    )


def test_its_retry_policy_counts_as_for_the_users_own_failures() -> None:
    step = Step("load", "load", retry=RetryRule(1, delay_seconds=2.0))
    again = killed_for_memory_result(step, 0)
    assert (again.status, again.retry_delay_seconds) == (AttemptStatus.UP_FOR_RETRY, 2.0)
    assert "tried again in 2 s: Step 'load' was killed by the kernel" in again.events[0].message
    assert killed_for_memory_result(step, 1).status is AttemptStatus.FAILURE


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({}, AttemptStatus.UP_FOR_RETRY),
        ({"retries": {"enabled": {}}}, AttemptStatus.UP_FOR_RETRY),
        ({"retries": {"disabled": {}}}, AttemptStatus.FAILURE),
        ({"multiprocess": {"retries": {"disabled": {}}}}, AttemptStatus.FAILURE),
    ],
    ids=["nothing said", "enabled", "disabled", "disabled for processes"],
)
def test_retries_that_the_executor_disables_do_not_come_after_an_end_from_outside(
    config: dict[str, Any], status: AttemptStatus
) -> None:
    run = Run(
        "r1", "job", "here", RunStatus.STARTED, "s", datetime.now(UTC), run_config={"execution": {"config": config}}
    )
    step = as_retried_in(run, Step("load", "load", retry=RetryRule(2)))
    assert killed_for_memory_result(step, 0).status is status
