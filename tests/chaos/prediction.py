"""What a run must come to, by the pure plan and the behaviour of its ops alone: statuses, retries and values.

What it did come to is read in verdict.py.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import shapes

from orchord.plan.compile import compile_plan
from orchord.plan.machine import RunMachine, SkipStep, StartStep, StepEnd
from orchord.plan.model import ExecutionPlan
from orchord.runs import AttemptStatus


@dataclass(frozen=True)
class Prediction:
    """By step: its status, the number of retries of its last attempt, and the value of its ``result``."""

    status: str
    steps: dict[str, str]
    retries: dict[str, int]
    values: dict[str, int]


@functools.cache
def predict(job_name: str) -> Prediction:
    """Follow the plan of a job with the behaviours of its ops."""
    if job_name not in shapes.JOBS:
        job = shapes.defs.get_job_def(job_name)
        plan = compile_plan(job)
        return Prediction("SUCCESS", {step.key: "SUCCESS" for step in plan.steps}, {}, {})
    plan = compile_plan(shapes.JOBS[job_name])
    return _follow(job_name, plan)


def _follow(job_name: str, plan: ExecutionPlan) -> Prediction:
    machine = RunMachine(plan)
    statuses: dict[str, str] = {}
    retries: dict[str, int] = {}
    values: dict[str, int] = {}

    def carry_out(command: StartStep) -> StepEnd:
        key = command.step_key
        behaviour = shapes.behaviour_of(job_name, int(key[1:]))
        retries[key] = min(behaviour.failures, shapes.MOST_RETRIES if behaviour.has_retries else 0)
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
        elif isinstance(command, StartStep):
            end = carry_out(command)
            statuses[command.step_key] = end.status.value
            pending += machine.ended(command.step_key, end)
    failed = "FAILURE" in statuses.values()
    return Prediction("FAILURE" if failed else "SUCCESS", statuses, retries, values)
