"""Definitions: everything that a code location has, in one object at the top of a user's module.

Nothing is checked before it is resolved, so that all mistakes are told at once; how, is in resolving.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.job import IMPLICIT_JOB_NAME
from orchord.definitions.executors import ExecutorDefinition
from orchord.definitions.io_context import build_input_context
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.origin import calling_origin
from orchord.definitions.repository import Repository
from orchord.definitions.resolving import Parts, resolve
from orchord.definitions.resources.opening import open_resources
from orchord.definitions.schedules import ScheduleDefinition
from orchord.definitions.sensor_definition import SensorDefinition
from orchord.definitions.types import resolve_type
from orchord.errors import InvalidDefinitionError, numbered


class Definitions:
    """Everything that a code location has. A module has one, at its top level.

    Args:
        assets: functions under ``@asset`` and its relatives, AssetSpecs and SourceAssets, and lists of them.
        schedules: schedules.
        sensors: sensors.
        jobs: jobs, asset jobs, and graphs that become jobs.
        resources: resources by key: definitions, ConfigurableResources, or any objects. Jobs get those that they lack.
        executor: how jobs are executed that do not say so themselves.
        loggers: loggers by name.
        metadata: labelled values of the location.

    Nothing is checked here. ``resolve`` reports every mistake at once; so does loading the location.
    """

    def __init__(
        self,
        assets: Iterable[Any] | None = None,
        schedules: Iterable[Any] | None = None,
        sensors: Iterable[Any] | None = None,
        jobs: Iterable[Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        executor: ExecutorDefinition | None = None,
        loggers: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.parts = Parts(
            assets=tuple(assets or ()),
            schedules=tuple(schedules or ()),
            sensors=tuple(sensors or ()),
            jobs=tuple(jobs or ()),
            resources=dict(resources or {}),
            executor=executor,
            loggers=dict(loggers or {}),
            metadata=dict(metadata or {}),
            origin=calling_origin(),
        )
        self._repository: Repository | None = None

    def __repr__(self) -> str:
        counts = {
            name: len(getattr(self.parts, name)) for name in ("assets", "jobs", "schedules", "sensors", "resources")
        }
        return f"<Definitions {', '.join(f'{number} {name}' for name, number in counts.items() if number)}>"

    def resolve(self) -> Repository:
        """Return everything checked and bound. Done once, and kept.

        Raises:
            InvalidDefinitionError: something cannot be right; every mistake is listed.
        """
        if self._repository is None:
            self._repository = resolve(self.parts)
        return self._repository

    def get_repository_def(self) -> Repository:
        """Return the same as ``resolve``."""
        return self.resolve()

    @staticmethod
    def validate_loadable(defs: Definitions) -> None:
        """Check everything, as loading the location does.

        Raises:
            InvalidDefinitionError: something cannot be right; every mistake is listed.
        """
        defs.resolve()

    @staticmethod
    def merge(*def_sets: Definitions) -> Definitions:
        """Return one Definitions with everything of several.

        Raises:
            InvalidDefinitionError: they have different resources or loggers under one key, or different executors.
        """
        parts = [one.parts for one in def_sets]
        mistakes: list[str] = []
        executors = {id(part.executor): part.executor for part in parts if part.executor is not None}
        if len(executors) > 1:
            names = ", ".join(str(getattr(one, "name", one)) for one in executors.values())
            mistakes.append(f"they have different executors ({names}): keep one")
        merged = Definitions(
            assets=[item for part in parts for item in part.assets],
            schedules=[item for part in parts for item in part.schedules],
            sensors=[item for part in parts for item in part.sensors],
            jobs=[item for part in parts for item in part.jobs],
            resources=_merged(parts, "resources", mistakes),
            executor=next(iter(executors.values()), None),
            loggers=_merged(parts, "loggers", mistakes),
            metadata={key: value for part in parts for key, value in part.metadata.items()},
        )
        if mistakes:
            raise InvalidDefinitionError(numbered("Definitions cannot be merged", mistakes))
        return merged

    def get_job_def(self, name: str) -> JobDefinition:
        """Return a job, with its resources bound.

        Raises:
            JobNotFoundError: there is none of this name.
        """
        return self.resolve().get_job(name)

    def get_all_job_defs(self) -> list[JobDefinition]:
        """Return all jobs, the one over all assets included."""
        return list(self.resolve().jobs.values())

    def get_implicit_global_asset_job_def(self) -> JobDefinition:
        """Return the job over all assets.

        Raises:
            JobNotFoundError: there are no assets that can be made.
        """
        return self.resolve().get_job(IMPLICIT_JOB_NAME)

    def get_schedule_def(self, name: str) -> ScheduleDefinition:
        """Return a schedule.

        Raises:
            NotFoundError: there is none of this name.
        """
        return self.resolve().get_schedule_def(name)

    def get_sensor_def(self, name: str) -> SensorDefinition:
        """Return a sensor.

        Raises:
            NotFoundError: there is none of this name.
        """
        return self.resolve().get_sensor_def(name)

    def get_assets_def(self, key: CoercibleToAssetKey) -> AssetsDefinition:
        """Return what makes an asset.

        Raises:
            AssetNotFoundError: nothing makes it.
        """
        return self.resolve().get_assets_def(key)

    def get_asset_graph(self) -> AssetGraph:
        """Return the assets and their edges."""
        return self.resolve().asset_graph

    # The newer ones of the field's names for the same questions.
    resolve_job_def = get_job_def
    resolve_all_job_defs = get_all_job_defs
    resolve_implicit_global_asset_job_def = get_implicit_global_asset_job_def
    resolve_schedule_def = get_schedule_def
    resolve_sensor_def = get_sensor_def
    resolve_assets_def = get_assets_def
    resolve_asset_graph = get_asset_graph

    def load_asset_value(
        self,
        asset_key: CoercibleToAssetKey,
        *,
        python_type: Any = None,
        instance: Any = None,
        resource_config: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Load an asset's value by its IO manager.

        Args:
            asset_key: which asset.
            python_type: the type that it is wanted as; some IO managers can give several.
            instance: the instance whose storage is read; ``OrchordInstance.get()`` makes one of ``$ORCHORD_HOME``.
            resource_config: config of resources, as in run config.
            metadata: metadata of the input.

        Raises:
            AssetNotFoundError: nothing in the location makes or describes it.
        """
        repository = self.resolve()
        key = AssetKey.from_coercible(asset_key)
        if not repository.asset_graph.has(key):
            repository.get_assets_def(key)
        manager_key = repository.catalog.io_manager_key_of(key)
        resources = {**repository.resource_defs, **repository.catalog.resource_defs()}
        with open_resources(resources, resource_config or {}, {manager_key}, instance=instance) as opened:
            context = build_input_context(
                asset_key=key,
                definition_metadata=metadata,
                dagster_type=None if python_type is None else resolve_type(python_type),
                instance=instance,
                upstream_output=None,
            )
            return opened.get(manager_key).load_input(context)


def _merged(parts: Iterable[Parts], name: str, mistakes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in getattr(part, name).items():
            earlier = found.setdefault(key, value)
            if earlier is not value and not _same(earlier, value):
                mistakes.append(f"they have different {name} under the key '{key}': keep one of them")
    return found


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and isinstance(first, (str, int, float, bool)) and first == second


class LazyDefinitions:
    """A function that makes a Definitions when the location is loaded. See ``@definitions``."""

    def __init__(self, function: Callable[[], Definitions]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "definitions")

    def __call__(self) -> Definitions:
        """Make the Definitions.

        Raises:
            InvalidDefinitionError: the function gives something else.
        """
        made = self.function()
        if not isinstance(made, Definitions):
            raise InvalidDefinitionError(f"'{self.__name__}' under @definitions gives {made!r}; give a Definitions.")
        return made


def definitions(function: Callable[[], Definitions]) -> LazyDefinitions:
    """Make a location's Definitions of a function without arguments, called when the location is loaded."""
    return LazyDefinitions(function)
