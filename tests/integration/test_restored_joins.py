"""Joins whose sizes and parts a flush has taken are whole again, whenever their steps end, and complete once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

import orchord as dg
from orchord.definitions.definitions_object import Definitions
from orchord.events import utc_now
from orchord.instance.sections import CelerySettings
from orchord.runs import AttemptStatus, Part, Run, RunStatus, new_run_id
from orchord.snapshot import snapshot_of
from orchord.spi import OrchordInstance
from orchord.storage.values import Claim, Finish
from orchord.wire import StepMessage
from orchord_workers.app import close_app, make_app
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.mending import Mender
from orchord_workers.step_runner import Holder, StepRunner


@dg.op
def one() -> int:
    return 1


@dg.op
def both(left: int, right: int) -> int:
    return left + right


@dg.job
def joined() -> None:
    first = both.alias("first")(one.alias("a")(), one.alias("b")())
    second = both.alias("second")(one.alias("c")(), one.alias("d")())
    both.alias("last")(first, second)


class NotingCanvas(Canvas):
    """A canvas over a real result backend whose messages go nowhere."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.sent: list[tuple[str, tuple[Part, ...]]] = []

    def send_step(self, run: Run, plan: Any, message: StepMessage, parts: Any, **options: Any) -> None:
        self.sent.append((message.step_key, tuple(parts)))


class Stage:
    """A run of the job, with what workers and the monitor do to it."""

    def __init__(self, instance: OrchordInstance, canvas: NotingCanvas) -> None:
        self.storage, self.canvas = instance.storage, canvas
        snapshot = snapshot_of(Definitions(jobs=[joined]).resolve(), "home")
        self.storage.locations.put(snapshot)
        known = snapshot.job_by_name["joined"]
        self.run = Run(new_run_id(), "joined", "home", RunStatus.STARTING, known.snapshot_id, utc_now())
        self.storage.runs.create(self.run, [])
        canvas.prepare(self.run, known.plan)
        self.runner = StepRunner(
            instance, canvas, RunContexts(instance, None), holder=Holder("w", 1), notify_end=lambda run_id, status: None
        )
        self.mender = Mender(self.runner)

    def ends(self, step: str) -> None:
        self.storage.attempts.claim(Claim(self.run.run_id, step, 1, step, "w", utc_now()))
        finish = Finish(self.run.run_id, step, 1, step, AttemptStatus.SUCCESS, utc_now(), outputs=("result",))
        assert self.storage.attempts.finish(finish).accepted
        (attempt,) = [a for a in self.storage.attempts.of_run(self.run.run_id) if a.step_key == step]
        self.runner.advance_again(self.runner.contexts.read(self.run.run_id), attempt)

    def restores(self) -> int:
        return self.mender.restore_joins(self.runner.contexts.read(self.run.run_id))

    @property
    def sent(self) -> list[str]:
        return [step for step, _ in self.canvas.sent]


@pytest.fixture
def stage(valkey_url: str) -> Iterator[Stage]:
    app = make_app(CelerySettings(broker=valkey_url))
    with OrchordInstance.ephemeral() as instance:
        yield Stage(instance, NotingCanvas(app))
    close_app(app)


def test_after_a_flush_all_open_joins_complete_by_themselves(stage: Stage, valkey_url: str) -> None:
    stage.ends("a")
    stage.ends("c")
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    assert stage.restores() == 2
    assert stage.sent == []
    for step in ("d", "b", "first", "second"):
        stage.ends(step)
    assert stage.sent == ["second", "first", "last"]
    assert all(len(parts) == 2 for _, parts in stage.canvas.sent)


def test_a_run_that_had_not_begun_gets_the_sizes_of_its_joins_back(stage: Stage, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    stage.restores()
    stage.ends("a")
    stage.ends("b")
    assert stage.sent == ["first"]


def test_joins_that_were_not_lost_are_as_they_were(stage: Stage) -> None:
    stage.ends("a")
    assert [stage.restores(), stage.restores()] == [1, 1]
    assert stage.sent == []
    stage.ends("b")
    assert stage.sent == ["first"]
    stage.restores()
    assert stage.sent == ["first"], "its body was sent a moment ago"


def test_a_join_whose_last_part_came_between_the_flush_and_the_look_is_started(stage: Stage, valkey_url: str) -> None:
    stage.ends("a")
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    stage.ends("b")
    assert stage.sent == []
    stage.restores()
    assert stage.sent == ["first"]


def test_a_join_that_was_started_is_not_started_again(stage: Stage, valkey_url: str) -> None:
    stage.ends("a")
    stage.ends("b")
    stage.storage.attempts.claim(Claim(stage.run.run_id, "first", 1, "token", "w", utc_now()))
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    assert stage.restores() == 0
    assert stage.sent == ["first"]
