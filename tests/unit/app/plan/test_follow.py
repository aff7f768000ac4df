"""``follow`` decides where a step ended, knowing only that step; it must give the run that RunMachine sees from above.

The test plays workers and joins: ends come in any order, parts are collected per join, bodies decide.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from orchord.plan.follow import Follow, begin, follow, joins_of
from orchord.plan.machine import EndRun, RunMachine, SkipStep, StartStep, StepEnd, decide
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.runs import AttemptStatus, Inherited, Part, RunStatus


def random_plan(rng: random.Random, size: int) -> ExecutionPlan:
    steps = []
    for number in range(size):
        inputs = []
        for place in range(rng.randint(0, min(3, number))):
            sources = tuple(
                OutputRef(f"s{rng.randrange(number)}", rng.choice(("result", "extra")))
                for _ in range(rng.choice((1, 1, 1, 3)))
            )
            inputs.append(StepInput(f"in{place}", sources, fan_in=len(sources) > 1, loads=rng.random() < 0.9))
        outputs = (StepOutput("result"), StepOutput("extra", is_required=False))
        steps.append(Step(f"s{number}", "op", tuple(inputs), outputs))
    return ExecutionPlan("job", tuple(steps))


def random_end(rng: random.Random) -> StepEnd:
    roll = rng.random()
    if roll < 0.12:
        return StepEnd(AttemptStatus.FAILURE)
    return StepEnd(AttemptStatus.SUCCESS, ("result",) if roll < 0.4 else ("result", "extra"))


class Fleet:
    """Workers and joins, played by the test: everything that real ones learn comes in messages."""

    def __init__(self, plan: ExecutionPlan, inherited: dict[str, Inherited], rng: random.Random) -> None:
        self.plan, self.inherited, self.rng = plan, inherited, rng
        self.queue: list[tuple[str, tuple[Part, ...]]] = []
        self.joins: dict[str | None, dict[int, Part]] = {}
        self.sizes = joins_of(plan)
        self.ends: dict[str, StepEnd] = {}
        self.run_ended = 0
        self.behaviour = {step.key: random_end(rng) for step in plan.steps}

    def act(self, moves: Follow) -> None:
        for skip in moves.skips:
            assert skip.step_key not in self.ends
            self.ends[skip.step_key] = StepEnd(skip.status)
        self.queue += [(start.step_key, start.parts) for start in moves.starts]
        for join in moves.joins:
            parts = self.joins.setdefault(join.target, {})
            assert join.index not in parts, "a part was returned twice"
            assert join.size == self.sizes[join.target]
            parts[join.index] = join.part
            if len(parts) == join.size:
                ordered = tuple(parts[index] for index in range(join.size))
                if join.target is None:
                    self.run_ended += 1
                else:
                    self.queue.append((join.target, ordered))
        self.run_ended += moves.ends_run

    def work(self) -> None:
        self.act(begin(self.plan, self.inherited))
        while self.queue:
            key, parts = self.queue.pop(self.rng.randrange(len(self.queue)))
            assert key not in self.ends, "a step was started twice"
            assert all(up in self.ends for up in self.plan.upstream[key]), "a step was started before its upstream"
            named = dict(zip(self.plan.upstream[key], parts, strict=True))
            decision = decide(self.plan, key, named, self.inherited)
            end = StepEnd(decision.status) if isinstance(decision, SkipStep) else self.behaviour[key]
            assert not self.run_ended, "the run ended before its last step"
            self.ends[key] = end
            self.act(follow(self.plan, key, end, self.inherited))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 25), st.booleans())
def test_workers_that_know_one_step_each_give_the_run_that_the_machine_predicts(
    seed: int, size: int, partial: bool
) -> None:
    rng = random.Random(seed)
    plan = random_plan(rng, size)
    inherited: dict[str, Inherited] = {}
    if partial:
        kept = [step.key for step in plan.steps if rng.random() < 0.7]
        inherited = {
            step.key: Inherited("earlier", rng.choice((("result",), ("result", "extra"))))
            for step in plan.steps
            if step.key not in kept
        }
        plan = plan.select(kept)
    fleet = Fleet(plan, inherited, rng)
    fleet.work()

    machine = RunMachine(plan, inherited)
    commands = machine.start()
    ended = [command for command in commands if isinstance(command, EndRun)]
    pending = [command for command in commands if isinstance(command, StartStep)]
    while pending:
        command = pending.pop()
        commands = machine.ended(command.step_key, fleet.behaviour[command.step_key])
        pending += [c for c in commands if isinstance(c, StartStep)]
        ended += [c for c in commands if isinstance(c, EndRun)]

    assert fleet.ends == machine.ends
    assert fleet.run_ended == 1
    assert len(ended) == 1
    failed = any(end.status is AttemptStatus.FAILURE for end in fleet.ends.values())
    assert ended[0].status is (RunStatus.FAILURE if failed else RunStatus.SUCCESS)
