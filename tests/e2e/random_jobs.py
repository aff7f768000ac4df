"""Random jobs, the same in every process for one seed: user code of the e2e tests, and what it must come to.

Each op fails, retries, yields its optional output or not, as its own seed says; so the pure plan can predict the run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orchord as dg

STEPS = 500
SEEDS = range(10)


@dataclass(frozen=True)
class Behaviour:
    """What one op does: how often it fails before it succeeds (a number above 2 exhausts its retries)."""

    failures: int
    has_retries: bool
    yields_extra: bool

    @property
    def succeeds(self) -> bool:
        return self.failures <= (2 if self.has_retries else 0)


def behaviour_of(seed: int, number: int) -> Behaviour:
    roll = random.Random(f"{seed}.{number}")
    kind = roll.random()
    if kind < 0.01:
        return Behaviour(1, False, False)
    if kind < 0.02:
        return Behaviour(3, True, False)
    if kind < 0.08:
        return Behaviour(roll.choice((1, 2)), True, roll.random() < 0.7)
    return Behaviour(0, False, roll.random() < 0.8)


def random_op(seed: int, number: int, inputs: list[str]) -> dg.OpDefinition:
    behaviour = behaviour_of(seed, number)

    def compute(context: dg.OpExecutionContext, **values: Any) -> Iterator[dg.Output]:
        if context.retry_number < behaviour.failures:
            raise ValueError(f"failure {context.retry_number + 1} of {behaviour.failures}")
        total = 1 + sum(sum(value) if isinstance(value, list) else value for value in values.values())
        yield dg.Output(total % 1_000_003, "result")
        if behaviour.yields_extra:
            yield dg.Output(number, "extra")

    return dg.op(
        name=f"s{number}",
        ins={name: dg.In(int if not name.startswith("many") else list[int]) for name in inputs},
        out={"result": dg.Out(int), "extra": dg.Out(int, is_required=False)},
        retry_policy=dg.RetryPolicy(max_retries=2) if behaviour.has_retries else None,
    )(compute)


def random_job(seed: int, steps: int = STEPS) -> dg.JobDefinition:
    rng = random.Random(seed)
    ops = []
    dependencies: dict[Any, dict[str, Any]] = {}
    for number in range(steps):
        inputs: dict[str, Any] = {}
        for place in range(rng.choice((0, 1, 1, 1, 2, 2, 3)) if number else 0):
            first = max(0, number - 60)
            if rng.random() < 0.15:
                sources = sorted({rng.randrange(first, number) for _ in range(4)})
                inputs[f"many{place}"] = dg.MultiDependencyDefinition(
                    [dg.DependencyDefinition(f"s{n}", rng.choice(("result", "extra"))) for n in sources]
                )
            else:
                output = "extra" if rng.random() < 0.15 else "result"
                inputs[f"one{place}"] = dg.DependencyDefinition(f"s{rng.randrange(first, number)}", output)
        ops.append(random_op(seed, number, list(inputs)))
        dependencies[f"s{number}"] = inputs
    graph = dg.GraphDefinition(name=f"random_{seed}", node_defs=ops, dependencies=dependencies)
    return graph.to_job(name=f"random_{seed}")


defs = dg.Definitions(jobs=[random_job(seed) for seed in SEEDS])
