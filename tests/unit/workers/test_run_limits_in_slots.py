"""Steps that wait for a limit of their run's executor: who sends them when a place comes free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import orchord as dg
from orchord.definitions.definitions_object import Definitions
from orchord.events import utc_now
from orchord.instance.sections import CelerySettings
from orchord.plan.gates import executor_config, gates_of
from orchord.plan.model import ExecutionPlan
from orchord.runs import AttemptStatus, Part, Run, RunStatus, new_run_id
from orchord.snapshot import snapshot_of
from orchord.spi import BrokerUnavailableError, OrchordInstance
from orchord.storage.values import Claim, Finish
from orchord.wire import StepMessage
from orchord_workers.app import make_app
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.mending import Mender
from orchord_workers.slots import Slots
from orchord_workers.step_runner import Holder, StepRunner


@dg.op
def one() -> int:
    return 1


@dg.job
def several() -> None:
    for number in range(4):
        one.alias(f"one_{number}")()


class Sent(Canvas):
    """Notes what is sent."""

    def __init__(self) -> None:
        super().__init__(make_app(CelerySettings()))
        self.steps: list[str] = []
        self.is_away = False

    def send_step(self, run: Run, plan: ExecutionPlan, message: StepMessage, parts: Iterable[Part], **_: Any) -> None:
        if self.is_away:
            raise BrokerUnavailableError("away")
        self.steps.append(message.step_key)


class Gated:
    """A run of four steps of which two may run at once; all have asked for a place."""

    def __init__(self, instance: OrchordInstance) -> None:
        self.instance = instance
        snapshot = snapshot_of(Definitions(jobs=[several]).resolve(), "home")
        instance.storage.locations.put(snapshot)
        self.job = snapshot.jobs[0]
        config = {"execution": {"config": {"max_concurrent": 2}}}
        self.run = Run(
            new_run_id(), "several", "home", RunStatus.STARTING, self.job.snapshot_id, utc_now(), config,
            executor="docker_executor",
        )  # fmt: skip
        instance.storage.runs.create(self.run, [])
        self.canvas = Sent()
        self.contexts = RunContexts(instance, None)
        self.slots = Slots(instance, self.canvas, self.contexts)
        self.claims = [self.claim_of(number) for number in range(4)]
        gates = gates_of(executor_config(self.run), self.job.plan)
        self.won = [claim for claim in self.claims if instance.storage.launches.reserve(claim, gates).claimed]

    def claim_of(self, number: int) -> Claim:
        return Claim(self.run.run_id, f"one_{number}", 1, f"token-{number}", "launcher", utc_now())

    def end(self, claim: Claim) -> None:
        finish = Finish(claim.run_id, claim.step_key, 1, claim.token, AttemptStatus.SUCCESS, utc_now())
        assert self.instance.storage.attempts.finish(finish).accepted


@pytest.fixture
def gated() -> Iterator[Gated]:
    with OrchordInstance.ephemeral() as instance:
        yield Gated(instance)


def test_an_end_sends_the_next_that_waits_and_no_more(gated: Gated) -> None:
    assert [claim.step_key for claim in gated.won] == ["one_0", "one_1"]
    gated.slots.freed_in(gated.run, gated.job.plan)
    assert gated.canvas.steps == []
    gated.end(gated.won[0])
    gated.slots.freed_in(gated.run, gated.job.plan)
    gated.slots.freed_in(gated.run, gated.job.plan)
    assert gated.canvas.steps == ["one_2"]


def test_what_an_end_could_not_send_is_sent_by_who_looks_now_and_then(gated: Gated) -> None:
    gated.end(gated.won[0])
    assert gated.slots.call_in_runs() == 1
    assert gated.canvas.steps == ["one_2"]
    assert gated.slots.call_in_runs() == 0


def test_a_broker_that_is_away_is_no_fault_of_the_step_that_ended(gated: Gated) -> None:
    gated.end(gated.won[0])
    gated.canvas.is_away = True
    gated.slots.freed_in(gated.run, gated.job.plan)
    assert gated.canvas.steps == []


def test_the_mender_leaves_who_waits_alone_and_calls_who_has_room(gated: Gated) -> None:
    runner = StepRunner(gated.instance, gated.canvas, gated.contexts, holder=Holder("w", 1), notify_end=lambda *_: None)
    mender = Mender(runner)
    mender.mend_run(gated.run.run_id)
    assert gated.canvas.steps == []
    gated.instance.storage.attempts.mark_lost(gated.run.run_id, "one_0", 1, utc_now(), "gone")
    mender.mend_run(gated.run.run_id)
    # The lost step itself, which asks for a place again, and the one whose turn it is.
    assert sorted(gated.canvas.steps) == ["one_0", "one_2"]
