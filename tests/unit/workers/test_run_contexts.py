"""What a pool child knows of a run: its plan, its job, and its run config, resolved for the steps that run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from orchord.definitions.definitions_object import Definitions
from orchord.definitions.job import job
from orchord.definitions.op import op
from orchord.events import utc_now
from orchord.runs import Run, RunStatus, new_run_id
from orchord.snapshot import snapshot_of
from orchord.spi import CodeLocation, LocationTarget, OrchordInstance
from orchord_workers.contexts import RunContexts


@op(config_schema={"word": str})
def greet(context): ...


@op
def free(): ...


@job
def greeting():
    greet()
    free()


@pytest.fixture
def instance() -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as opened:
        yield opened


def context_of(instance: OrchordInstance, **fields):
    repository = Definitions(jobs=[greeting]).resolve()
    snapshot = snapshot_of(repository, "home")
    instance.storage.locations.put(snapshot)
    code = CodeLocation("home", repository, snapshot, LocationTarget(module="greetings"))
    snapshot_id = snapshot.job_by_name["greeting"].snapshot_id
    run = Run(new_run_id(), "greeting", "home", RunStatus.STARTING, snapshot_id, utc_now(), **fields)
    return RunContexts(instance, code).of(run)


def test_a_run_of_some_steps_needs_no_config_of_the_others(instance: OrchordInstance) -> None:
    context = context_of(instance, step_keys=("free",))
    assert context.fault is None
    assert context.resolved is not None
    assert context.resolved.ops == {}
    assert list(context.plan.by_key) == ["free"]


def test_config_that_is_missing_is_the_fault_of_the_run(instance: OrchordInstance) -> None:
    context = context_of(instance)
    assert context.resolved is None
    assert context.fault is not None
    assert "ops.greet.config.word: missing" in context.fault.message
    assert dataclasses.replace(context, fault=None).job is context.job
