"""Code locations and jobs as the API shows them, made from snapshots.

What a snapshot holds is orchord.snapshot; runs of these jobs are models/runs.py.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from orchord.api.models.foundation import AnswerModel, JsonObject, RequestModel
from orchord.api.models.runs import PlanBody
from orchord.api.shown_config import without_secrets
from orchord.api.values import Name
from orchord.definitions.config.json_schema import json_schema
from orchord.snapshot import GraphSnapshot, JobSnapshot


class LocationPath(RequestModel):
    """One code location."""

    location: Name


class LocationQuery(RequestModel):
    """Of which code location; default: of all."""

    location: Name | None = None


class LocationBody(AnswerModel):
    """One code location."""

    name: str
    loaded_at: datetime | None
    error: str | None = Field(description="Why its code could not be loaded, with the user's own traceback.")
    snapshot_id: str | None
    workers_alive: int
    job_count: int
    asset_count: int


class LocationDetailBody(LocationBody):
    """One code location with the names of what it defines."""

    jobs: list[str]
    assets: list[str]
    schedules: list[str]
    sensors: list[str]
    resources: list[str]


class LocationList(AnswerModel):
    """Every code location."""

    items: list[LocationBody]


class JobPath(RequestModel):
    """One job, by name."""

    job: Name


class JobBody(AnswerModel):
    """One job."""

    name: str
    location: str
    description: str | None
    tags: dict[str, str]
    owners: list[str]
    executor: str
    is_asset_job: bool
    step_count: int
    asset_keys: list[str]

    @classmethod
    def of(cls, location: str, job: JobSnapshot) -> JobBody:
        """Return a job as a body."""
        return cls.model_construct(**_job_fields(location, job))


class GraphNodeBody(AnswerModel):
    """One use of an op or a graph."""

    name: str
    definition_name: str
    description: str | None
    inputs: list[JsonObject]
    outputs: list[JsonObject]
    tags: dict[str, str]
    pool: str | None
    asset_keys: list[str]
    graph: GraphBody | None = Field(description="What is inside, when it is a graph.")


class GraphEdgeBody(AnswerModel):
    """An edge between two nodes of one graph."""

    from_node: str
    from_output: str
    to_node: str
    to_input: str


class GraphBody(AnswerModel):
    """A graph's nodes and the edges between them; nested graphs lie within their nodes."""

    nodes: list[GraphNodeBody]
    edges: list[GraphEdgeBody]

    @classmethod
    def of(cls, graph: GraphSnapshot) -> GraphBody:
        """Return a graph as a body."""
        nodes = [
            GraphNodeBody(
                name=node.name,
                definition_name=node.definition_name,
                description=node.description,
                inputs=[{"name": port.name, "type": port.type_name} for port in node.inputs],
                outputs=[
                    {"name": port.name, "type": port.type_name, "is_required": port.is_required}
                    for port in node.outputs
                ],
                tags=node.tags,
                pool=node.pool,
                asset_keys=list(node.asset_keys),
                graph=None if node.graph is None else cls.of(node.graph),
            )
            for node in graph.nodes
        ]
        edges = [
            GraphEdgeBody(
                from_node=edge.from_node, from_output=edge.from_output, to_node=edge.to_node, to_input=edge.to_input
            )
            for edge in graph.edges
        ]
        return cls(nodes=nodes, edges=edges)


class JobDetailBody(JobBody):
    """One job with its graph, its plan, and what its run config may be."""

    run_tags: dict[str, str]
    metadata: JsonObject
    config_schema: JsonObject = Field(description="The run config as JSON Schema (draft 2020-12).")
    default_config: JsonObject
    graph: GraphBody
    plan: PlanBody
    snapshot_id: str
    misfits: list[str] = Field(description="Why it cannot be launched as it stands on this instance; none: it can.")

    @classmethod
    def detailed(cls, location: str, job: JobSnapshot, plan: PlanBody, misfits: list[str]) -> JobDetailBody:
        """Return a job with everything as a body."""
        return cls.model_construct(
            **_job_fields(location, job),
            run_tags=job.run_tags,
            metadata=job.metadata,
            config_schema=json_schema(job.config_type),
            default_config=without_secrets(job.config_type, job.default_config),
            graph=GraphBody.of(job.graph),
            plan=plan,
            snapshot_id=job.snapshot_id,
            misfits=misfits,
        )


class JobList(AnswerModel):
    """Jobs, by location and name."""

    items: list[JobBody]


def _job_fields(location: str, job: JobSnapshot) -> JsonObject:
    return {
        "name": job.name,
        "location": location,
        "description": job.description,
        "tags": job.tags,
        "owners": list(job.owners),
        "executor": job.executor,
        "is_asset_job": job.is_asset_job,
        "step_count": len(job.plan.steps),
        "asset_keys": list(job.asset_keys),
    }
