"""What is decided about a run when it is launched: by which launcher, with which executor, and where as a unit.

Pure but for asking a launcher's class where it puts runs. Which combinations cannot work is orchord.plan.fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.errors import InstanceConfigError
from orchord.instance.run_launchers import LAUNCHER_TAG, launcher_name
from orchord.plan.places import Place, runs_as_unit
from orchord.snapshot import JobSnapshot

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

# The executor of a run whose job names none, where the launcher makes a process or a container for each run.
EXECUTOR_OF_UNITS = "multi_or_in_process_executor"
# What run config says to ask for that executor under any launcher.
_ASKS_FOR_UNIT = ("in_process", "multiprocess")


@dataclass(frozen=True)
class Placement:
    """Where a run goes. ``launcher`` is "" for the instance's own; ``place`` is where that one puts whole runs."""

    launcher: str
    executor: str
    place: Place

    @property
    def unit_place(self) -> Place:
        """Where the run is carried out, if it is one unit of work; chords have no place of their own."""
        return self.place if runs_as_unit(self.executor) else Place.WORKER


def placement_of(
    instance: OrchordInstance,
    job: JobSnapshot,
    tags: Mapping[str, str],
    config: Mapping[str, Any],
    mistakes: list[str],
) -> Placement:
    """Decide where a run goes.

    Args:
        instance: whose launchers there are.
        job: what runs.
        tags: the run's, its job's among them.
        config: its run config.
        mistakes: what is wrong is added.
    """
    name, place = "", Place.WORKER
    try:
        name = launcher_name(instance.config, tags.get(LAUNCHER_TAG, ""))
        place = instance.launchers.named(name).place
    except LookupError as error:
        mistakes.append(f"tags: {error}")
    except InstanceConfigError as error:
        mistakes.append(f"launcher: {error}")
    return Placement(name, executor_of(job, place, config), place)


def executor_of(job: JobSnapshot, place: Place, config: Mapping[str, Any]) -> str:
    """Return the executor of a run.

    A job that names none has chords where runs are spread over warm workers, and is one unit of work where the launcher
    makes something for each run: else that would stand idle beside its steps.
    """
    if job.names_executor:
        return job.executor
    execution = config.get("execution")
    chosen = execution.get("config") if isinstance(execution, Mapping) else None
    asks = isinstance(chosen, Mapping) and any(key in chosen for key in _ASKS_FOR_UNIT)
    return EXECUTOR_OF_UNITS if asks or place is not Place.WORKER else job.executor
