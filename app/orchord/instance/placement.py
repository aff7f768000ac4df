"""What is decided about a run when it is launched: by which launcher, with which executor, and where as a unit.

Pure but for asking a launcher's class where it puts runs. Which combinations cannot work is orchord.plan.fitting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.errors import InstanceConfigError
from orchord.instance.run_launchers import LAUNCHER_TAG, launcher_name
from orchord.instance.run_tags import own_tag
from orchord.plan.fitting import IMAGE_TAG, OF_WHOLE_RUNS, SETTINGS_TAGS, Surroundings, misfits, names_image
from orchord.plan.model import ExecutionPlan
from orchord.plan.places import Place, place_of_steps, runs_as_unit
from orchord.snapshot import JobSnapshot, LocationSnapshot

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
    asks = any(key in _config_of_executor(config) for key in _ASKS_FOR_UNIT)
    return EXECUTOR_OF_UNITS if asks or place is not Place.WORKER else job.executor


def misfits_of(
    instance: OrchordInstance,
    location: LocationSnapshot,
    job: JobSnapshot,
    placement: Placement,
    plan: ExecutionPlan,
    tags: Mapping[str, str],
    config: Mapping[str, Any],
) -> list[str]:
    """Return every reason why a run cannot go where it was decided that it goes.

    Args:
        instance: whose storage and launchers there are.
        location: the job's location.
        job: what runs.
        placement: what was decided.
        plan: the steps that run.
        tags: the run's.
        config: its run config.
    """
    told = job.executor_config or _config_of_executor(config)
    around = Surroundings(
        executor=placement.executor,
        unit_place=placement.unit_place,
        executor_config=told,
        process_bound=job.process_bound,
        database_is_a_file=instance.config.storage_url.startswith("sqlite"),
        places_with_image=_places_with_image(instance, location, placement, tags, told),
    )
    return [*_config_unknown(job, placement.executor), *misfits(plan, around)]


def misfits_of_job(instance: OrchordInstance, location: LocationSnapshot, job: JobSnapshot) -> list[str]:
    """Return every reason why a job cannot be launched as it stands, with nothing more said."""
    mistakes: list[str] = []
    # As a run of it has them.
    tags = {own_tag(key): value for key, value in job.run_tags.items()}
    placement = placement_of(instance, job, tags, job.default_config, mistakes)
    return mistakes or misfits_of(instance, location, job, placement, job.plan, tags, job.default_config)


def misfits_anywhere(job: JobSnapshot) -> list[str]:
    """Return every reason why a job cannot be launched whatever the instance."""
    told = job.executor_config or _config_of_executor(job.default_config)
    executor = executor_of(job, Place.WORKER, job.default_config)
    # A launcher that makes a process for each run could choose another executor for it.
    bound = job.process_bound if job.names_executor else ()
    around = Surroundings(executor, executor_config=told, process_bound=bound)
    return [*_config_unknown(job, executor), *misfits(job.plan, around)]


def misfits_here(job: JobSnapshot, executor: str, plan: ExecutionPlan, config: Mapping[str, Any]) -> list[str]:
    """Return every reason why this process, with those that it starts, cannot carry a run out.

    Args:
        job: what runs.
        executor: by which executor, one that makes a run one unit of work.
        plan: the steps that run.
        config: its run config.
    """
    told = job.executor_config or _config_of_executor(config)
    around = Surroundings(executor, executor_config=told, process_bound=job.process_bound)
    # What is executed here for want of a unit's executor has all steps in this process, whatever its ops' tags ask for.
    return misfits(plan, around) if executor == job.executor or not around.is_one_process else []


def _config_unknown(job: JobSnapshot, executor: str) -> Iterator[str]:
    """Yield why an executor's config cannot be known: chords have no process that has loaded the job's code."""
    if job.maps_executor_config and not runs_as_unit(executor):
        yield (
            f"executor: {executor} is configured by a function of run config, which is known only where the job's code "
            "is loaded, and that is nowhere before its steps are. Give `configured` the config itself, or leave it to "
            "run config (execution: config)."
        )


def _places_with_image(
    instance: OrchordInstance,
    location: LocationSnapshot,
    placement: Placement,
    tags: Mapping[str, str],
    told: Mapping[str, Any],
) -> set[Place]:
    if location.image or tags.get(IMAGE_TAG):
        return set(Place)
    unheeded = () if runs_as_unit(placement.executor) else OF_WHOLE_RUNS
    found = {
        place
        for place, names in SETTINGS_TAGS.items()
        if any(names_image(tags.get(name)) for name in names if name not in unheeded)
    }
    if names_image(told):
        found.add(place_of_steps(placement.executor))
    asked: set[Place] = set()
    # Steps at a place that the run's own launcher is not for take the settings of the first that is.
    for name in (placement.launcher, "", *instance.config.run_launchers):
        try:
            launcher = instance.launchers.named(name)
        except InstanceConfigError:
            return set(Place)
        # A task's definition holds its image, and without one the launcher worker's own is taken.
        if launcher.place not in asked and (launcher.place is Place.ECS or names_image(launcher.config)):
            found.add(launcher.place)
        asked.add(launcher.place)
    return found


def _config_of_executor(config: Mapping[str, Any]) -> Mapping[str, Any]:
    execution = config.get("execution")
    told = execution.get("config") if isinstance(execution, Mapping) else None
    return told if isinstance(told, Mapping) else {}
