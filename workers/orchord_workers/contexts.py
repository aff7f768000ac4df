"""What a pool child knows of the runs it works on: plan, code and config, cached because messages carry none of it.

Everything cached here can be read again from the database; nothing is ever only here.
"""

from __future__ import annotations

import traceback
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchord.spi import (
    CodeLocation,
    ErrorInfo,
    ExecutionPlan,
    InvalidConfigError,
    JobDefinition,
    OrchordInstance,
    ResolvedRunConfig,
    Run,
)

CACHED_RUNS = 512
CACHED_PLANS = 64

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value, or None when it is not remembered."""
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> Value:
        """Remember a value and return it."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)
        return value


@dataclass(frozen=True)
class RunContext:
    """One run as a worker sees it.

    ``job`` and ``resolved`` are None when the worker's own code cannot carry out the run; ``fault`` then says why.
    """

    run: Run
    plan: ExecutionPlan
    job: JobDefinition | None = None
    resolved: ResolvedRunConfig | None = None
    fault: ErrorInfo | None = None


class RunContexts:
    """Makes and remembers run contexts. ``code`` is None in a process without user code, such as the monitor's."""

    def __init__(self, instance: OrchordInstance, code: CodeLocation | None) -> None:
        self._instance = instance
        self._code = code
        self._runs: Recent[str, RunContext] = Recent(CACHED_RUNS)
        self._plans: Recent[tuple[str, tuple[str, ...] | None], ExecutionPlan] = Recent(CACHED_PLANS)

    def known(self, run_id: str) -> RunContext | None:
        """Return the context of a run, if it is remembered."""
        return self._runs.get(run_id)

    def of(self, run: Run) -> RunContext:
        """Return the context of a run, made from its record."""
        return self._runs.get(run.run_id) or self._runs.put(run.run_id, self._make(run))

    def read(self, run_id: str) -> RunContext:
        """Return the context of a run, read from storage when it is not remembered."""
        return self._runs.get(run_id) or self.of(self._instance.storage.runs.get(run_id))

    def plan_of(self, run: Run) -> ExecutionPlan:
        """Return the plan that a run was recorded with, cut down to its selection."""
        key = (run.job_snapshot_id, run.step_keys)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._instance.storage.locations.job_snapshot(run.job_snapshot_id).plan
            if run.step_keys is not None:
                plan = plan.select(run.step_keys)
            self._plans.put(key, plan)
        return plan

    def _make(self, run: Run) -> RunContext:
        plan = self.plan_of(run)
        if self._code is None:
            return RunContext(run, plan)
        job = self._code.repository.jobs.get(run.job_name)
        if job is None:
            return RunContext(run, plan, fault=missing_job(run, self._code))
        try:
            return RunContext(run, plan, job, job.resolve_run_config(run.run_config, run.step_keys))
        except InvalidConfigError as error:
            return RunContext(run, plan, job, fault=ErrorInfo("InvalidConfigError", str(error)))
        except Exception as error:  # noqa: BLE001 - the user's config mappings and validators run here
            stack = traceback.format_exc()
            return RunContext(run, plan, job, fault=ErrorInfo(type(error).__name__, str(error), stack))


def missing_job(run: Run, code: CodeLocation) -> ErrorInfo:
    """Word the fault of a run whose job this worker's code does not have."""
    return ErrorInfo(
        "JobNotFoundError",
        f"Job '{run.job_name}' is not in the code that this worker has loaded for location '{code.name}'. "
        "The run was recorded with other code: restart the workers with it, or launch the run again.",
    )


def missing_step(run: Run, step_key: str, code_name: str) -> ErrorInfo:
    """Word the fault of a step whose op this worker's code does not have."""
    return ErrorInfo(
        "StepNotFoundError",
        f"Step '{step_key}' of job '{run.job_name}' is not in the code that this worker has loaded for location "
        f"'{code_name}'. The run was recorded with other code: restart the workers with it, or launch the run again.",
    )
