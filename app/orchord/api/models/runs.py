"""Runs as the API takes and shows them: launching, listing, one run with its steps, cancelling, executing again.

Events of a run are models/events.py; who reads and writes runs is routes/runs.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from orchord.api.models.foundation import AnswerModel, ErrorBody, HeaderModel, JsonObject, RequestModel
from orchord.api.values import LongText, Moment, Name, RunId, Text, WaitSeconds
from orchord.runs import Run, RunStatus

#: pydantic's own schema of the keys would let others than those pass.
_TAGS_SCHEMA = {
    "type": "object",
    "propertyNames": {"pattern": r"^[^\x00]+$", "maxLength": 255},
    "additionalProperties": {"type": "string", "pattern": r"^[^\x00]*$", "maxLength": 1_000_000},
}
Tags = Annotated[dict[Name, LongText], WithJsonSchema(_TAGS_SCHEMA)]
Selection = Annotated[list[Text], Field(max_length=10_000)]


class LaunchBody(RequestModel):
    """Which job to run, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job": "process_numbers"}]})

    job: Name = Field(description="The job's name.")
    location: Name | None = Field(default=None, description="The code location; needed when several have such a job.")
    run_config: JsonObject = Field(
        default={}, description="Ops, resources and loggers of which it says nothing have the job's default config."
    )
    tags: Tags = Field(default={}, description="Put on the run, beside the job's own.")
    op_selection: Selection | None = Field(default=None, description='Such as ["*load", "clean+"]; default: every op.')
    asset_selection: Selection | None = Field(
        default=None, description='In the selection grammar, such as ["a", "b+"]; default: every asset.'
    )


class LaunchQuery(RequestModel):
    """Whether to wait for the end."""

    wait_seconds: WaitSeconds = Field(
        default=0, description="Hold the answer until the run has ended, at most so long. 0: answer at once."
    )


class LaunchHeader(HeaderModel):
    """What makes repeating the request safe."""

    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] | None = Field(
        default=None, alias="Idempotency-Key", description="The same key again returns the run that exists already."
    )


class RunPath(RequestModel):
    """One run."""

    run_id: RunId


class RunBody(AnswerModel):
    """One run. Times are in UTC."""

    run_id: RunId
    job: str
    location: str
    status: RunStatus
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None = Field(description="From start to end; null until the end.")
    run_config: JsonObject = Field(description="As it was launched; secrets are masked.")
    tags: dict[str, str]
    executor: str
    op_selection: list[str] | None = Field(description="The steps that run; null: all of the job's.")
    asset_selection: list[str] | None
    parent_run_id: RunId | None = Field(description="The run that this one executes again.")
    root_run_id: RunId | None = Field(description="The first run of that chain.")
    idempotency_key: str | None
    run_key: str | None
    error: ErrorBody | None = Field(description="Why the run failed, when no step did.")
    priority: int = Field(description="Of runs in the queue, those with a higher one go first.")
    waits_for: str | None = Field(description="Why the run is still in the queue.")

    @classmethod
    def of(cls, run: Run, config: JsonObject) -> RunBody:
        """Return a run as a body; ``config`` is its run config as it may be shown."""
        return cls.model_construct(**_run_fields(run, config))


class OutputBody(AnswerModel):
    """One output that a step yielded."""

    name: str
    asset_key: str | None
    metadata: JsonObject = Field(description='By label: {"type": …, "value": …}.')


class AttemptBody(AnswerModel):
    """One attempt at a step."""

    attempt: int = Field(description="Counts from 1.")
    status: str
    retry_number: int = Field(description="How many retries came before; a lost attempt is repeated without one.")
    worker_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    retry_at: datetime | None
    error: ErrorBody | None


