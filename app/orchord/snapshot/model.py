"""A code location as data: structs of jobs, assets, schedules, sensors and resources, and their encoding.

How they are filled from definitions is in build.py. Nothing secret is in them: no value of a resource, and environment
variables by name only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cached_property
from typing import Any

import msgspec

from orchord.definitions.config.types import ConfigType
from orchord.definitions.executors import default_executor
from orchord.definitions.selected_config import ChosenSteps, closed_over, run_config_type
from orchord.plan.model import ExecutionPlan

DEFAULT_EXECUTOR = default_executor.name


class PortSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input or output of a node. ``type_name`` is the type as shown."""

    name: str
    type_name: str = "Any"
    description: str | None = None
    is_required: bool = True


class EdgeSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An edge between two nodes of one graph."""

    from_node: str
    from_output: str
    to_node: str
    to_input: str


class GraphSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The nodes of a graph and the edges between them, as the console draws them."""

    nodes: tuple[NodeSnapshot, ...] = ()
    edges: tuple[EdgeSnapshot, ...] = ()


class NodeSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One use of an op or a graph. ``graph`` holds what is inside, when it is a graph."""

    name: str
    definition_name: str
    description: str | None = None
    inputs: tuple[PortSnapshot, ...] = ()
    outputs: tuple[PortSnapshot, ...] = ()
    tags: dict[str, str] = {}
    pool: str | None = None
    asset_keys: tuple[str, ...] = ()
    graph: GraphSnapshot | None = None


class JobSnapshot(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """One job: its plan, its graph for show, what its run config may be, and its default run config.

    ``tags`` describe the job; ``run_tags`` are put on its runs. ``metadata`` is JSON of tagged values
    (``MetadataValue.to_json``). ``executor`` is the name of its executor. With ``has_config_mapping``, run config is
    what the job's config mapping takes. ``resource_needs`` says which resources need which others. ``names_executor``:
    somebody chose the executor; ``executor_config`` is what ``configured`` fixed of its config, and with
    ``maps_executor_config`` a function makes it of run config. ``process_bound`` are keys of IO managers whose values
    stay in one process.
    """

    name: str
    plan: ExecutionPlan
    graph: GraphSnapshot
    config_type: ConfigType
    description: str | None = None
    tags: dict[str, str] = {}
    run_tags: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    default_config: dict[str, Any] = {}
    executor: str = DEFAULT_EXECUTOR
    is_asset_job: bool = False
    owners: tuple[str, ...] = ()
    has_config_mapping: bool = False
    resource_needs: dict[str, tuple[str, ...]] = {}
    names_executor: bool = False
    process_bound: tuple[str, ...] = ()
    executor_config: dict[str, Any] = {}
    maps_executor_config: bool = False

    @cached_property
    def snapshot_id(self) -> str:
        """The SHA-256 of the encoded job, in hex: two jobs with the same id are the same."""
        return hashlib.sha256(_encoder.encode(self)).hexdigest()

    @cached_property
    def asset_keys(self) -> tuple[str, ...]:
        """The assets that the job makes, as user strings, in plan order."""
        return tuple(key for step in self.plan.steps for key in step.asset_keys)

    def run_config_type(self, step_keys: Collection[str] | None) -> ConfigType:
        """Return what run config must hold for a run of these steps; None: of all of them."""
        if step_keys is None or self.has_config_mapping:
            return self.config_type
        wanted = set(step_keys)
        steps = [step for step in self.plan.steps if step.key in wanted]
        inputs = (item for step in steps for item in step.inputs)
        return run_config_type(
            self.config_type,
            ChosenSteps(
                all_keys=self.plan.by_key,
                keys=[step.key for step in steps],
                inputs=frozenset(item.given_at for item in inputs if item.given_at is not None),
                resource_keys=closed_over(self.resource_needs, (key for step in steps for key in step.resource_keys)),
            ),
        )


class AssetSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One asset. ``step_key`` and ``output_name`` say what makes it in the implicit job; None: it is external.

    ``deps`` are user strings of the assets that it depends on. ``neighbours`` are the assets that are always made
    with it (an empty tuple: it can be made alone).
    """

    key: str
    group_name: str = "default"
    description: str | None = None
    deps: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    code_version: str | None = None
    is_materializable: bool = True
    is_external: bool = False
    step_key: str | None = None
    output_name: str | None = None
    job_names: tuple[str, ...] = ()
    io_manager_key: str = "io_manager"
    neighbours: tuple[str, ...] = ()


class ScheduleSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One schedule. Several cron schedules mean that any of them gives a tick.

    ``timeout_seconds`` limits one evaluation; None: the instance's limit holds.
    """

    name: str
    job_name: str
    cron_schedule: tuple[str, ...]
    execution_timezone: str = "UTC"
    description: str | None = None
    default_status: str = "STOPPED"
    tags: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    owners: tuple[str, ...] = ()
    required_resource_keys: tuple[str, ...] = ()
    timeout_seconds: float | None = None


class SensorSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sensor. ``kind`` is STANDARD, ASSET, MULTI_ASSET or RUN_STATUS; the fields below it belong to some kinds."""

    name: str
    kind: str = "STANDARD"
    job_names: tuple[str, ...] = ()
    minimum_interval_seconds: int | None = None
    description: str | None = None
    default_status: str = "STOPPED"
    tags: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    owners: tuple[str, ...] = ()
    required_resource_keys: tuple[str, ...] = ()
    monitored_assets: tuple[str, ...] = ()
    run_status: str | None = None
    monitored_jobs: tuple[str, ...] = ()
    monitor_all_code_locations: bool = False
    timeout_seconds: float | None = None


class ResourceSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One resource of ``Definitions(resources=...)``: its class and its config's shape, and no value of it."""

    key: str
    type_name: str
    config_type: ConfigType
    description: str | None = None
    required_resource_keys: tuple[str, ...] = ()
    is_io_manager: bool = False


class LocationSnapshot(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """Everything that a server knows of a code location.

    ``target`` are the arguments by which an ``orchord`` command in a container loads the same code; ``image`` is the
    image that its workers run, if they were told (``ORCHORD_CURRENT_IMAGE``).
    """

    name: str
    jobs: tuple[JobSnapshot, ...] = ()
    assets: tuple[AssetSnapshot, ...] = ()
    schedules: tuple[ScheduleSnapshot, ...] = ()
    sensors: tuple[SensorSnapshot, ...] = ()
    resources: tuple[ResourceSnapshot, ...] = ()
    metadata: dict[str, dict[str, Any]] = {}
    target: tuple[str, ...] = ()
    image: str | None = None

    @cached_property
    def snapshot_id(self) -> str:
        """The SHA-256 of the encoded location, in hex."""
        return hashlib.sha256(_encoder.encode(self)).hexdigest()

    @cached_property
    def job_by_name(self) -> dict[str, JobSnapshot]:
        """Jobs by name."""
        return {job.name: job for job in self.jobs}

    @cached_property
    def asset_by_key(self) -> dict[str, AssetSnapshot]:
        """Assets by user string."""
        return {asset.key: asset for asset in self.assets}


_encoder = msgspec.msgpack.Encoder()
_location_decoder = msgspec.msgpack.Decoder(LocationSnapshot)
_job_decoder = msgspec.msgpack.Decoder(JobSnapshot)


def encode(snapshot: LocationSnapshot | JobSnapshot) -> bytes:
    """Return a snapshot as MessagePack."""
    return _encoder.encode(snapshot)


def decode_location(payload: bytes) -> LocationSnapshot:
    """Return the location that ``encode`` wrote."""
    return _location_decoder.decode(payload)


def decode_job(payload: bytes) -> JobSnapshot:
    """Return the job that ``encode`` wrote."""
    return _job_decoder.decode(payload)
