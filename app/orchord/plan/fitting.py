"""Which combinations of executor, place, IO manager, storage and tags cannot work: one pure function, all reasons.

Asked before a run is recorded, when definitions are validated, and when a job is shown. Where steps run is places.py.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchord.plan.model import ExecutionPlan, Step, StepOutput
from orchord.plan.places import ISOLATION, ISOLATION_TAG, Place, place_of, runs_as_unit

IMAGE_TAG = "orchord/image"
# What names settings of a container, the image among them, for one op or for all of a run.
SETTINGS_TAGS: Mapping[Place, tuple[str, ...]] = {
    Place.DOCKER: ("orchord/docker",),
    Place.KUBERNETES: ("orchord/k8s", "dagster-k8s/config"),
    Place.ECS: ("orchord/ecs", "ecs/task_overrides"),
}
# Of these, what a run's own tags say to the container of a whole run alone; op's tags say it to their step's.
OF_WHOLE_RUNS = frozenset({"dagster-k8s/config"})
_IMAGE_KEYS = ("image", "job_image", "task_definition")
_SHOWN_STEPS = 3


@dataclass(frozen=True)
class Surroundings:
    """What a plan is to run in. What is not known is left out of account.

    Attributes:
        executor: the run's executor.
        unit_place: where the run is carried out, if it is one unit of work.
        executor_config: what the executor is told.
        process_bound: keys of IO managers whose values stay in one process.
        database_is_a_file: whether the database is SQLite; None: not known.
        places_with_image: the kinds of containers for which an image is named by other than an op's tag; None: unknown.
    """

    executor: str
    unit_place: Place = Place.WORKER
    executor_config: Mapping[str, Any] = field(default_factory=dict)
    process_bound: Collection[str] = ()
    database_is_a_file: bool | None = None
    places_with_image: Collection[Place] | None = None

    @property
    def is_unit(self) -> bool:
        """Whether one process, or one with children, carries the run out."""
        return runs_as_unit(self.executor)

    @property
    def is_one_process(self) -> bool:
        """Whether all steps run in one and the same process."""
        if self.executor == "multi_or_in_process_executor":
            return "in_process" in self.executor_config
        return self.executor == "in_process_executor"

    def place_of(self, step: Step) -> Place:
        """Return where a step runs."""
        return self.unit_place if self.is_unit else place_of(self.executor, step)


def misfits(plan: ExecutionPlan, around: Surroundings) -> list[str]:
    """Return every reason why a plan cannot run so; none: it can."""
    return [
        *_isolation(plan, around),
        *_values_in_memory(plan, around),
        *_database(plan, around),
        *_images(plan, around),
    ]


def names_image(settings: Any) -> bool:
    """Return whether settings of a container name an image, wherever in them; text is read as JSON."""
    if isinstance(settings, str):
        try:
            settings = json.loads(settings)
        except ValueError:
            return False
    if not isinstance(settings, Mapping):
        return False
    if any(settings.get(key) for key in _IMAGE_KEYS):
        return True
    return any(names_image(value) for value in settings.values() if isinstance(value, Mapping))


def _isolation(plan: ExecutionPlan, around: Surroundings) -> Iterator[str]:
    for step in plan.steps:
        wish = step.tags.get(ISOLATION_TAG)
        if wish is None:
            continue
        if wish not in ISOLATION:
            yield (
                f"step '{step.key}': its tag {ISOLATION_TAG} is '{wish}'. Give one of {', '.join(ISOLATION)}, or none."
            )
        elif around.is_unit and ISOLATION[wish] is not Place.WORKER:
            yield (
                f"step '{step.key}': its tag {ISOLATION_TAG} asks for '{wish}', and {around.executor} carries the run "
                "out as one unit, in which no step has a place of its own. Use celery_executor for the job, or leave "
                "the tag out."
            )


def _values_in_memory(plan: ExecutionPlan, around: Surroundings) -> Iterator[str]:
    if not around.process_bound or around.is_one_process:
        return
    bound: dict[tuple[str, str], StepOutput] = {
        (step.key, output.name): output
        for step in plan.steps
        for output in step.outputs
        if output.stores and output.io_manager_key in around.process_bound
    }
    readers: dict[str, list[str]] = {}
    for step in plan.steps:
        for taken in step.inputs:
            if not taken.loads or taken.input_manager_key is not None:
                continue
            for source in taken.sources:
                output = bound.get((source.step_key, source.output_name))
                if output is not None:
                    readers.setdefault(output.io_manager_key, []).append(step.key)
    for key, steps in readers.items():
        yield (
            f"IO manager '{key}': it keeps values in the memory of one process, and with {around.executor} each step "
            f"has a process of its own, so {_shown(steps)} would not find them. Use in_process_executor, or an IO "
            "manager that stores values."
        )


def _database(plan: ExecutionPlan, around: Surroundings) -> Iterator[str]:
    if not around.database_is_a_file:
        return
    for place, steps in _in_containers(plan, around).items():
        what = "the run" if around.is_unit else _shown(steps)
        yield (
            f"storage: it is SQLite, a file of this machine, which a container cannot see, and {what} would run in "
            f"one ({place}). Use Postgres: storage: {{postgres: …}} in orchord.yaml."
        )


def _images(plan: ExecutionPlan, around: Surroundings) -> Iterator[str]:
    if around.places_with_image is None:
        return
    for place, steps in _in_containers(plan, around).items():
        if place in around.places_with_image:
            continue
        without = steps if around.is_unit else [key for key in steps if not _op_names_image(plan.step(key), place)]
        if without:
            what = "the run" if around.is_unit else _shown(without)
            yield (
                f"image: nothing says in which image {what} would run ({place}). Give `image` (`job_image`) in "
                f"the config of the executor or the run launcher, the tag {IMAGE_TAG}, or start the location's "
                "workers with ORCHORD_CURRENT_IMAGE."
            )


def _op_names_image(step: Step, place: Place) -> bool:
    if step.tags.get(IMAGE_TAG) or step.tags.get("dagster/image"):
        return True
    return any(names_image(step.tags.get(tag)) for tag in SETTINGS_TAGS.get(place, ()))


def _in_containers(plan: ExecutionPlan, around: Surroundings) -> dict[Place, list[str]]:
    found: dict[Place, list[str]] = {}
    for step in plan.steps:
        place = around.place_of(step)
        if place.is_container:
            found.setdefault(place, []).append(step.key)
    return found


def _shown(steps: list[str]) -> str:
    distinct = list(dict.fromkeys(steps))
    shown = ", ".join(f"'{key}'" for key in distinct[:_SHOWN_STEPS])
    more = len(distinct) - _SHOWN_STEPS
    return f"{'step' if len(distinct) == 1 else 'steps'} {shown}" + (f" and {more} more" if more > 0 else "")
