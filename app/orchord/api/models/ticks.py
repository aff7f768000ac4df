"""Ticks as the API shows them: what each evaluation of a schedule or sensor came to, and pages of them.

The schedules and sensors themselves are models/instigators.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from orchord.api.models.foundation import AnswerModel, ErrorBody, JsonObject, RequestModel
from orchord.api.values import Name, RowId
from orchord.ticks import InstigatorKind, Tick, TickStatus


class TickPath(RequestModel):
    """One tick."""

    tick_id: RowId


class TickBody(AnswerModel):
    """One evaluation of a schedule or sensor. Times are in UTC."""

    tick_id: int
    kind: InstigatorKind
    name: str
    location: str
    status: TickStatus = Field(description="PENDING: recorded and not begun. SUCCESS: it asked for runs.")
    planned_at: datetime = Field(description="The time that it was due, or pushed.")
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    tries: int = Field(description="How often it was begun: more than once when a worker was lost.")
    run_ids: list[str] = Field(description="The runs that it made.")
    requested: int | None = Field(description="How many runs were asked for, those that existed already among them.")
    deduplicated: list[str] = Field(description="Run keys that had their run already.")
    skip_reason: str | None
    cursor: str | None = Field(description="What the sensor kept for its next tick.")
    error: ErrorBody | None
    log: list[JsonObject] = Field(description="What the evaluation wrote by `context.log`.")
    payload: JsonObject | None = Field(description="What was pushed, or which run changed its status.")

    @classmethod
    def of(cls, tick: Tick) -> TickBody:
        """Return a tick as a body."""
        return cls.model_construct(**tick_fields(tick))


class DryRunBody(TickBody):
    """One evaluation that started no runs and kept nothing, and the runs that it asks for."""

    requests: list[JsonObject] = Field(description="Each with run_key, job_name, run_config, tags; secrets are masked.")


class TickPage(AnswerModel):
    """Ticks, the newest first."""

    items: list[TickBody]
    next_before: int | None = Field(description="Give this as `before` for the next page; null: this was the last.")


class TickPageQuery(RequestModel):
    """Which ticks of one schedule or sensor are asked for."""

    location: Name | None = Field(default=None, description="Needed when several locations have one of this name.")
    status: list[TickStatus] = Field(default=[], description="May be given several times.")
    before: RowId | None = Field(default=None, description="`next_before` of the page before.")
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class TickListQuery(TickPageQuery):
    """Which ticks are asked for. All conditions must hold; of several statuses, one."""

    location: Name | None = Field(default=None, description="Of which code location; default: of all.")


def tick_fields(tick: Tick) -> dict[str, Any]:
    """Return the fields of a tick's body."""
    ended = tick.ended_at if tick.started_at is not None else None
    data = tick.data
    return {
        "tick_id": tick.tick_id,
        "kind": tick.key.kind,
        "name": tick.key.name,
        "location": tick.key.location,
        "status": tick.status,
        "planned_at": tick.planned_at,
        "started_at": tick.started_at,
        "ended_at": tick.ended_at,
        "duration_seconds": (ended - tick.started_at).total_seconds() if ended and tick.started_at else None,
        "tries": tick.tries,
        "run_ids": list(tick.run_ids),
        "requested": data.get("requested"),
        "deduplicated": list(data.get("deduplicated") or ()),
        "skip_reason": tick.skip_reason,
        "cursor": tick.cursor,
        "error": ErrorBody.of(tick.error),
        "log": list(data.get("log") or ()),
        "payload": tick.payload,
    }
