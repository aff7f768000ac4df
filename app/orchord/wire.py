"""Names and payloads of every Celery task, versioned: what the launcher, the workers and the monitor agree on.

A message names a run, a step and an attempt, and never carries the graph: it stays a few hundred bytes whatever
the size of the job. The version is part of each task's name, so that an old worker never misreads a new payload.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from orchord.runs import Part, PartStatus

STEP_TASK = "orchord.v1.step"
END_TASK = "orchord.v1.run.end"
WHOLE_RUN_TASK = "orchord.v1.run.execute"
TICKS_TASK = "orchord.v1.ticks"

RUN_ENDED_CHANNEL = "orchord:v1:run-ended"
# What the daemon is woken by: the message is one of the words below. Only a hint; it looks by itself too.
WAKE_CHANNEL = "orchord:v1:wake"
WAKE_CLOCK = "clock"
WAKE_QUEUE = "queue"
WAKE_CHANGES = "changes"

# What a container finds in its environment: the token that its launcher holds the attempt by, to take it over with, and
# what it is called on its platform, under which name it beats and holds attempts.
LAUNCH_TOKEN_VARIABLE = "ORCHORD_LAUNCH_TOKEN"
CONTAINER_NAME_VARIABLE = "ORCHORD_CONTAINER_NAME"

# What a location's own queue is called where queues are named: in tags, and for `orchord worker --queue`.
PLAIN_QUEUE = "default"


class StepMessage(msgspec.Struct, frozen=True, array_like=True):
    """Run this step. ``attempt`` counts from 1; ``retry_number`` (from 0) counts only the retries among them.

    ``pool`` is the step's pool: its claim needs it before the plan is at hand.
    """

    run_id: str
    step_key: str
    attempt: int = 1
    retry_number: int = 0
    pool: str | None = None

    @property
    def task_id(self) -> str:
        """The Celery task id: the same for every copy of this message, so that it can be revoked by name."""
        return f"{self.run_id}.{self.step_key}.{self.attempt}"


def steps_queue(location: str, queue: str | None = None) -> str:
    """Return a queue that step workers of a code location consume: its plain one, or a further one by its name."""
    return f"steps.{location}" if queue in (None, PLAIN_QUEUE) else f"steps.{location}:{queue}"


def launches_queue(place: str) -> str:
    """Return the queue of what is to be started on a platform (docker, k8s, ecs): launcher workers consume it."""
    return f"launches.{place}"


def ticks_queue(location: str) -> str:
    """Return the queue that the tick workers of a code location consume."""
    return f"ticks.{location}"


def shown_name(job_name: str, step_key: str) -> str:
    """Return the name that Flower and the worker's log show for a step."""
    return f"{job_name}.{step_key}"


def end_task_id(run_id: str) -> str:
    """Return the id of the task that ends a run with several leaves."""
    return f"{run_id}.end"


def whole_run_task_id(run_id: str, attempt: int) -> str:
    """Return the id of the task that carries out a run as one unit of work."""
    return f"{run_id}.run.{attempt}"


def join_id(run_id: str, step_key: str | None) -> str:
    """Return the chord's id for a step that waits on several, or (None) for the run's end."""
    return f"{run_id}:{step_key if step_key is not None else '$end'}"


def parts_to_wire(parts: Iterable[Part]) -> list[list[Any]]:
    """Return parts as JSON-able lists."""
    return [part_to_wire(part) for part in parts]


def part_to_wire(part: Part) -> list[Any]:
    """Return one part as a JSON-able list: its status, then the outputs that were not yielded."""
    return [part.status.value, list(part.missing)]


def parts_from_wire(raw: Iterable[Any]) -> tuple[Part, ...]:
    """Read parts back. The order is that of ``plan.upstream``."""
    return tuple(Part(PartStatus(status), tuple(missing)) for status, missing in raw)
