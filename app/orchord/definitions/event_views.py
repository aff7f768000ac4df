"""Events as user code reads them: by the field's names, with asset keys, metadata and materializations as objects.

What an event is, as it is written and stored, is events.py; these are thin views of it, made when one is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.metadata import MetadataValue
from orchord.events import ErrorInfo, Event, EventType, StoredEvent


@dataclass(frozen=True)
class StepMaterializationData:
    """What an ASSET_MATERIALIZATION says."""

    materialization: AssetMaterialization


@dataclass(frozen=True)
class AssetObservationData:
    """What an ASSET_OBSERVATION says."""

    asset_observation: AssetObservation


@dataclass(frozen=True)
class StepOutputData:
    """What a STEP_OUTPUT says. ``mistake`` tells why the value does not fit its type, if it does not."""

    step_key: str
    output_name: str
    metadata: Mapping[str, MetadataValue]
    mistake: str | None = None


@dataclass(frozen=True)
class UserFailureData:
    """What a raised Failure says."""

    description: str | None
    metadata: Mapping[str, MetadataValue]
    allow_retries: bool | None = None


@dataclass(frozen=True)
class StepFailureData:
    """What a STEP_FAILURE says: the error, and what a Failure holds, when that is what was raised."""

    error: ErrorInfo | None
    user_failure_data: UserFailureData | None = None

    @property
    def error_display_string(self) -> str:
        """The traceback, as Python would print it."""
        return "" if self.error is None else self.error.to_string()


class _Is:
    """Whether an event is of one of some types, as an attribute."""

    def __init__(self, *types: EventType) -> None:
        self._types = frozenset(types)

    def __get__(self, event: DagsterEvent, owner: type | None = None) -> bool:
        return event.type in self._types


class _OfOneType:
    """The attributes that tell an event's type."""

    is_step_start = _Is(EventType.STEP_START)
    is_step_success = _Is(EventType.STEP_SUCCESS)
    is_step_failure = _Is(EventType.STEP_FAILURE)
    is_step_skipped = _Is(EventType.STEP_SKIPPED)
    is_step_up_for_retry = _Is(EventType.STEP_UP_FOR_RETRY)
    is_step_restarted = _Is(EventType.STEP_RESTARTED)
    is_successful_output = _Is(EventType.STEP_OUTPUT)
    is_handled_output = _Is(EventType.HANDLED_OUTPUT)
    is_loaded_input = _Is(EventType.LOADED_INPUT)
    is_step_materialization = _Is(EventType.ASSET_MATERIALIZATION)
    is_asset_observation = _Is(EventType.ASSET_OBSERVATION)
    is_asset_materialization_planned = _Is(EventType.ASSET_MATERIALIZATION_PLANNED)
    is_expectation_result = _Is(EventType.STEP_EXPECTATION_RESULT)
    is_resource_init_failure = _Is(EventType.RESOURCE_INIT_FAILURE)
    is_engine_event = _Is(EventType.ENGINE_EVENT)
    is_hook_event = _Is(EventType.HOOK_COMPLETED, EventType.HOOK_ERRORED, EventType.HOOK_SKIPPED)
    is_job_success = is_run_success = _Is(EventType.RUN_SUCCESS)
    is_job_failure = is_run_failure = _Is(EventType.RUN_FAILURE)
    is_failure = _Is(EventType.STEP_FAILURE, EventType.RUN_FAILURE, EventType.RUN_CANCELED)


class DagsterEvent(_OfOneType):
    """One event of a run.

    Attributes:
        event: the event as it is written.
        job_name: the job that ran.
    """

    __slots__ = ("event", "job_name")

    def __init__(self, event: Event, job_name: str = "") -> None:
        self.event = event
        self.job_name = job_name

    def __repr__(self) -> str:
        return f"DagsterEvent({self.event!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DagsterEvent) and self.event == other.event

    __hash__ = None  # type: ignore[assignment]

    @property
    def type(self) -> str:
        """What happened, such as ``STEP_SUCCESS``; equal to a DagsterEventType."""
        return self.event.type

    @property
    def event_type_value(self) -> str:
        """What happened, as text."""
        return str(self.event.type)

    @property
    def event_type(self) -> EventType:
        """What happened."""
        return EventType(self.event.type)

    @property
    def timestamp(self) -> datetime:
        """When it happened, aware, in UTC."""
        return self.event.timestamp

    @property
    def message(self) -> str:
        """What happened, in words."""
        return self.event.message

    @property
    def level(self) -> int:
        """How grave it is, as a level of ``logging``."""
        return self.event.level

    @property
    def data(self) -> dict[str, Any]:
        """What else is known of it, as plain data."""
        return self.event.data

    @property
    def step_key(self) -> str | None:
        """The step to which it happened; None for the run as a whole."""
        return self.event.step_key

    @property
    def is_step_event(self) -> bool:
        """Whether it happened to a step."""
        return self.event.step_key is not None

    @property
    def node_name(self) -> str | None:
        """The name of the step's node in its graph."""
        return None if self.event.step_key is None else self.event.step_key.rpartition(".")[2]

    @property
    def asset_key(self) -> AssetKey | None:
        """The asset that it is about, if any."""
        return None if self.event.asset_key is None else AssetKey.from_user_string(self.event.asset_key)

    @property
    def partition(self) -> str | None:
        """The partition that it is about, if any."""
        return self.event.partition

    @property
    def asset_materialization(self) -> AssetMaterialization | None:
        """What was said of an asset that was made; None for other events."""
        return AssetMaterialization(**_asset_fields(self.event)) if self.is_step_materialization else None

    materialization = asset_materialization

    @property
    def asset_observation(self) -> AssetObservation | None:
        """What was said of an asset that was observed; None for other events."""
        return AssetObservation(**_asset_fields(self.event)) if self.is_asset_observation else None

    @property
    def step_materialization_data(self) -> StepMaterializationData | None:
        """What a materialization says; None for other events."""
        made = self.asset_materialization
        return None if made is None else StepMaterializationData(made)

    @property
    def asset_observation_data(self) -> AssetObservationData | None:
        """What an observation says; None for other events."""
        seen = self.asset_observation
        return None if seen is None else AssetObservationData(seen)

    @property
    def step_output_data(self) -> StepOutputData | None:
        """What is known of a step's output; None for other events."""
        if not self.is_successful_output:
            return None
        mistake = self.data.get("type_check", {}).get("description")
        return StepOutputData(self.step_key or "", self.data["output_name"], _metadata(self.data), mistake)

    @property
    def step_failure_data(self) -> StepFailureData | None:
        """Why a step failed; None for other events."""
        return failure_data(self.event) if self.is_step_failure else None

    @property
    def event_specific_data(self) -> Any:
        """What events of this type say as an object: one of the above; else None."""
        return (
            self.step_materialization_data
            or self.asset_observation_data
            or self.step_output_data
            or self.step_failure_data
        )


