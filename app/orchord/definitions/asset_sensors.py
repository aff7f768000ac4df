"""Sensors on assets: ``@asset_sensor`` is called for a new materialization, ``@multi_asset_sensor`` sees many assets.

They ask the instance for materializations, through the context; what a sensor is in general is sensor_definition.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.selection import AssetSelection, CoercibleToAssetSelection
from orchord.definitions.requests import TickData
from orchord.definitions.sensor_definition import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorType,
    decorating,
)
from orchord.definitions.tick import TickContext, resources_of

if TYPE_CHECKING:
    from orchord.definitions.definitions_object import Definitions


class AssetSensorDefinition(SensorDefinition):
    """A sensor that is called with a new materialization of one asset.

    Args:
        name: its name; the function's when left out.
        asset_key: the asset.
        asset_materialization_fn: takes a SensorEvaluationContext and the event; gives what any sensor gives.
        options: what SensorDefinition takes.
    """

    sensor_type: ClassVar[SensorType] = SensorType.ASSET

    def __init__(
        self,
        name: str | None = None,
        *,
        asset_key: CoercibleToAssetKey,
        asset_materialization_fn: Callable[..., Any],
        **options: Any,
    ) -> None:
        self.asset_key = AssetKey.from_coercible(asset_key)
        super().__init__(name, evaluation_fn=asset_materialization_fn, **options)

    def _further_parameters(self) -> tuple[str, ...]:
        return ("the materialization",)

    def evaluate_tick(self, context: SensorEvaluationContext) -> TickData:
        """Call the function with the newest materialization, if it is newer than the cursor; move the cursor to it.

        The cursor holds the id of the event.
        """
        event = context.instance.get_latest_materialization_event(self.asset_key)
        if event is None or (context.cursor is not None and int(context.cursor) >= event.id):
            name = self.asset_key.to_user_string()
            return TickData(skip_message=f"No new materialization of {name}.", cursor=context.cursor)
        tick = self._finished(self._function.call(context, event), context)
        return TickData(tick.run_requests, tick.skip_message, str(event.id), tick.asset_events)


class MultiAssetSensorEvaluationContext(SensorEvaluationContext):
    """What a multi-asset sensor's function is given. Its cursor is kept per asset, as JSON of keys and event ids."""

    def __init__(self, monitored_assets: Sequence[AssetKey] = (), **options: Any) -> None:
        super().__init__(**options)
        self.asset_keys = tuple(monitored_assets)
        self._latest: dict[AssetKey, Any] | None = None

    def latest_materialization_records_by_key(
        self, asset_keys: Iterable[AssetKey] | None = None
    ) -> dict[AssetKey, Any]:
        """Return for each asset its newest materialization that is newer than the asset's cursor, or None."""
        cursors = self._cursors()
        newest = self._newest()
        wanted = self.asset_keys if asset_keys is None else tuple(asset_keys)
        return {
            key: event if (event := newest.get(key)) is not None and event.id > cursors.get(str(key), 0) else None
            for key in wanted
        }

    def get_cursor_by_asset(self, asset_key: AssetKey) -> int | None:
        """Return the id of the event up to which an asset was consumed."""
        return self._cursors().get(str(asset_key))

    def advance_cursor(self, materialization_records_by_key: Mapping[AssetKey, Any]) -> None:
        """Consume these events: later evaluations do not see them again."""
        cursors = self._cursors()
        for key, event in materialization_records_by_key.items():
            if event is not None:
                cursors[str(key)] = event.id
        self.update_cursor(json.dumps(cursors, sort_keys=True))

    def advance_all_cursors(self) -> None:
        """Consume the newest event of every asset."""
        self.advance_cursor(self._newest())

    def _newest(self) -> dict[AssetKey, Any]:
        if self._latest is None:
            self._latest = {key: self.instance.get_latest_materialization_event(key) for key in self.asset_keys}
        return self._latest

    def _cursors(self) -> dict[str, int]:
        return dict(json.loads(self.cursor)) if self.cursor else {}


class MultiAssetSensorDefinition(SensorDefinition):
    """A sensor that sees the new materializations of several assets, and consumes them as it likes.

    Args:
        name: its name; the function's when left out.
        monitored_assets: keys, or a selection, which is resolved over the location's assets.
        asset_materialization_fn: takes a MultiAssetSensorEvaluationContext; gives what any sensor gives.
        options: what SensorDefinition takes.
    """

    sensor_type: ClassVar[SensorType] = SensorType.MULTI_ASSET
    context_cls: ClassVar[type[TickContext]] = MultiAssetSensorEvaluationContext

    def __init__(
        self,
        name: str | None = None,
        *,
        monitored_assets: Sequence[CoercibleToAssetKey] | AssetSelection,
        asset_materialization_fn: Callable[..., Any],
        **options: Any,
    ) -> None:
        self.monitored_selection = (
            monitored_assets
            if isinstance(monitored_assets, AssetSelection)
            else AssetSelection.assets(*monitored_assets)
        )
        super().__init__(name, evaluation_fn=asset_materialization_fn, **options)


def asset_sensor(
    asset_key: CoercibleToAssetKey,
    *,
    job_name: str | None = None,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    job: Any = None,
    jobs: Sequence[Any] | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    target: Any = None,
    owners: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], AssetSensorDefinition]:
    """Make a sensor that is called with each new materialization of an asset that it sees.

    The function takes a SensorEvaluationContext and the event. See SensorDefinition for the other arguments.
    """
    decorating("asset_sensor", asset_key)

    def define(function: Callable[..., Any]) -> AssetSensorDefinition:
        return AssetSensorDefinition(
            name,
            asset_key=asset_key,
            asset_materialization_fn=function,
            job_name=job_name,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
            target=target,
            owners=owners,
        )

    return define


def multi_asset_sensor(
    monitored_assets: Sequence[CoercibleToAssetKey] | AssetSelection,
    *,
    job_name: str | None = None,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    job: Any = None,
    jobs: Sequence[Any] | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    request_assets: CoercibleToAssetSelection | None = None,
    required_resource_keys: Iterable[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    target: Any = None,
    owners: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], MultiAssetSensorDefinition]:
    """Make a sensor that sees the new materializations of several assets.

    The function takes a MultiAssetSensorEvaluationContext. ``request_assets`` are the assets that it starts runs of;
    see SensorDefinition for the other arguments.
    """
    decorating("multi_asset_sensor", monitored_assets)

    def define(function: Callable[..., Any]) -> MultiAssetSensorDefinition:
        return MultiAssetSensorDefinition(
            name,
            monitored_assets=monitored_assets,
            asset_materialization_fn=function,
            job_name=job_name,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            asset_selection=request_assets,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
            target=target,
            owners=owners,
        )

    return define


def build_multi_asset_sensor_context(
    *,
    monitored_assets: Sequence[CoercibleToAssetKey],
    instance: Any = None,
    cursor: str | None = None,
    sensor_name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    definitions: Definitions | None = None,
) -> MultiAssetSensorEvaluationContext:
    """Build a context to call or evaluate a multi-asset sensor with in a test.

    Resources that are not given are those of ``definitions``.
    """
    keys = [AssetKey.from_coercible(key) for key in monitored_assets]
    return MultiAssetSensorEvaluationContext(
        keys, instance=instance, cursor=cursor, sensor_name=sensor_name, resources=resources_of(definitions, resources)
    )
