"""``@sensor`` and the public names of all sensors.

What a sensor is, is in sensor_definition.py; sensors on assets in asset_sensors.py, on runs in run_status_sensors.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from orchord.definitions.asset_sensors import (
    AssetSensorDefinition,
    MultiAssetSensorDefinition,
    asset_sensor,
    build_multi_asset_sensor_context,
    multi_asset_sensor,
)
from orchord.definitions.assets.selection import CoercibleToAssetSelection
from orchord.definitions.multi_asset_context import MultiAssetSensorEvaluationContext
from orchord.definitions.requests import SensorResult
from orchord.definitions.run_status_sensors import (
    RunFailureSensorContext,
    RunStatusSensorContext,
    RunStatusSensorDefinition,
    build_run_status_sensor_context,
    run_failure_sensor,
    run_status_sensor,
)
from orchord.definitions.sensor_definition import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorType,
)
from orchord.definitions.tick import resources_of

if TYPE_CHECKING:
    from orchord.definitions.definitions_object import Definitions

__all__ = [
    "AssetSensorDefinition",
    "DefaultSensorStatus",
    "MultiAssetSensorDefinition",
    "MultiAssetSensorEvaluationContext",
    "RunFailureSensorContext",
    "RunStatusSensorContext",
    "RunStatusSensorDefinition",
    "SensorDefinition",
    "SensorEvaluationContext",
    "SensorResult",
    "SensorType",
    "asset_sensor",
    "build_multi_asset_sensor_context",
    "build_run_status_sensor_context",
    "build_sensor_context",
    "multi_asset_sensor",
    "run_failure_sensor",
    "run_status_sensor",
    "sensor",
]


@overload
def sensor(job_name: Callable[..., Any]) -> SensorDefinition: ...
@overload
def sensor(
    job_name: str | None = None,
    *,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    job: Any = None,
    jobs: Sequence[Any] | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    asset_selection: CoercibleToAssetSelection | None = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    target: Any = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> Callable[[Callable[..., Any]], SensorDefinition]: ...
def sensor(
    job_name: str | Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    job: Any = None,
    jobs: Sequence[Any] | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    asset_selection: CoercibleToAssetSelection | None = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    target: Any = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> SensorDefinition | Callable[[Callable[..., Any]], SensorDefinition]:
    """Make a sensor of a function that returns or yields RunRequests, a SkipReason, or one SensorResult.

    The function takes a SensorEvaluationContext, or nothing, and parameters annotated with resource classes. Use it
    with or without parentheses. See SensorDefinition for the arguments.
    """

    def define(function: Callable[..., Any]) -> SensorDefinition:
        return SensorDefinition(
            name,
            evaluation_fn=function,
            job_name=None if callable(job_name) else job_name,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            asset_selection=asset_selection,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
            target=target,
            owners=owners,
            timeout_seconds=timeout_seconds,
        )

    return define(job_name) if callable(job_name) else define


def build_sensor_context(
    instance: Any = None,
    cursor: str | None = None,
    sensor_name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    last_sensor_start_time: datetime | float | None = None,
    last_run_key: str | None = None,
    last_tick_completion_time: datetime | float | None = None,
    repository_name: str | None = None,
    definitions: Definitions | None = None,
    payload: Any = None,
) -> SensorEvaluationContext:
    """Build a context to call or evaluate a sensor with in a test. Use it in ``with`` if resources need tear-down.

    Resources that are not given are those of ``definitions``. ``payload`` is the JSON body of a push.
    """
    return SensorEvaluationContext(
        instance,
        cursor,
        sensor_name,
        resources_of(definitions, resources),
        last_run_key=last_run_key,
        last_tick_completion_time=last_tick_completion_time,
        last_sensor_start_time=last_sensor_start_time,
        repository_name=repository_name,
        payload=payload,
    )
