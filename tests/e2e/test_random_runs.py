"""Random runs of 500 steps end with exactly the statuses, and the values, that the pure plan predicts."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchord.plan.compile import compile_plan
from orchord.plan.machine import RunMachine, SkipStep, StartStep, StepEnd
from orchord.plan.model import ExecutionPlan
from orchord.runs import AttemptStatus

USER_CODE = Path(__file__).parent / "random_jobs.py"


def user_code() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_jobs", USER_CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["random_jobs"] = module
    spec.loader.exec_module(module)
    return module


def predict(jobs: ModuleType, seed: int) -> tuple[dict[str, str], dict[str, int], dict[str, int]]:
    """Return each step's status, its number of attempts, and the value of each ``result``."""
    plan: ExecutionPlan = compile_plan(jobs.random_job(seed))
    machine = RunMachine(plan)
    statuses: dict[str, str] = {}
    attempts: dict[str, int] = {}
    values: dict[str, int] = {}

    def run_step(command: StartStep) -> StepEnd:
        key = command.step_key
        behaviour = jobs.behaviour_of(seed, int(key[1:]))
        attempts[key] = min(behaviour.failures, 2 if behaviour.has_retries else 0) + 1
        if not behaviour.succeeds:
            return StepEnd(AttemptStatus.FAILURE)
        total = 1
        for step_input in plan.step(key).inputs:
            for ref in step_input.sources:
                if ref not in command.missing:
                    total += values[ref.step_key] if ref.output_name == "result" else int(ref.step_key[1:])
        values[key] = total % 1_000_003
        return StepEnd(AttemptStatus.SUCCESS, ("result", "extra") if behaviour.yields_extra else ("result",))

    pending: list[Any] = list(machine.start())
    while pending:
        command = pending.pop()
        if isinstance(command, SkipStep):
            statuses[command.step_key] = command.status.value
            attempts[command.step_key] = 1
        elif isinstance(command, StartStep):
            end = run_step(command)
            statuses[command.step_key] = end.status.value
            pending += machine.ended(command.step_key, end)
    return statuses, attempts, values


@pytest.mark.timeout(600)
def test_ten_random_runs_of_500_steps_end_as_the_plan_predicts(deployment) -> None:
    jobs = user_code()
    deployment.start_all(USER_CODE.name)
    runs = {seed: deployment.launch(f"random_{seed}") for seed in jobs.SEEDS}
    kinds: set[str] = set()
    for seed, launched in runs.items():
        run = deployment.wait(launched["run_id"], seconds=300)
        statuses, attempts, values = predict(jobs, seed)
        got = {step["step_key"]: step["status"] for step in run["steps"]}
        assert len(got) == jobs.STEPS
        assert got == statuses
        assert {step["step_key"]: len(step["attempts"]) for step in run["steps"]} == attempts
        failed = "FAILURE" in statuses.values()
        assert run["status"] == ("FAILURE" if failed else "SUCCESS")
        stored = deployment.home / "storage" / launched["run_id"]
        assert {key: pickle.loads((stored / key / "result").read_bytes()) for key in values} == values
        kinds |= set(statuses.values())
    assert kinds == {"SUCCESS", "FAILURE", "SKIPPED", "UPSTREAM_FAILED"}