class StepBody(AnswerModel):
    """One step of a run, with all that happened to it."""

    step_key: str
    op_name: str
    status: str = Field(description="PENDING before its first attempt, INHERITED when an earlier run made it.")
    started_at: datetime | None = Field(description="Of the last attempt.")
    ended_at: datetime | None
    duration_seconds: float | None
    attempts: list[AttemptBody]
    outputs: list[OutputBody]
    error: ErrorBody | None = Field(description="Of the last attempt.")
    inherited_from: RunId | None = Field(description="The run that made the step's outputs, when it is not this one.")
    waits_for: str | None = Field(description="What the step waits for beside its upstream steps: a slot of its pool.")


class RunDetailBody(RunBody):
    """One run with its steps, in the order of its plan."""

    steps: list[StepBody]

    @classmethod
    def with_steps(cls, run: Run, config: JsonObject, steps: list[StepBody]) -> RunDetailBody:
        """Return a run and its steps as a body; ``config`` is its run config as it may be shown."""
        return cls.model_construct(**_run_fields(run, config), steps=steps)


class RunPage(AnswerModel):
    """Runs, the newest first."""

    items: list[RunBody]
    next_cursor: RunId | None = Field(description="Give this as `cursor` for the next page; null: this was the last.")


class RunListQuery(RequestModel):
    """Which runs are asked for. All conditions must hold; of several statuses, one."""

    job: Name | None = None
    location: Name | None = None
    status: list[RunStatus] = Field(default=[], description="May be given several times.")
    tag: list[Annotated[str, StringConstraints(pattern=r"^[^=\x00]+=[^\x00]*$", max_length=4096)]] = Field(
        default=[], description="As key=value; may be given several times."
    )
    created_after: Moment | None = Field(default=None, description="RFC 3339, with a time zone.")
    created_before: Moment | None = None
    parent: RunId | None = Field(default=None, description="Only runs that execute this one again.")
    root: RunId | None = Field(default=None, description="Only runs of the chain that began with this one.")
    cursor: RunId | None = Field(default=None, description="`next_cursor` of the page before.")
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class CancelQuery(RequestModel):
    """How a run is canceled."""

    force: bool = Field(default=False, description="CANCELED at once; its steps are stopped all the same.")


class WaitQuery(RequestModel):
    """How long to wait."""

    seconds: WaitSeconds = Field(default=60, description="Hold the answer until the run has ended, at most so long.")


class ReexecuteBody(RequestModel):
    """How a run is executed again."""

    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]

    strategy: Literal["ALL_STEPS", "FROM_FAILURE", "FROM_ASSET_FAILURE"] = Field(
        default="ALL_STEPS",
        description="FROM_FAILURE keeps what succeeded; FROM_ASSET_FAILURE makes the assets that were not made.",
    )
    tags: Tags = Field(default={}, description="Put on the new run, over the old run's own.")
    run_config: JsonObject | None = Field(default=None, description="In place of the old run's config; null keeps it.")


class PlanStepBody(AnswerModel):
    """One step of a plan."""

    step_key: str
    op_name: str
    description: str | None
    upstream: list[str] = Field(description="The steps that it waits on.")
    asset_keys: list[str]
    tags: dict[str, str]
    pool: str | None
    is_selected: bool = Field(description="Whether this run runs it.")


class EdgeBody(AnswerModel):
    """One output that one step hands to an input of another."""

    from_step: str
    from_output: str
    to_step: str
    to_input: str


class PlanBody(AnswerModel):
    """The steps of a job and the edges between them."""

    job: str
    steps: list[PlanStepBody]
    edges: list[EdgeBody]


def _run_fields(run: Run, config: JsonObject) -> JsonObject:
    duration = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "location": run.location,
        "status": run.status,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "duration_seconds": duration,
        "run_config": config,
        "tags": run.tags,
        "executor": run.executor,
        "op_selection": None if run.step_keys is None else list(run.step_keys),
        "asset_selection": None if run.asset_selection is None else list(run.asset_selection),
        "parent_run_id": run.parent_run_id,
        "root_run_id": run.root_run_id,
        "idempotency_key": run.idempotency_key,
        "run_key": run.run_key,
        "error": ErrorBody.of(run.error),
        "priority": run.priority,
        "waits_for": run.waits_for,
    }