class EventLogEntry:
    """An event as the instance has it: with its id, which grows with time, and its run.

    Attributes:
        stored: the event as storage returns it.
    """

    __slots__ = ("stored",)

    def __init__(self, stored: StoredEvent) -> None:
        self.stored = stored

    def __repr__(self) -> str:
        return f"EventLogEntry({self.stored!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventLogEntry) and self.stored == other.stored

    __hash__ = None  # type: ignore[assignment]

    @property
    def id(self) -> int:
        """Its id. No event with a smaller id of the same run appears later."""
        return self.stored.id

    storage_id = id

    @property
    def run_id(self) -> str:
        """The run; empty for what was reported outside of any."""
        return self.stored.run_id

    @property
    def event(self) -> Event:
        """The event as it is written."""
        return self.stored.event

    @property
    def is_dagster_event(self) -> bool:
        """Whether it is more than a log record of user code."""
        return self.stored.event.type != EventType.LOG

    @property
    def dagster_event(self) -> DagsterEvent | None:
        """The event by the field's names; None for a log record of user code."""
        return DagsterEvent(self.stored.event) if self.is_dagster_event else None

    @property
    def dagster_event_type(self) -> EventType | None:
        """What happened; None for a log record of user code."""
        return EventType(self.stored.event.type) if self.is_dagster_event else None

    @property
    def event_log_entry(self) -> EventLogEntry:
        """This entry: what Dagster calls a record is an id and an entry, and this is both."""
        return self

    @property
    def timestamp(self) -> float:
        """When it happened, in seconds since 1970; ``event.timestamp`` is a datetime."""
        return self.stored.event.timestamp.timestamp()

    @property
    def message(self) -> str:
        """What happened, in words."""
        return self.stored.event.message

    user_message = message

    @property
    def level(self) -> int:
        """How grave it is, as a level of ``logging``."""
        return self.stored.event.level

    @property
    def step_key(self) -> str | None:
        """The step to which it happened; None for the run as a whole."""
        return self.stored.event.step_key

    @property
    def asset_key(self) -> AssetKey | None:
        """The asset that it is about, if any."""
        return DagsterEvent(self.stored.event).asset_key

    @property
    def partition_key(self) -> str | None:
        """The partition that it is about, if any."""
        return self.stored.event.partition

    @property
    def asset_materialization(self) -> AssetMaterialization | None:
        """What was said of an asset that was made; None for other events."""
        return DagsterEvent(self.stored.event).asset_materialization

    @property
    def asset_observation(self) -> AssetObservation | None:
        """What was said of an asset that was observed; None for other events."""
        return DagsterEvent(self.stored.event).asset_observation


def failure_data(event: Event) -> StepFailureData:
    """Return why a step failed, from its STEP_FAILURE event."""
    error, failure = event.data.get("error"), event.data.get("failure")
    return StepFailureData(
        None if error is None else msgspec.convert(error, ErrorInfo),
        None
        if failure is None
        else UserFailureData(failure.get("description"), _metadata(failure), failure.get("allow_retries")),
    )


def _asset_fields(event: Event) -> dict[str, Any]:
    assert event.asset_key is not None
    return {
        "asset_key": AssetKey.from_user_string(event.asset_key),
        "description": event.data.get("description"),
        "metadata": _metadata(event.data),
        "partition": event.partition,
        "tags": event.data.get("tags", {}),
    }


def _metadata(data: Mapping[str, Any]) -> dict[str, MetadataValue]:
    return {name: MetadataValue.from_json(value) for name, value in data.get("metadata", {}).items()}
