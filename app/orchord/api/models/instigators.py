"""Schedules and sensors as the API takes and shows them: what their code says, whether they are on, what comes next.

Their ticks are models/ticks.py; who reads and changes them is routes/schedules.py and routes/sensors.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from orchord.api.models.foundation import AnswerModel, HeaderModel, JsonObject, RequestModel
from orchord.api.models.ticks import TickBody
from orchord.api.values import LongText, Moment, Name
from orchord.instance.instigators import Instigator
from orchord.ticks import InstigatorStatus, Tick


class SchedulePath(RequestModel):
    """One schedule, by name."""

    schedule: Name


class SensorPath(RequestModel):
    """One sensor, by name."""

    sensor: Name


class PlaceQuery(RequestModel):
    """In which code location; needed when several have one of this name."""

    location: Name | None = None


class InstigatorBody(AnswerModel):
    """What schedules and sensors have in common."""

    name: str
    location: str
    description: str | None
    status: InstigatorStatus = Field(description="Whether it is on.")
    default_status: InstigatorStatus = Field(description="What its code says, until somebody starts or stops it.")
    is_default: bool = Field(description="Whether nobody has started or stopped it.")
    started_at: datetime | None = Field(description="When it was last turned on by somebody.")
    last_tick_ended_at: datetime | None
    time_limit_seconds: float | None = Field(description="Of one evaluation; null: the instance's limit holds.")
    tags: dict[str, str]
    owners: list[str]
    metadata: JsonObject
    required_resource_keys: list[str]


class ScheduleBody(InstigatorBody):
    """One schedule."""

    job: str
    cron_schedules: list[str] = Field(description="Any of them gives a tick.")
    execution_timezone: str
    next_tick_at: datetime | None = Field(description="In UTC; null while it is off.")

    @classmethod
    def of(cls, found: Instigator, next_tick_at: datetime | None) -> ScheduleBody:
        """Return a schedule as a body."""
        return cls.model_construct(**_schedule_fields(found, next_tick_at))


class ScheduleDetailBody(ScheduleBody):
    """One schedule with its last ticks and the times of the next."""

    next_ticks: list[datetime] = Field(description="In its own time zone, whether it is on or not.")
    last_ticks: list[TickBody]

    @classmethod
    def detailed(cls, found: Instigator, next_ticks: Sequence[datetime], last: Sequence[Tick]) -> ScheduleDetailBody:
        """Return a schedule as a body; ``next_ticks`` are in its own time zone."""
        return cls.model_construct(
            **_schedule_fields(found, next_ticks[0] if next_ticks else None),
            next_ticks=list(next_ticks),
            last_ticks=[TickBody.of(tick) for tick in last],
        )


class ScheduleList(AnswerModel):
    """Schedules, by location and name."""

    items: list[ScheduleBody]


class PreviewQuery(RequestModel):
    """How many times to look ahead, and from when."""

    location: Name | None = Field(default=None, description="Needed when several locations have one of this name.")
    count: Annotated[int, Field(ge=1, le=1000)] = 10
    after: Moment | None = Field(default=None, description="RFC 3339, with a time zone; default: now.")


class PreviewBody(AnswerModel):
    """The times of a schedule's next ticks."""

    schedule: str
    location: str
    execution_timezone: str
    items: list[datetime] = Field(description="In the schedule's own time zone, with its offset at that time.")


class ScheduleDryRunBody(RequestModel):
    """For which time to evaluate."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]

    at: Moment | None = Field(
        default=None, description="What the context gets as `scheduled_execution_time`; default: the next tick's."
    )


class SensorBody(InstigatorBody):
    """One sensor."""

    kind: str = Field(description="STANDARD, ASSET, MULTI_ASSET or RUN_STATUS.")
    jobs: list[str]
    minimum_interval_seconds: float | None = Field(description="Null for sensors that are told of each run's status.")
    cursor: str | None
    last_run_key: str | None
    monitored_assets: list[str]
    run_status: str | None = Field(description="Of RUN_STATUS sensors: the status that they are told of.")
    monitored_jobs: list[str]
    monitor_all_code_locations: bool

    @classmethod
    def of(cls, found: Instigator) -> SensorBody:
        """Return a sensor as a body."""
        return cls.model_construct(**_sensor_fields(found))


class SensorDetailBody(SensorBody):
    """One sensor with its last ticks."""

    last_ticks: list[TickBody]

    @classmethod
    def detailed(cls, found: Instigator, last: Sequence[Tick]) -> SensorDetailBody:
        """Return a sensor as a body."""
        return cls.model_construct(**_sensor_fields(found), last_ticks=[TickBody.of(tick) for tick in last])


class SensorList(AnswerModel):
    """Sensors, by location and name."""

    items: list[SensorBody]


class SensorDryRunBody(RequestModel):
    """What the sensor is given."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]

    payload: JsonObject | None = Field(default=None, description="What the context gets as `payload`, as if pushed.")
    cursor: LongText | None = Field(
        default=None, description="What the context gets as `cursor`; null: the one that is stored."
    )


class CursorBody(RequestModel):
    """A sensor's cursor."""

    cursor: LongText | None = Field(description="What the next tick gets as `context.cursor`; null: none.")


class PushBody(RequestModel):
    """Any JSON object: what the sensor's context gets as `payload`. At most 1 MB."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"file": "orders.csv"}]},
        openapi_extra={"required": False},  # type: ignore[typeddict-unknown-key]
    )


class PushHeader(HeaderModel):
    """What makes repeating the push safe."""

    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] | None = Field(
        default=None, alias="Idempotency-Key", description="The same key again returns the tick that exists already."
    )


def _common_fields(found: Instigator) -> dict[str, Any]:
    definition, state = found.definition, found.state
    return {
        "name": definition.name,
        "location": found.key.location,
        "description": definition.description,
        "status": found.status,
        "default_status": InstigatorStatus(definition.default_status),
        "is_default": state.status is None,
        "started_at": state.started_at,
        "last_tick_ended_at": state.last_tick_ended_at,
        "time_limit_seconds": definition.timeout_seconds,
        "tags": definition.tags,
        "owners": list(definition.owners),
        "metadata": definition.metadata,
        "required_resource_keys": list(definition.required_resource_keys),
    }


def _schedule_fields(found: Instigator, next_tick_at: datetime | None) -> dict[str, Any]:
    schedule = found.schedule
    return {
        **_common_fields(found),
        "job": schedule.job_name,
        "cron_schedules": list(schedule.cron_schedule),
        "execution_timezone": schedule.execution_timezone,
        "next_tick_at": next_tick_at if found.is_running else None,
    }


def _sensor_fields(found: Instigator) -> dict[str, Any]:
    sensor = found.sensor
    return {
        **_common_fields(found),
        "kind": sensor.kind,
        "jobs": list(sensor.job_names),
        "minimum_interval_seconds": found.interval_seconds,
        "cursor": found.state.cursor,
        "last_run_key": found.state.last_run_key,
        "monitored_assets": list(sensor.monitored_assets),
        "run_status": sensor.run_status,
        "monitored_jobs": list(sensor.monitored_jobs),
        "monitor_all_code_locations": sensor.monitor_all_code_locations,
    }
