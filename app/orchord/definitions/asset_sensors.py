"""Sensors on assets: ``@asset_sensor`` is called for each new materialization, ``@multi_asset_sensor`` sees many.

What the latter's function is given is multi_asset_context.py; what a sensor is in general, sensor_definition.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.selection import AssetSelection, CoercibleToAssetSelection
from orchord.definitions.multi_asset_context import MultiAssetSensorEvaluationContext
from orchord.definitions.requests import RunRequest, TickData
from orchord.definitions.sensor_definition import (
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorType,
    decorating,
)
from orchord.definitions.tick import TickContext, resources_of
from orchord.errors import InvariantViolationError

if TYPE_CHECKING:
    from orchord.definitions.definitions_object import Definitions


EVENTS_PER_EVALUATION = 100


class AssetSensorDefinition(SensorDefinition):
    """A sensor that is called with each new materialization of one asset, in order.

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
        """Call the function with every materialization after the cursor, oldest first; move the cursor to the last.

        The cursor holds the id of an event. Without one, the newest materialization is the first, or those since the
        sensor was started. At most 100 events are consumed, and no further one when the time is nearly over: the
        result then has more. If the function raises, none of them is consumed.
        """
        name = self.asset_key.to_user_string()
        events = self._unseen(context)
        requests: list[RunRequest] = []
        asset_events: list[Any] = []
        message: str | None = f"No new materialization of {name}."
        consumed = 0
        for event in events[:EVENTS_PER_EVALUATION]:
            if consumed and not context.may_go_on():
                break
            tick = self._finished(self._function.call(context, event), context)
            requests += tick.run_requests
            asset_events += tick.asset_events
            message = tick.skip_message
            consumed += 1
        # Without any event yet, the first one that comes is new.
        cursor = str(events[consumed - 1].id) if consumed else context.cursor or "0"
        return TickData(
            tuple(requests), None if requests else message, cursor, tuple(asset_events), consumed < len(events)
        )

    def _unseen(self, context: SensorEvaluationContext) -> list[Any]:
        """Return the events to consume, and one more if there are more."""
        after = None if context.cursor is None else self._event_id(context.cursor)
        if after is None:
            since = context.last_sensor_start_time
            newest = context.instance.get_materialization_events(self.asset_key, EVENTS_PER_EVALUATION)
            fresh = [event for event in newest if since is not None and event.event.timestamp.timestamp() >= since]
            first = fresh or newest[:1]
            if not first:
                return []
            after = first[-1].id - 1
        found: list[Any] = context.instance.get_materializations_after(
            [self.asset_key], after, EVENTS_PER_EVALUATION + 1
        )
        return found

    def _event_id(self, cursor: str) -> int:
        if cursor.isascii() and cursor.isdigit():
            return int(cursor)
        raise InvariantViolationError(
            f"The cursor of asset sensor '{self.name}' is {cursor!r}, and no id of an event. Set it to the id of the"
            " last materialization that is done, or delete it, to begin with the newest one."
        )


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
    timeout_seconds: float | None = None,
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
            timeout_seconds=timeout_seconds,
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
    timeout_seconds: float | None = None,
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
            timeout_seconds=timeout_seconds,
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
