"""Which queue a message goes to, and with which priority: what the tags of runs and ops mean to the broker.

To users a higher number always goes first. RabbitMQ says so too; Redis and Valkey serve the lowest first and know
ten levels. How queues are declared is app.py.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from orchord.spi import (
    PLAIN_QUEUE,
    CelerySettings,
    ExecutionPlan,
    Place,
    Run,
    Step,
    launches_queue,
    place_of,
    steps_queue,
)

logger = logging.getLogger(__name__)

QUEUE_TAGS = ("orchord/celery_queue", "dagster-celery/queue")
PRIORITY_TAGS = ("orchord/celery_priority", "dagster-celery/priority")
RUN_PRIORITY_TAGS = ("orchord/celery_run_priority", "dagster-celery/run_priority")

# Kombu keeps a list per level in Redis, numbered from 0, and takes from the lowest that is not empty.
LAST_LEVEL_OF_REDIS = 9


@dataclass(frozen=True)
class Route:
    """Where a message goes. ``priority`` is the broker's own number; None: the broker knows none."""

    queue: str
    priority: int | None


@dataclass(frozen=True)
class Priorities:
    """How priorities are said to one broker.

    Attributes:
        default: of a step whose op says nothing.
        highest: higher ones count as this; 0: there are none.
        lowest_first: whether the broker serves low numbers first.
    """

    default: int
    highest: int
    lowest_first: bool

    @classmethod
    def of(cls, settings: CelerySettings, *, lowest_first: bool) -> Priorities:
        """Return the priorities of a ``celery`` section."""
        return cls(min(settings.default_priority, settings.max_priority), settings.max_priority, lowest_first)

    def number(self, priority: int | None = None) -> int | None:
        """Return the broker's number for a priority (None: the default one); None where there are no priorities."""
        if not self.highest:
            return None
        bounded = max(0, min(self.default if priority is None else priority, self.highest))
        if not self.lowest_first:
            return bounded
        if self.highest <= LAST_LEVEL_OF_REDIS + 1:
            # Each number has a level of its own; only the two highest share one when there are eleven.
            return max(0, LAST_LEVEL_OF_REDIS - bounded)
        return LAST_LEVEL_OF_REDIS - bounded * LAST_LEVEL_OF_REDIS // self.highest

    def of_step(self, run: Run, step: Step | None) -> int | None:
        """Return the broker's number for a step: its op's priority and its run's, added."""
        own = _tagged(step.tags, PRIORITY_TAGS) if step is not None else None
        return self.number((self.default if own is None else own) + run_priority(run))


def route_of_step(run: Run, step: Step | None, priorities: Priorities) -> Route:
    """Return where a step's message goes. Without its step, a message is the run's own.

    What needs a container goes to the launcher workers, all else to the workers of the run's location.
    """
    place = place_of(run.executor, step)
    if step is not None and place.is_container:
        return Route(launches_queue(place), priorities.of_step(run, step))
    return Route(steps_queue(run.location, queue_of(step)), priorities.of_step(run, step))


def route_of_unit(run: Run, priorities: Priorities) -> Route:
    """Return where the message of a run goes that is one unit of work."""
    place = Place(run.unit_place)
    queue = launches_queue(place) if place.is_container else steps_queue(run.location)
    return Route(queue, priorities.of_step(run, None))


def queue_of(step: Step | None) -> str | None:
    """Return the name of the further queue that a step asks for; None: the location's plain one."""
    if step is None:
        return None
    named = next((step.tags[tag] for tag in QUEUE_TAGS if step.tags.get(tag)), PLAIN_QUEUE)
    return None if named == PLAIN_QUEUE else named


def may_follow(run: Run, plan: ExecutionPlan, ended: str, step_key: str) -> bool:
    """Return whether the process that ran one step may go on with another: both run in a worker, of the same queue.

    A step that needs a slot of a pool is sent: its claim is not the quick one, and others may come before it.
    """
    step = plan.by_key.get(step_key)
    if any(place_of(run.executor, plan.by_key.get(key)) is not Place.WORKER for key in (ended, step_key)):
        return False
    return queue_of(plan.by_key.get(ended)) == queue_of(step) and (step is None or step.pool is None)


def run_priority(run: Run) -> int:
    """Return what a run adds to the priority of its steps: its own tag, or else its priority in the run queue."""
    tagged = _tagged(run.tags, RUN_PRIORITY_TAGS)
    return run.priority if tagged is None else tagged


def _tagged(tags: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((_whole_number(name, tags[name]) for name in names if name in tags), None)


@functools.lru_cache(maxsize=256)
def _whole_number(tag: str, text: str) -> int | None:
    """Read a tag's number; of one that is none, tell once."""
    try:
        return int(text)
    except ValueError:
        logger.warning("The tag %s is %r, and no whole number: it is left out of account", tag, text)
        return None
