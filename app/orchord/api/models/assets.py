"""Assets as the API shows them, their graph and history, and the report of a materialization made elsewhere.

Only shapes and their conversion from values. Which instance they are read from is routes/assets.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from orchord.api.models.events import EventBody
from orchord.api.models.foundation import AnswerModel, JsonObject, RequestModel
from orchord.api.values import Name, RowId, Text, asset_key_of_path
from orchord.snapshot import AssetSnapshot


def _checked_asset_path(text: str) -> str:
    key = asset_key_of_path(text)
    if key is None:
        raise ValueError("Not an asset key; write its parts with slashes between them, as in a/b")
    return key


class AssetPath(RequestModel):
    """One asset: the parts of its key, with slashes between them."""

    key: Annotated[str, AfterValidator(_checked_asset_path)]


class AssetListQuery(RequestModel):
    """Which assets are asked for. All conditions must hold."""

    location: Name | None = None
    group: Name | None = None
    kind: Name | None = None
    selection: Text | None = Field(default=None, description='In the selection grammar, such as "group:x and +b".')


class AssetBody(AnswerModel):
    """One asset, as its code location defines it."""

    key: str = Field(description="The key's parts, joined by slashes.")
    location: str | None = Field(description="Null when no code location defines it.")
    group: str
    description: str | None
    deps: list[str] = Field(description="The assets that it depends on.")
    kinds: list[str]
    owners: list[str]
    tags: dict[str, str]
    is_materializable: bool
    is_external: bool
    jobs: list[str] = Field(description="The jobs that can make it.")

    @classmethod
    def of(cls, location: str | None, asset: AssetSnapshot) -> AssetBody:
        """Return an asset as a body."""
        return cls.model_construct(**_asset_fields(location, asset))


class AssetDetailBody(AssetBody):
    """One asset with its metadata, its neighbours in the graph and its latest materialization."""

    metadata: JsonObject
    code_version: str | None
    io_manager_key: str
    downstream: list[str] = Field(description="The assets that depend on it.")
    latest_materialization: EventBody | None

    @classmethod
    def detailed(
        cls, location: str | None, asset: AssetSnapshot, downstream: Sequence[str], latest: EventBody | None
    ) -> AssetDetailBody:
        """Return an asset with everything as a body."""
        return cls.model_construct(
            **_asset_fields(location, asset),
            metadata=asset.metadata,
            code_version=asset.code_version,
            io_manager_key=asset.io_manager_key,
            downstream=list(downstream),
            latest_materialization=latest,
        )


class AssetList(AnswerModel):
    """Assets, by key."""

    items: list[AssetBody]


class AssetGraphNode(AnswerModel):
    """One asset of the graph. An asset that others depend on and nobody defines has no location."""

    key: str
    location: str | None
    group: str | None
    kinds: list[str]
    is_materializable: bool


class AssetGraphEdge(AnswerModel):
    """``to_asset`` depends on ``from_asset``."""

    from_asset: str
    to_asset: str


class AssetGraphBody(AnswerModel):
    """Assets and the dependencies between them."""

    nodes: list[AssetGraphNode]
    edges: list[AssetGraphEdge]


class MaterializationBody(RequestModel):
    """A materialization that happened outside of Orchord."""

    metadata: JsonObject = Field(default={}, description="By label: any JSON value.")
    description: Text | None = None
    data_version: Name | None = None


class HistoryQuery(RequestModel):
    """A page of an asset's history."""

    before: RowId | None = Field(default=None, description="`next_before` of the page before.")
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class HistoryPage(AnswerModel):
    """Materializations of an asset, the newest first."""

    items: list[EventBody]
    next_before: int | None = Field(description="Give this as `before` for the next page; null: this was the last.")


def _asset_fields(location: str | None, asset: AssetSnapshot) -> JsonObject:
    return {
        "key": asset.key,
        "location": location,
        "group": asset.group_name,
        "description": asset.description,
        "deps": list(asset.deps),
        "kinds": list(asset.kinds),
        "owners": list(asset.owners),
        "tags": asset.tags,
        "is_materializable": asset.is_materializable,
        "is_external": asset.is_external,
        "jobs": list(asset.job_names),
    }
