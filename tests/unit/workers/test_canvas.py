"""The canvas on a real Valkey: joins complete once, in order, whoever returns the last part; messages stay small."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from orchord.embedded.processes import free_port
from orchord.errors import BrokerUnavailableError
from orchord.events import utc_now
from orchord.instance.sections import CelerySettings
from orchord.plan.follow import JoinPart
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.runs import Part, PartStatus, Run, RunStatus, new_run_id
from orchord.wire import StepMessage
from orchord_workers.app import broker_errors_translated, close_app, make_app, without_password
from orchord_workers.canvas import Canvas

WIDTH = 40


@pytest.fixture
def canvas(valkey_url: str) -> Iterator[Canvas]:
    app = make_app(CelerySettings(broker=valkey_url))
    yield Canvas(app)
    close_app(app)


def a_run() -> Run:
    return Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", utc_now())


def wide_plan(width: int = WIDTH) -> ExecutionPlan:
    sources = [Step(f"s{n}", "op", outputs=(StepOutput("result"),)) for n in range(width)]
    refs = tuple(OutputRef(step.key, "result") for step in sources)
    body = Step("body", "op", (StepInput("many", refs, fan_in=True),))
    return ExecutionPlan("a_job", (*sources, body))


def parts_of(width: int = WIDTH) -> list[JoinPart]:
    return [JoinPart("body", f"s{n}", n, width, Part(PartStatus.OK, (str(n),))) for n in range(width)]


def test_a_join_completes_with_its_last_part_and_gives_the_parts_in_the_order_of_the_plan(canvas: Canvas) -> None:
    run = a_run()
    canvas.prepare(run, wide_plan())
    parts = parts_of()
    random.Random(7).shuffle(parts)
    completed = [canvas.return_part(run, part) for part in parts]
    assert completed[:-1] == [None] * (WIDTH - 1)
    assert completed[-1] is not None
    assert completed[-1].target == "body"
    assert [part.missing for part in completed[-1].parts] == [(str(n),) for n in range(WIDTH)]


def test_a_part_that_is_returned_twice_counts_once(canvas: Canvas) -> None:
    run = a_run()
    canvas.prepare(run, wide_plan(3))
    first, second, third = parts_of(3)
    answers = [canvas.return_part(run, part) for part in (first, first, second, second, first)]
    assert answers == [None] * 5
    assert canvas.return_part(run, third) is not None
    assert canvas.return_part(run, third) is None


def test_of_many_who_return_parts_at_once_one_completes_the_join(canvas: Canvas) -> None:
    run = a_run()
    canvas.prepare(run, wide_plan())
    with ThreadPoolExecutor(8) as pool:
        completed = list(pool.map(lambda part: canvas.return_part(run, part), parts_of()))
    assert sum(answer is not None for answer in completed) == 1


def test_a_step_is_part_of_as_many_joins_as_wait_on_it(canvas: Canvas) -> None:
    run = a_run()
    refs = (OutputRef("a", "result"), OutputRef("b", "result"))
    plan = ExecutionPlan(
        "a_job",
        (
            Step("a", "op", outputs=(StepOutput("result"),)),
            Step("b", "op", outputs=(StepOutput("result"),)),
            Step("x", "op", (StepInput("many", refs, fan_in=True),)),
            Step("y", "op", (StepInput("many", refs, fan_in=True),)),
        ),
    )
    canvas.prepare(run, plan)
    ok = Part(PartStatus.OK)
    answers = {
        (target, source): canvas.return_part(run, JoinPart(target, source, index, 2, ok))
        for target in ("x", "y", None)
        for index, source in enumerate(("a", "b") if target else ("x", "y"))
    }
    assert [key for key, answer in answers.items() if answer is not None] == [("x", "b"), ("y", "b"), (None, "y")]


def test_a_message_is_small_and_bears_the_name_of_the_step(canvas: Canvas, valkey_url: str) -> None:
    run = a_run()
    message = StepMessage(run.run_id, "sum_two_sums")
    canvas.send_step(run, wide_plan(2), message, [Part(PartStatus.OK)])
    with redis.Redis.from_url(valkey_url) as client:
        # One list for each level of priority, of which this is the middle one.
        (raw,) = client.lrange("steps.here\x06\x164", 0, -1)
    headers = json.loads(raw)["headers"]
    assert headers["shadow"] == "a_job.sum_two_sums"
    assert headers["id"] == f"{run.run_id}.sum_two_sums.1"
    assert headers["ignore_result"] is True
    assert len(raw) < 1500


def test_an_unreachable_broker_is_named_with_the_fix_and_without_its_password() -> None:
    port = free_port()
    app = make_app(CelerySettings(broker=f"redis://:secret@127.0.0.1:{port}/0"))
    with pytest.raises(BrokerUnavailableError) as caught, broker_errors_translated(app):
        Canvas(app).prepare(a_run(), wide_plan(2))
    text = str(caught.value)
    assert f"redis://:***@127.0.0.1:{port}/0" in text
    assert "orchord.yaml" in text
    assert "secret" not in text
    close_app(app)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("amqp://user:pw@rabbit:5672/vhost", "amqp://user:***@rabbit:5672/vhost"),
        ("rediss://:pw@host/1", "rediss://:***@host/1"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
