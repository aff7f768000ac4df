"""What the end of a container means for the attempt that it left undone."""

from __future__ import annotations

import pytest

from orchord.plan.model import RetryRule, Step
from orchord.runs import Attempt, AttemptStatus
from orchord_workers.containers.platform import ContainerState, Phase
from orchord_workers.launching.tasks import number_of
from orchord_workers.launching.verdicts import is_held_by, verdict_of

STEP = Step("a", "a")
RETRIED = Step("a", "a", retry=RetryRule(max_retries=1))
ATTEMPT = Attempt("r", "a", 1, AttemptStatus.RUNNING, worker_id="box", process_id=7)


def ended(code: int | None = 0, **facts: object) -> ContainerState:
    return ContainerState("box", {}, Phase.ENDED, exit_code=code, **facts)  # type: ignore[arg-type]


def test_a_kill_for_memory_fails_the_step_and_names_the_limit() -> None:
    verdict = verdict_of(ended(137, out_of_memory=True, memory_limit_bytes=150 * 2**20), began=True)
    assert verdict.result_of is not None
    result = verdict.result_of(STEP, ATTEMPT)
    assert result.status is AttemptStatus.FAILURE
    assert result.error is not None
    assert "was killed by the kernel for its memory (limit 150 MiB)" in result.error.message


def test_a_kill_for_memory_counts_for_the_retry_policy_as_any_failure() -> None:
    verdict = verdict_of(ended(137, out_of_memory=True), began=True)
    assert verdict.result_of is not None
    assert verdict.result_of(RETRIED, ATTEMPT).status is AttemptStatus.UP_FOR_RETRY


def test_a_command_that_cannot_run_fails_the_step_at_once_with_its_last_lines() -> None:
    verdict = verdict_of(ended(127), began=False, tail="sh: orchord: not found\n")
    assert verdict.result_of is not None
    error = verdict.result_of(STEP, ATTEMPT).error
    assert error is not None
    assert error.message == (
        "The process of step 'a' exited with code 127 before the step had ended. Its last lines:\n"
        "sh: orchord: not found"
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ended(137), "exited with code 137"),
        (ended(None, reason="Evicted: node is full"), "ended without an exit code: Evicted: node is full"),
        (ContainerState("box", {}, Phase.GONE), "was removed by somebody before it had ended"),
    ],
    ids=["killed", "evicted", "removed"],
)
def test_a_container_that_somebody_ended_is_a_loss_and_is_tried_again(state: ContainerState, reason: str) -> None:
    verdict = verdict_of(state, began=True)
    assert verdict.result_of is None
    assert verdict.reason == reason


@pytest.mark.parametrize("code", [137, 143])
def test_a_container_that_was_stopped_before_its_process_began_is_no_failure_of_its_step(code: int) -> None:
    assert verdict_of(ended(code), began=False).result_of is None
    assert verdict_of(ended(139), began=False).result_of is not None


def test_a_container_that_will_never_start_fails_its_step_in_the_platforms_words() -> None:
    state = ContainerState("box", {}, Phase.PENDING, cannot_start=True, reason="ImagePullBackOff: no such image")
    verdict = verdict_of(state, began=False)
    assert verdict.result_of is not None
    error = verdict.result_of(STEP, ATTEMPT).error
    assert error is not None
    assert error.message == "The container of step 'a' cannot start: ImagePullBackOff: no such image."


def test_an_attempt_is_held_by_its_container_or_not_taken_over_yet() -> None:
    reserved = Attempt("r", "a", 1, AttemptStatus.RUNNING, worker_id="launcher", process_id=0)
    by_hand = Attempt("r", "a", 1, AttemptStatus.RUNNING, worker_id="laptop", process_id=9)
    assert is_held_by(ATTEMPT, "box")
    assert is_held_by(reserved, "box")
    assert not is_held_by(by_hand, "box")


def test_the_number_of_a_try_is_the_end_of_its_messages_id() -> None:
    assert number_of("01a2.run.12") == 12
    assert number_of("something else") == 1
