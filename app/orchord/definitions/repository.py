"""Repository: what a Definitions comes to once everything in it is known and bound to each other.

It is made in resolving.py, read by execution, and turned into a snapshot in snapshot.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.catalog import AssetCatalog
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.job import IMPLICIT_JOB_NAME
from orchord.errors import AssetNotFoundError, JobNotFoundError, NotFoundError, did_you_mean

if TYPE_CHECKING:
    from orchord.definitions.executors import ExecutorDefinition
    from orchord.definitions.job_definition import JobDefinition
    from orchord.definitions.resources.definition import ResourceDefinition
    from orchord.definitions.schedules import ScheduleDefinition
    from orchord.definitions.sensor_definition import SensorDefinition


@dataclass(frozen=True, eq=False)
class Repository:
    """Everything of a code location, checked and bound.

    Attributes:
        jobs: all jobs by name, resources bound, asset jobs resolved, and ``__ASSET_JOB`` if assets can be made.
        catalog: the assets and what makes them.
        schedules: schedules by name.
        sensors: sensors by name.
        resource_defs: the resources of Definitions, the default IO manager included.
        executor: the executor of jobs that name none; None leaves it to the instance.
        loggers: loggers by name.
        metadata: of the location.
    """

    jobs: Mapping[str, JobDefinition]
    catalog: AssetCatalog
    schedules: Mapping[str, ScheduleDefinition] = field(default_factory=dict)
    sensors: Mapping[str, SensorDefinition] = field(default_factory=dict)
    resource_defs: Mapping[str, ResourceDefinition] = field(default_factory=dict)
    executor: ExecutorDefinition | None = None
    loggers: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asset_graph(self) -> AssetGraph:
        """The assets and their edges."""
        return self.catalog.graph

    @property
    def assets(self) -> tuple[AssetsDefinition, ...]:
        """What makes assets."""
        return tuple(self.catalog.definitions)

    def get_job(self, name: str) -> JobDefinition:
        """Return a job.

        Raises:
            JobNotFoundError: there is none of this name.
        """
        if name not in self.jobs:
            raise JobNotFoundError(f"No job is named '{name}'.{did_you_mean(name, _shown_names(self.jobs))}")
        return self.jobs[name]

    def get_assets_def(self, key: CoercibleToAssetKey) -> AssetsDefinition:
        """Return what makes an asset.

        Raises:
            AssetNotFoundError: nothing makes it.
        """
        wanted = AssetKey.from_coercible(key)
        if wanted not in self.catalog.makers:
            text = wanted.to_user_string()
            known = (made.to_user_string() for made in self.catalog.makers)
            raise AssetNotFoundError(f"Nothing makes an asset '{text}'.{did_you_mean(text, known)}")
        return self.catalog.makers[wanted].definition

    def get_schedule_def(self, name: str) -> ScheduleDefinition:
        """Return a schedule.

        Raises:
            NotFoundError: there is none of this name.
        """
        if name not in self.schedules:
            raise NotFoundError(f"No schedule is named '{name}'.{did_you_mean(name, self.schedules)}")
        return self.schedules[name]

    def get_sensor_def(self, name: str) -> SensorDefinition:
        """Return a sensor.

        Raises:
            NotFoundError: there is none of this name.
        """
        if name not in self.sensors:
            raise NotFoundError(f"No sensor is named '{name}'.{did_you_mean(name, self.sensors)}")
        return self.sensors[name]


def _shown_names(jobs: Mapping[str, Any]) -> list[str]:
    return [name for name in jobs if name != IMPLICIT_JOB_NAME]
