"""From a Repository to its snapshot: definitions read into structs, and user code left behind.

What the structs are is in model.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.definitions.asset_key import AssetKey, user_strings
from orchord.definitions.asset_sensors import AssetSensorDefinition, MultiAssetSensorDefinition
from orchord.definitions.assets.job import IMPLICIT_JOB_NAME
from orchord.definitions.config.types import ANY
from orchord.definitions.dependency import DependencyDefinition, MultiDependencyDefinition
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.io_manager import IOManagerDefinition
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.metadata import metadata_to_json
from orchord.definitions.node import Node
from orchord.definitions.op import OpDefinition
from orchord.definitions.repository import Repository
from orchord.definitions.resources.definition import HardcodedResource, ResourceDefinition
from orchord.definitions.resources.io_manager_classes import ConfigurableIOManagerFactory, IOManager
from orchord.definitions.resources.launched import PythonicResource
from orchord.definitions.resources.opening import resource_needs
from orchord.definitions.run_status_sensors import RunStatusSensorDefinition
from orchord.definitions.schedules import ScheduleDefinition
from orchord.definitions.sensor_definition import SensorDefinition
from orchord.definitions.type_hints import type_hints
from orchord.plan.compile import compile_plan
from orchord.snapshot.model import (
    DEFAULT_EXECUTOR,
    AssetSnapshot,
    EdgeSnapshot,
    GraphSnapshot,
    JobSnapshot,
    LocationSnapshot,
    NodeSnapshot,
    PortSnapshot,
    ResourceSnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
)


def snapshot_of(
    repository: Repository, name: str, *, target: tuple[str, ...] = (), image: str | None = None
) -> LocationSnapshot:
    """Return a location as data.

    Args:
        repository: its definitions, resolved.
        name: the location's name.
        target: the arguments by which a command loads the same code.
        image: the image that the code is in, if that is known.
    """
    jobs = tuple(job_snapshot(job) for job in repository.jobs.values())
    return LocationSnapshot(
        name=name,
        jobs=jobs,
        assets=_assets(repository),
        schedules=tuple(_schedule(schedule) for schedule in repository.schedules.values()),
        sensors=tuple(_sensor(sensor, repository) for sensor in repository.sensors.values()),
        resources=tuple(_resource(key, resource) for key, resource in sorted(repository.resource_defs.items())),
        metadata=metadata_to_json(repository.metadata),
        target=target,
        image=image,
    )


def job_snapshot(job: JobDefinition) -> JobSnapshot:
    """Return a job as data."""
    outputs = job.asset_layer.outputs if job.asset_layer is not None else {}
    made: dict[str, list[str]] = {}
    for (step_key, _), key in outputs.items():
        made.setdefault(step_key, []).append(key.to_user_string())
    return JobSnapshot(
        name=job.name,
        plan=compile_plan(job),
        graph=_graph(job.graph, "", made),
        config_type=job.config_type(),
        description=job.description,
        tags=job.tags,
        run_tags=job.tags_of_runs,
        metadata=metadata_to_json(job.metadata),
        default_config=job.default_run_config(),
        executor=job.executor_def.name if job.executor_def is not None else DEFAULT_EXECUTOR,
        is_asset_job=job.asset_layer is not None,
        owners=job.owners,
        has_config_mapping=job.config_mapping is not None,
        resource_needs=resource_needs(job.resource_defs),
        names_executor=job.executor_def is not None,
        process_bound=tuple(sorted(key for key, item in job.resource_defs.items() if _keeps_values_in_process(item))),
        executor_config=job.executor_def.fixed_config if job.executor_def is not None else {},
        maps_executor_config=job.executor_def is not None and job.executor_def.maps_config,
    )


def _graph(graph: GraphDefinition, prefix: str, made: Mapping[str, list[str]]) -> GraphSnapshot:
    nodes = tuple(_node(node, prefix + node.name, made) for node in graph.nodes.values())
    edges = []
    for to_node, inputs in graph.dependencies.items():
        for to_input, dependency in inputs.items():
            sources = [dependency] if isinstance(dependency, DependencyDefinition) else _members(dependency)
            edges += [EdgeSnapshot(source.node, source.output, to_node, to_input) for source in sources]
    return GraphSnapshot(nodes, tuple(edges))


def _members(dependency: MultiDependencyDefinition) -> list[DependencyDefinition]:
    return list(dependency.members())


def _node(node: Node[Any], path: str, made: Mapping[str, list[str]]) -> NodeSnapshot:
    definition = node.definition
    return NodeSnapshot(
        name=node.name,
        definition_name=definition.name,
        description=definition.description,
        inputs=tuple(
            PortSnapshot(name, _type_name(definition.input_types(name)), _described(definition, "ins", name))
            for name in definition.input_names
        ),
        outputs=tuple(
            PortSnapshot(
                name,
                _type_name([definition.output_type(name)]),
                _described(definition, "outs", name),
                definition.outs[name].is_required if isinstance(definition, OpDefinition) else True,
            )
            for name in definition.output_names
        ),
        tags={**definition.tags, **node.tags},
        pool=definition.pool if isinstance(definition, OpDefinition) else None,
        asset_keys=tuple(made.get(path, ())),
        graph=_graph(definition, f"{path}.", made) if isinstance(definition, GraphDefinition) else None,
    )


def _type_name(types: list[Any]) -> str:
    return str(types[0].name) if types else "Any"


def _described(definition: Any, ports: str, name: str) -> str | None:
    port = getattr(definition, ports).get(name)
    return None if port is None else port.description


def _assets(repository: Repository) -> tuple[AssetSnapshot, ...]:
    catalog, graph = repository.catalog, repository.asset_graph
    implicit = repository.jobs.get(IMPLICIT_JOB_NAME)
    places: dict[AssetKey, tuple[str, str]] = {}
    if implicit is not None and implicit.asset_layer is not None:
        places = {key: place for place, key in implicit.asset_layer.outputs.items()}
    job_names: dict[AssetKey, list[str]] = {}
    for job in repository.jobs.values():
        for key in job.asset_layer.made_keys if job.asset_layer is not None else ():
            job_names.setdefault(key, []).append(job.name)
    snapshots = []
    for key, node in sorted(graph.nodes.items()):
        step_key, output_name = places.get(key, (None, None))
        snapshots.append(
            AssetSnapshot(
                key=key.to_user_string(),
                group_name=node.group_name,
                description=node.description,
                deps=tuple(parent.to_user_string() for parent in node.parents),
                kinds=tuple(sorted(node.kinds)),
                owners=node.owners,
                tags=dict(node.tags or {}),
                metadata=metadata_to_json(catalog.spec_of(key).metadata),
                code_version=node.code_version,
                is_materializable=node.is_materializable,
                is_external=node.is_external,
                step_key=step_key,
                output_name=output_name,
                job_names=tuple(job_names.get(key, ())),
                io_manager_key=catalog.io_manager_key_of(key),
                neighbours=tuple(user_strings(node.neighbours)),
            )
        )
    return tuple(snapshots)


def _schedule(schedule: ScheduleDefinition) -> ScheduleSnapshot:
    return ScheduleSnapshot(
        name=schedule.name,
        job_name=schedule.job_name,
        cron_schedule=schedule.cron_schedules,
        execution_timezone=schedule.execution_timezone,
        description=schedule.description,
        default_status=schedule.default_status.value,
        tags=schedule.tags,
        metadata=metadata_to_json(schedule.metadata),
        owners=schedule.owners,
        required_resource_keys=tuple(sorted(schedule.required_resource_keys)),
        timeout_seconds=schedule.timeout_seconds,
    )


def _sensor(sensor: SensorDefinition, repository: Repository) -> SensorSnapshot:
    monitored: tuple[str, ...] = ()
    if isinstance(sensor, AssetSensorDefinition):
        monitored = (sensor.asset_key.to_user_string(),)
    elif isinstance(sensor, MultiAssetSensorDefinition):
        monitored = tuple(user_strings(sensor.monitored_selection.resolve(repository.asset_graph)))
    on_runs = sensor if isinstance(sensor, RunStatusSensorDefinition) else None
    return SensorSnapshot(
        name=sensor.name,
        kind=sensor.sensor_type.value,
        job_names=sensor.job_names,
        minimum_interval_seconds=sensor.minimum_interval_seconds,
        description=sensor.description,
        default_status=sensor.default_status.value,
        tags=sensor.tags,
        metadata=metadata_to_json(sensor.metadata),
        owners=sensor.owners,
        required_resource_keys=tuple(sorted(sensor.required_resource_keys)),
        monitored_assets=monitored,
        run_status=None if on_runs is None else on_runs.run_status.value,
        monitored_jobs=() if on_runs is None else on_runs.monitored_job_names,
        monitor_all_code_locations=on_runs is not None and on_runs.monitor_all_code_locations,
        timeout_seconds=sensor.timeout_seconds,
    )


def _resource(key: str, resource: ResourceDefinition) -> ResourceSnapshot:
    return ResourceSnapshot(
        key=key,
        type_name=resource.name,
        config_type=resource.config_type or ANY,
        description=resource.description,
        required_resource_keys=tuple(sorted(resource.required_resource_keys)),
        is_io_manager=_is_io_manager(resource),
    )


def _is_io_manager(resource: ResourceDefinition) -> bool:
    if isinstance(resource, HardcodedResource):
        return isinstance(resource.value, IOManager)
    if isinstance(resource, PythonicResource):
        return issubclass(resource.resource_cls, (IOManager, ConfigurableIOManagerFactory))
    return isinstance(resource, IOManagerDefinition)


def _keeps_values_in_process(resource: ResourceDefinition) -> bool:
    """Whether a resource is an IO manager whose values never leave the process; of a function, by its annotation."""
    if isinstance(resource, HardcodedResource):
        return isinstance(resource.value, IOManager) and resource.value.keeps_values_in_process
    made: Any = None
    if isinstance(resource, PythonicResource):
        made = resource.resource_cls
    elif isinstance(resource, IOManagerDefinition):
        made = type_hints(resource.resource_fn).get("return")
    return isinstance(made, type) and issubclass(made, IOManager) and made.keeps_values_in_process
