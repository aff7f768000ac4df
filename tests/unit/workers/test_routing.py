"""Queues and priorities of messages: what tags mean, and that a higher number goes first on both kinds of broker."""

from __future__ import annotations

import logging

import pytest

from orchord.events import utc_now
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run, RunStatus, new_run_id
from orchord.spi import CelerySettings
from orchord_workers.routing import Priorities, Route, may_follow, queue_of, route_of_step

ON_REDIS = Priorities.of(CelerySettings(), lowest_first=True)
ON_RABBITMQ = Priorities.of(CelerySettings(), lowest_first=False)


def a_run(priority: int = 0, **tags: str) -> Run:
    named = {key.replace("__", "/"): value for key, value in tags.items()}
    return Run(new_run_id(), "a_job", "here", RunStatus.STARTED, utc_now(), utc_now(), tags=named, priority=priority)


def a_step(key: str = "one", **tags: str) -> Step:
    named = {name.replace("dagster_celery__", "dagster-celery/"): value for name, value in tags.items()}
    return Step(key, key, tags={name.replace("__", "/"): value for name, value in named.items()})


@pytest.mark.parametrize("tag", ["orchord__celery_queue", "dagster_celery__queue"])
def test_a_step_goes_to_the_queue_of_its_location_that_it_names(tag: str) -> None:
    assert route_of_step(a_run(), a_step(**{tag: "gpu"}), ON_RABBITMQ) == Route("steps.here:gpu", 5)


def test_a_step_without_a_tag_and_one_that_says_default_go_to_the_plain_queue() -> None:
    assert queue_of(a_step()) is queue_of(a_step(orchord__celery_queue="default")) is None
    assert route_of_step(a_run(), a_step(), ON_RABBITMQ) == route_of_step(a_run(), None, ON_RABBITMQ)
    assert route_of_step(a_run(), None, ON_RABBITMQ).queue == "steps.here"


def test_the_priorities_of_run_and_op_are_added() -> None:
    urgent = a_step(dagster_celery__priority="7")
    assert route_of_step(a_run(), urgent, ON_RABBITMQ).priority == 7
    tagged = Run(
        new_run_id(), "j", "here", RunStatus.STARTED, utc_now(), utc_now(), tags={"dagster-celery/run_priority": "2"}
    )
    assert route_of_step(tagged, urgent, ON_RABBITMQ).priority == 9
    assert route_of_step(tagged, a_step(), ON_RABBITMQ).priority == 7


def test_a_run_that_goes_first_in_the_run_queue_goes_first_at_the_workers() -> None:
    assert route_of_step(a_run(priority=3), a_step(), ON_RABBITMQ).priority == 8
    assert route_of_step(a_run(priority=-3), a_step(), ON_RABBITMQ).priority == 2


def test_numbers_out_of_bounds_count_as_the_nearest() -> None:
    assert route_of_step(a_run(priority=500), a_step(), ON_RABBITMQ).priority == 10
    assert route_of_step(a_run(priority=-500), a_step(), ON_RABBITMQ).priority == 0


def test_what_is_no_number_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    step = a_step(orchord__celery_priority="very high")
    with caplog.at_level(logging.WARNING):
        assert route_of_step(a_run(), step, ON_RABBITMQ).priority == 5
    assert "The tag orchord/celery_priority is 'very high', and no whole number" in caplog.text


@pytest.mark.parametrize("highest", [1, 5, 9, 10, 100, 255])
def test_redis_levels_fall_as_priorities_rise(highest: int) -> None:
    priorities = Priorities.of(CelerySettings(max_priority=highest), lowest_first=True)
    levels = [priorities.number(priority) for priority in range(highest + 1)]
    assert levels == sorted(levels, key=lambda level: -(level or 0))
    assert (levels[0], levels[-1]) == (9, max(0, 9 - highest))


def test_on_redis_the_default_lies_between_the_numbers_next_to_it() -> None:
    higher, default, lower = (ON_REDIS.number(priority) for priority in (6, None, 4))
    assert (higher, default, lower) == (3, 4, 5)


def test_without_a_highest_priority_there_are_none() -> None:
    priorities = Priorities.of(CelerySettings(max_priority=0), lowest_first=False)
    assert route_of_step(a_run(priority=5), a_step(orchord__celery_priority="9"), priorities).priority is None


def test_a_process_goes_on_only_with_steps_of_the_queue_that_it_took_one_from() -> None:
    gpu, other = a_step("gpu", orchord__celery_queue="gpu"), a_step("other", orchord__celery_queue="gpu")
    plan = ExecutionPlan("a_job", (gpu, other, a_step("plain")))
    assert may_follow(a_run(), plan, "gpu", "other")
    assert not may_follow(a_run(), plan, "plain", "gpu")
    assert not may_follow(a_run(), plan, "gpu", "plain")
