"""The user code that runs under chaos: jobs of mixed shapes that behave by their names alone, so that plans predict.

Each op fails, is tried again, or leaves its optional output out as its own seed says. Every body writes a line to the
journal (``CHAOS_JOURNAL``) when it begins and when it ends: what really ran, whatever the database says.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orchord as dg

VARIANTS = 4
MOST_RETRIES = 2
POOL, POOL_LIMIT = "narrow", 2
SCHEDULES = 3
PAUSE_SCALE = float(os.environ.get("CHAOS_PAUSE_SCALE", "1"))


@dataclass(frozen=True)
class Behaviour:
    """What one op does: how often it fails before it succeeds, whether it yields ``extra``, and how long it takes."""

    failures: int
    has_retries: bool
    yields_extra: bool
    pause_seconds: float

    @property
    def succeeds(self) -> bool:
        return self.failures <= (MOST_RETRIES if self.has_retries else 0)


def behaviour_of(job: str, number: int) -> Behaviour:
    roll = random.Random(f"{job}.{number}")
    pause = roll.choice((0.0, 0.0, 0.05, 0.2, 0.5)) * PAUSE_SCALE
    kind = roll.random()
    if kind < 0.03:
        return Behaviour(1, False, False, pause)
    if kind < 0.05:
        return Behaviour(3, True, False, pause)
    if kind < 0.17:
        return Behaviour(roll.choice((1, 2)), True, roll.random() < 0.7, pause)
    return Behaviour(0, False, roll.random() < 0.8, pause)


def note(context: Any, word: str) -> None:
    """Append one line to the journal, in one write: lines of several processes do not mix."""
    path = os.environ.get("CHAOS_JOURNAL")
    if path:
        step_key = getattr(context, "step_key", None) or context.op_handle.to_string()
        line = f"{time.time():.6f} {word} {context.run_id} {step_key} {context.retry_number} {os.getpid()}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def body_of(job: str, number: int) -> Callable[..., Iterator[dg.Output]]:
    behaviour = behaviour_of(job, number)

    def compute(context: dg.OpExecutionContext, **values: Any) -> Iterator[dg.Output]:
        note(context, "begins")
        threading.Event().wait(behaviour.pause_seconds)
        if context.retry_number < behaviour.failures:
            note(context, "fails")
            raise ValueError(f"failure {context.retry_number + 1} of {behaviour.failures}")
        total = 1 + sum(sum(value) if isinstance(value, list) else value for value in values.values())
        note(context, "ends")
        yield dg.Output(total % 1_000_003, "result")
        if behaviour.yields_extra:
            yield dg.Output(number, "extra")

    return compute


def an_op(job: str, number: int, inputs: list[str], pool: str | None = None) -> dg.OpDefinition:
    policy = dg.RetryPolicy(max_retries=MOST_RETRIES, delay=0.3) if behaviour_of(job, number).has_retries else None
    return dg.op(
        name=f"s{number}",
        ins={name: dg.In(list[int] if name.startswith("many") else int) for name in inputs},
        out={"result": dg.Out(int), "extra": dg.Out(int, is_required=False)},
        retry_policy=policy,
        pool=pool,
    )(body_of(job, number))


Inputs = dict[str, Any]


def one(number: int, output: str = "result") -> dg.DependencyDefinition:
    return dg.DependencyDefinition(f"s{number}", output)


def many(*numbers: int) -> dg.MultiDependencyDefinition:
    return dg.MultiDependencyDefinition([one(number) for number in numbers])


def chain() -> list[Inputs]:
    return [{}, *({"one0": one(number)} for number in range(7))]


def diamond() -> list[Inputs]:
    return [
        {},
        *({"one0": one(0)} for _ in range(4)),
        *({"one0": one(n)} for n in range(1, 5)),
        {"many0": many(5, 6, 7, 8)},
    ]


def fan_in() -> list[Inputs]:
    return [*({} for _ in range(8)), {"many0": many(*range(8))}, {"one0": one(8)}]


def mixed(rng: random.Random, steps: int) -> list[Inputs]:
    """Random edges, some of them to optional outputs."""
    made: list[Inputs] = []
    for number in range(steps):
        inputs: Inputs = {}
        for place in range(rng.choice((0, 1, 1, 2, 2)) if number else 0):
            if rng.random() < 0.2:
                sources = sorted({rng.randrange(number) for _ in range(3)})
                edges = [one(source, rng.choice(("result", "extra"))) for source in sources]
                inputs[f"many{place}"] = dg.MultiDependencyDefinition(edges)
            else:
                inputs[f"one{place}"] = one(rng.randrange(number), "extra" if rng.random() < 0.2 else "result")
        made.append(inputs)
    return made


@dg.success_hook
def on_success(context: dg.HookContext) -> None:
    context.log.debug("%s succeeded", context.step_key)


@dg.failure_hook
def on_failure(context: dg.HookContext) -> None:
    context.log.debug("%s failed", context.step_key)


def make_job(family: str, variant: int) -> dg.JobDefinition:
    name = f"{family}_{variant}"
    rng = random.Random(name)
    fixed = {"chain": chain, "diamond": diamond, "fan_in": fan_in, "pooled": fan_in}
    shape = fixed[family]() if family in fixed else mixed(rng, 6 if family == "in_process" else 12)
    pool = POOL if family == "pooled" else None
    ops = [an_op(name, number, list(inputs), pool if number < 8 else None) for number, inputs in enumerate(shape)]
    graph = dg.GraphDefinition(
        name=name, node_defs=ops, dependencies={f"s{number}": inputs for number, inputs in enumerate(shape)}
    )
    return graph.to_job(
        name=name,
        hooks={on_success, on_failure} if family == "hooked" else None,
        executor_def=dg.in_process_executor if family == "in_process" else None,
        tags={"family": family},
    )


FAMILIES = ("chain", "diamond", "fan_in", "mixed", "hooked", "in_process", "pooled")
JOBS = {job.name: job for job in (make_job(family, variant) for family in FAMILIES for variant in range(VARIANTS))}


@dg.op
def endless(context: dg.OpExecutionContext) -> None:
    note(context, "begins")
    while True:
        threading.Event().wait(0.05)


@dg.op(ins={"after": dg.In(dg.Nothing)})
def afterwards() -> None:
    return None


@dg.job
def to_be_canceled() -> None:
    """Ends only by being canceled."""
    afterwards(after=endless())


@dg.asset
def raw_numbers() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"rows": 3})


@dg.asset(deps=[raw_numbers])
def clean_numbers() -> dg.MaterializeResult[Any]:
    threading.Event().wait(0.1)
    return dg.MaterializeResult(metadata={"rows": 2})


@dg.asset(deps=[clean_numbers, raw_numbers])
def total_of_numbers() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"total": 6})


materialize_numbers = dg.define_asset_job("materialize_numbers", [raw_numbers, clean_numbers, total_of_numbers])


@dg.op
def quick(context: dg.OpExecutionContext) -> None:
    note(context, "begins")


@dg.job
def scheduled() -> None:
    """What the schedules start."""
    quick()


@dg.job
def counted() -> None:
    """What the counting sensor starts."""
    quick()


@dg.job
def told() -> None:
    """What the status sensor starts for each run of ``scheduled`` and ``counted`` that succeeded."""
    quick()


def every_minute(number: int) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"every_minute_{number}",
        cron_schedule="* * * * *",
        job=scheduled,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


@dg.sensor(job=counted, minimum_interval_seconds=2, default_status=dg.DefaultSensorStatus.RUNNING)
def counting(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Asks for run 1, 2, 3 …: a cursor that is lost or kept back would show as a gap or as the same number again."""
    number = int(context.cursor or "0") + 1
    return dg.SensorResult([dg.RunRequest(run_key=str(number))], cursor=str(number))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[scheduled, counted],
    request_job=told,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def teller(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags={"tells_of": context.dagster_run.run_id})


defs = dg.Definitions(
    assets=[raw_numbers, clean_numbers, total_of_numbers],
    jobs=[*JOBS.values(), to_be_canceled, materialize_numbers, scheduled, counted, told],
    schedules=[every_minute(number) for number in range(SCHEDULES)],
    sensors=[counting, teller],
)
