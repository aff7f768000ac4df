"""Runs in this process that belong to an instance: written down as launched ones are, and readable while they go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchord as dg
from orchord.definitions.assets.decorators import asset
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.definitions.retry import RetryPolicy
from orchord.errors import ConflictError
from orchord.execution.materialize import materialize
from orchord.instance import OrchordInstance
from orchord.runs import AttemptStatus, RunStatus


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as opened:
        yield opened


def told(instance: OrchordInstance, run_id: str) -> list[tuple[str, str | None]]:
    return [(one.event.type, one.event.step_key) for one in instance.storage.events.page(run_id, 0, 100)]


@asset
def orders() -> list[int]:
    return [1, 2]


@asset
def total(orders: list[int]) -> int:
    return sum(orders)


def test_materializations_are_found_afterwards_and_their_values_by_later_runs(instance: OrchordInstance) -> None:
    first = materialize([orders, total], instance=instance)
    run = instance.get_run_by_id(first.run_id)
    assert run is not None
    assert run.status is RunStatus.SUCCESS
    latest = instance.get_latest_materialization_event("total")
    assert latest is not None
    assert latest.run_id == first.run_id
    assert materialize([orders, total], instance=instance, selection="total").asset_value("total") == 3


def test_failures_skips_and_retries_are_written_down(instance: OrchordInstance) -> None:
    @op(retry_policy=RetryPolicy(max_retries=1))
    def fails() -> int:
        raise ValueError("no")

    @op
    def after(x: int) -> None: ...

    @job
    def broken() -> None:
        after(fails())

    result = broken.execute_in_process(instance=instance, raise_on_error=False)
    attempts = instance.storage.attempts.of_run(result.run_id)
    assert [(one.step_key, one.attempt, one.status) for one in attempts] == [
        ("fails", 1, AttemptStatus.UP_FOR_RETRY),
        ("fails", 2, AttemptStatus.FAILURE),
        ("after", 1, AttemptStatus.UPSTREAM_FAILED),
    ]
    assert told(instance, result.run_id)[-2:] == [("STEP_SKIPPED", "after"), ("RUN_FAILURE", None)]


def test_user_code_reads_its_own_run(instance: OrchordInstance) -> None:
    @op
    def reads(context: Any) -> str:
        return str(context.instance.get_run_by_id(context.run_id).status)

    @job
    def reading() -> None:
        reads()

    assert reading.execute_in_process(instance=instance).output_for_node("reads") == "STARTED"


def test_without_an_instance_user_code_gets_one_that_is_empty() -> None:
    @op
    def reads(context: Any) -> Any:
        return context.instance.get_runs()

    @job
    def reading() -> None:
        reads()

    assert reading.execute_in_process().output_for_node("reads") == []


@pytest.mark.parametrize("waits", [False, True], ids=["in a step", "while it waits for a retry"])
def test_an_interrupt_ends_the_run_as_canceled(
    instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    @op(retry_policy=RetryPolicy(max_retries=1, delay=60))
    def stops() -> None:
        if waits:
            raise ValueError("again")
        interrupt()

    @job
    def stopped() -> None:
        stops()

    monkeypatch.setattr("orchord.execution.in_process.pause", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stopped.execute_in_process(instance=instance, run_id="stopped")
    run = instance.get_run_by_id("stopped")
    assert run is not None
    assert run.status is RunStatus.CANCELED


def test_a_run_id_is_used_once(instance: OrchordInstance) -> None:
    @op
    def one() -> None: ...

    @job
    def once() -> None:
        one()

    once.execute_in_process(instance=instance, run_id="mine")
    with pytest.raises(ConflictError, match="mine"):
        once.execute_in_process(instance=instance, run_id="mine")


def test_the_values_of_an_asset_job_are_stored_in_the_instance_that_is_given(instance: OrchordInstance) -> None:
    defs = dg.Definitions(assets=[orders, total])
    defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert defs.load_asset_value("total", instance=instance) == 3


def test_a_folder_of_a_test_holds_an_instance(tmp_path: Path) -> None:
    with OrchordInstance.local_temp(str(tmp_path)) as instance:
        materialize([orders], instance=instance)
    with OrchordInstance.local_temp(str(tmp_path)) as instance:
        assert materialize([orders, total], selection=[total], instance=instance).asset_value("total") == 3
    with OrchordInstance.local_temp() as instance:
        assert not instance.has_asset_key("orders")
