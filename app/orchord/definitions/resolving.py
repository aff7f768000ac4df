"""From a Definitions to a Repository: jobs are resolved and bound, and everything is checked together.

Every mistake is collected, with the user's file and line, and all are raised at once. What the user writes is
definitions_object.py; what comes out is repository.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchord.definitions.asset_sensors import MultiAssetSensorDefinition
from orchord.definitions.assets.building import sentences_of
from orchord.definitions.assets.catalog import AssetCatalog
from orchord.definitions.assets.job import IMPLICIT_JOB_NAME, UnresolvedAssetJobDefinition, asset_job
from orchord.definitions.default_io_manager import default_io_manager
from orchord.definitions.executors import ExecutorDefinition
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.job_resources import node_resource_keys, step_resource_keys
from orchord.definitions.origin import at
from orchord.definitions.repository import Repository
from orchord.definitions.resources.configurable import as_resource_definition
from orchord.definitions.resources.definition import ResourceDefinition
from orchord.definitions.resources.opening import needed_resource_keys
from orchord.definitions.schedules import ScheduleDefinition
from orchord.definitions.sensor_definition import SensorDefinition
from orchord.definitions.targets import JobLike
from orchord.errors import InvalidDefinitionError, InvalidSubsetError, did_you_mean, numbered

T = TypeVar("T")


@dataclass
class Parts:
    """What a Definitions was given, as it was given."""

    assets: Sequence[Any] = ()
    schedules: Sequence[Any] = ()
    sensors: Sequence[Any] = ()
    jobs: Sequence[Any] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    executor: Any = None
    loggers: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""


def resolve(parts: Parts) -> Repository:
    """Return the repository that parts come to.

    Raises:
        InvalidDefinitionError: something in them cannot be right; every mistake is listed.
    """
    return _Resolver(parts).repository()


class _Resolver:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.mistakes: list[str] = []
        self.resources: dict[str, ResourceDefinition] = {}
        for key, value in parts.resources.items():
            if not isinstance(key, str) or not key.isidentifier():
                self.mistakes.append(f"resources= has the key {key!r}: use letters, digits and underscores")
            self.resources[key] = as_resource_definition(value)
        default = default_io_manager()
        if default is not None:
            self.resources.setdefault(DEFAULT_IO_MANAGER_KEY, default)
        if parts.executor is not None and not isinstance(parts.executor, ExecutorDefinition):
            self.mistakes.append(f"executor= is {parts.executor!r}: give one such as in_process_executor")
        self.executor = parts.executor if isinstance(parts.executor, ExecutorDefinition) else None
        self.catalog = AssetCatalog(parts.assets)
        own = self.catalog.resource_defs()
        self.asset_resources = {**self.resources, **own}
        self.mistakes += [*self.catalog.mistakes, *self._mixed_up(own)]

    def _mixed_up(self, own: Mapping[str, ResourceDefinition]) -> list[str]:
        """Return a sentence for each asset that would get another's resource in place of the location's."""
        two = {key for key in own if key in self.resources and own[key].identity is not self.resources[key].identity}
        mistakes = []
        for definition in self.catalog.definitions:
            for key in sorted(two & node_resource_keys(definition.node_def) - set(definition.resource_defs)):
                names = ", ".join(asset.to_user_string() for asset in definition.specs_by_key)
                sentence = f"asset {names} uses the resource '{key}' of the location, and another asset brings its own"
                mistakes.append(at(definition.origin, f"{sentence} under that key: give one of them another key"))
        return mistakes

    def repository(self) -> Repository:
        schedules = self._named(self.parts.schedules, ScheduleDefinition, "schedule")
        sensors = self._named(self.parts.sensors, SensorDefinition, "sensor")
        for name in sorted(set(schedules) & set(sensors)):
            self.mistakes.append(at(sensors[name].origin, f"a schedule and a sensor are both named '{name}'"))
        jobs = self._jobs([*schedules.values(), *sensors.values()])
        for kind, item in [
            *(("schedule", one) for one in schedules.values()),
            *(("sensor", one) for one in sensors.values()),
        ]:
            self._check_trigger(kind, item, jobs)
        self._check_resources(jobs)
        if self.mistakes:
            where = f" ({self.parts.origin})" if self.parts.origin else ""
            unique = list(dict.fromkeys(self.mistakes))
            raise InvalidDefinitionError(numbered(f"Definitions{where} cannot be right", unique))
        return Repository(
            jobs={name: job for name, job in jobs.items() if job is not None},
            catalog=self.catalog,
            schedules=schedules,
            sensors=sensors,
            resource_defs=self.resources,
            executor=self.executor,
            loggers=dict(self.parts.loggers),
            metadata=dict(self.parts.metadata),
        )

    def _named(self, items: Iterable[Any], cls: type[Any], kind: str) -> dict[str, Any]:
        """Return schedules or sensors by name, and note what is none, or has another's name."""
        found: dict[str, Any] = {}
        for item in items:
            if not isinstance(item, cls):
                self.mistakes.append(f"{kind}s= holds {item!r}, which is no {kind}. Decorate it with @{kind}(...)")
            elif found.setdefault(item.name, item) is not item:
                places = _places(found[item.name], item)
                self.mistakes.append(f"two {kind}s are named '{item.name}'{places}: rename one of them")
        return found

    def _jobs(self, triggers: Iterable[Any]) -> dict[str, JobDefinition | None]:
        """Return all jobs by name, those of triggers too; None stands for a job that could not be resolved."""
        given: dict[str, JobLike] = {}
        for item in self.parts.jobs:
            job = item.to_job() if isinstance(item, GraphDefinition) else item
            if not isinstance(job, (JobDefinition, UnresolvedAssetJobDefinition)):
                self.mistakes.append(
                    f"jobs= holds {item!r}, which is no job. Decorate it with @job, or use define_asset_job"
                )
                continue
            self._add_job(given, job)
        for trigger in triggers:
            for job in [*trigger.jobs, *getattr(trigger, "monitored_jobs", ())]:
                if isinstance(job, (JobDefinition, UnresolvedAssetJobDefinition)):
                    self._add_job(given, job)
        jobs = {name: self._resolved(job) for name, job in given.items()}
        if self.catalog.graph.materializable_keys and not self.catalog.mistakes:
            keys = self.catalog.graph.materializable_keys
            jobs[IMPLICIT_JOB_NAME] = self._attempt(lambda: self._asset_job(IMPLICIT_JOB_NAME, keys), "", "all assets")
        return jobs

    def _add_job(self, jobs: dict[str, JobLike], job: JobLike) -> None:
        if job.name == IMPLICIT_JOB_NAME:
            self.mistakes.append(
                at(_origin(job), f"a job is named '{job.name}', which is the name of the job over all assets")
            )
        elif jobs.setdefault(job.name, job) is not job:
            places = _places(jobs[job.name], job)
            self.mistakes.append(f"two jobs are named '{job.name}'{places}: rename one of them")

    def _resolved(self, job: JobLike) -> JobDefinition | None:
        if isinstance(job, JobDefinition):
            lacking = {key: value for key, value in self.resources.items() if key not in job.resource_defs}
            bound = job.with_resources(lacking)
            if self.parts.loggers:
                bound = bound.with_loggers(self.parts.loggers)
            return bound if bound.executor_def or self.executor is None else bound.with_executor(self.executor)
        if self.catalog.mistakes:
            # The job's graph cannot be made of assets that are wrong; its selection can be checked all the same.
            self._attempt(
                lambda: job.selection.resolve_to_make(self.catalog.graph), job.origin, f"asset job '{job.name}'"
            )
            return None
        return self._attempt(
            lambda: job.resolve(self.catalog, self.asset_resources, self.executor, self.parts.loggers),
            job.origin,
            f"asset job '{job.name}'",
        )

    def _asset_job(self, name: str, keys: Iterable[Any]) -> JobDefinition:
        return asset_job(
            name,
            keys,
            self.catalog,
            resource_defs=self.asset_resources,
            executor_def=self.executor,
            logger_defs=self.parts.loggers,
            description="Every asset of the location; made for ad-hoc materializations.",
        )

    def _attempt(self, make: Callable[[], T], origin: str, what: str) -> T | None:
        """Return what a function makes, or None with its mistakes noted."""
        try:
            return make()
        except InvalidSubsetError as error:
            self.mistakes += [at(origin, f"{what}: {mistake}") for mistake in error.mistakes]
        except InvalidDefinitionError as error:
            self.mistakes += [at(origin, f"{what}: {mistake}") for mistake in sentences_of(error)]
        return None

    def _check_trigger(self, kind: str, item: Any, jobs: Mapping[str, Any]) -> None:
        what = f"{kind} '{item.name}'"
        self.mistakes += [at(item.origin, f"{what}: {mistake}") for mistake in item.mistakes()]
        monitored = (
            () if getattr(item, "monitor_all_code_locations", False) else getattr(item, "monitored_job_names", ())
        )
        for name in dict.fromkeys((*item.job_names, *monitored)):
            if name not in jobs:
                hint = did_you_mean(name, (known for known in jobs if known != IMPLICIT_JOB_NAME))
                self.mistakes.append(at(item.origin, f"{what}: no job is named '{name}'.{hint}"))
        for key in sorted(item.required_resource_keys - set(self.resources)):
            hint = did_you_mean(key, self.resources)
            self.mistakes.append(at(item.origin, f"{what} needs the resource '{key}', which is nowhere.{hint}"))
        if isinstance(item, MultiAssetSensorDefinition):
            self._attempt(lambda: item.monitored_selection.resolve(self.catalog.graph), item.origin, what)

    def _check_resources(self, jobs: Mapping[str, JobDefinition | None]) -> None:
        """Note every resource that steps need and that is nowhere: one sentence each, however many steps need it."""
        users: dict[str, dict[str, str]] = {}
        known: set[str] = set(self.resources)
        # The job over all assets comes last: it is named only for assets that no other job makes.
        for job in jobs.values():
            if job is None:
                continue
            known |= set(job.resource_defs)
            for step_key in job.wiring.ops:
                for key in step_resource_keys(job, step_key) - set(job.resource_defs):
                    what, origin = _user(job, step_key)
                    users.setdefault(key, {}).setdefault(what, origin)
            _, inner = needed_resource_keys(job.resource_defs, set(job.resource_defs))
            self.mistakes += [mistake for mistake in inner if mistake not in self.mistakes]
        for key, found in sorted(users.items()):
            first, *others = found
            more = f" and {len(others)} more need" if others else " needs"
            hint = did_you_mean(key, known) or " There are no resources."
            self.mistakes.append(
                at(found[first], f"{first}{more} the resource '{key}', which is nowhere.{hint} Add it to resources=")
            )


def _user(job: JobDefinition, step_key: str) -> tuple[str, str]:
    """Word who needs a resource: an asset by its key, else a step of a job; with the user's file and line."""
    layer = job.asset_layer
    if layer is not None and step_key in layer.definitions_by_step:
        definition = layer.definitions_by_step[step_key]
        names = ", ".join(key.to_user_string() for key in list(definition.specs_by_key)[:3])
        return f"asset {names}", definition.origin
    return f"step '{step_key}' of job '{job.name}'", job.wiring.ops[step_key].op.origin


def _origin(job: Any) -> str:
    return getattr(job, "origin", "") or getattr(getattr(job, "graph", None), "origin", "")


def _places(first: Any, second: Any) -> str:
    places = [place for place in (_origin(first), _origin(second)) if place]
    return f" ({' and '.join(places)})" if places else ""
