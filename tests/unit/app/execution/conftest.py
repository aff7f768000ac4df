"""One step of a job, executed by itself: the fixtures that tests of steps stand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchord.definitions.job import JobDefinition
from orchord.events import utc_now
from orchord.execution import StepRequest, StepResult, execute_step
from orchord.execution.transient import TransientInstance
from orchord.io_managers import mem_io_manager
from orchord.plan.compile import compile_plan
from orchord.runs import Run, RunStatus, new_run_id

ExecuteStep = Callable[..., StepResult]


@pytest.fixture
def run_step() -> ExecuteStep:
    """Return a function that executes one attempt at a step, and returns its StepResult."""

    def execute(
        job: JobDefinition, step_key: str, *, retry_number: int = 0, run_config: Any = None, run: Any = None, **kw: Any
    ) -> StepResult:
        if "io_manager" not in job.resource_defs:
            job = job.with_resources({"io_manager": mem_io_manager})
        request = StepRequest(
            run=run or Run(new_run_id(), job.name, "here", RunStatus.STARTED, "", utc_now()),
            step=compile_plan(job).step(step_key),
            attempt=retry_number + 1,
            retry_number=retry_number,
        )
        resolved = job.resolve_run_config(run_config)
        with TransientInstance() as instance:
            return execute_step(job, request, resolved=resolved, instance=instance, **kw)

    return execute


@pytest.fixture
def job_of() -> Callable[..., JobDefinition]:
    """Return a function that makes a job of one op without inputs."""
    from orchord.definitions.job import job

    def make(op: Any, **options: Any) -> JobDefinition:
        @job(name=f"job_of_{op.name}", **options)
        def one() -> None:
            op()

        return one

    return make
