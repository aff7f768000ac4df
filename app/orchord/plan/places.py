"""Where a step's code runs, and in which form a run is carried out: the ladder of isolation, as pure decisions.

An executor says it for a job, the tag ``orchord/isolation`` for one op. Who starts what is orchord_workers; which
combinations cannot work is fitting.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from orchord.definitions.executors import EXECUTORS
from orchord.plan.model import Step

ISOLATION_TAG = "orchord/isolation"


class Place(StrEnum):
    """Where code runs, from the least isolated to the most.

    WORKER: in a warm process of the location's workers. PROCESS: in a process of its own beside it. The others: in a
    container of that platform, which a launcher worker starts.
    """

    WORKER = "worker"
    PROCESS = "process"
    DOCKER = "docker"
    KUBERNETES = "k8s"
    ECS = "ecs"

    @property
    def is_container(self) -> bool:
        """Whether a launcher worker starts it, and it may see nothing but what its image holds."""
        return self in (Place.DOCKER, Place.KUBERNETES, Place.ECS)


# What the tag may say.
ISOLATION: Mapping[str, Place] = {
    "inline": Place.WORKER,
    "subprocess": Place.PROCESS,
    "docker": Place.DOCKER,
    "k8s": Place.KUBERNETES,
}

_PLACE_OF_STEPS = {"process": Place.PROCESS, "container": Place.DOCKER, "pod": Place.KUBERNETES}


def runs_as_unit(executor: str) -> bool:
    """Return whether a run of this executor is one unit of work; else each step is a task of its own."""
    known = EXECUTORS.get(executor)
    return known is None or known.run_form == "unit"


def place_of_steps(executor: str) -> Place:
    """Return where an executor runs steps that say nothing themselves."""
    known = EXECUTORS.get(executor)
    return Place.WORKER if known is None else _PLACE_OF_STEPS.get(known.step_place, Place.WORKER)


def place_of(executor: str, step: Step | None) -> Place:
    """Return where one step of a run runs: by its op's tag, else by the run's executor."""
    tagged = None if step is None else ISOLATION.get(step.tags.get(ISOLATION_TAG, ""))
    return tagged or place_of_steps(executor)
