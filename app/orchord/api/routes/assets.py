"""Assets: what code locations define, the graph of it, what was materialized, and reports from elsewhere.

Materializing an asset is starting a run: routes/runs.py.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Response

from orchord.api.catalog import KnownAsset, find_asset, known_assets
from orchord.api.models.assets import (
    AssetBody,
    AssetDetailBody,
    AssetGraphBody,
    AssetGraphEdge,
    AssetGraphNode,
    AssetList,
    AssetListQuery,
    AssetPath,
    HistoryPage,
    HistoryQuery,
    MaterializationBody,
)
from orchord.api.models.events import EventBody
from orchord.api.models.jobs import LocationQuery
from orchord.api.problems import ProblemError
from orchord.api.routing import API_PREFIX, Routes, answer
from orchord.api.state import the_instance
from orchord.api.values import asset_path
from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.results import AssetMaterialization
from orchord.definitions.assets.selection import AssetSelection
from orchord.errors import AssetNotFoundError, InvalidDefinitionError, InvalidSubsetError
from orchord.snapshot import AssetSnapshot, LocationSnapshot

routes = Routes("assets", "Data that jobs make, and what is known of it. A key's parts are joined by slashes.")


@routes.get("/assets", {200: AssetList}, problems=(404,))
def list_assets(query: AssetListQuery) -> AssetList:
    """List the assets that code locations define."""
    return AssetList(items=[AssetBody.of(*known) for known in _chosen(query)])


@routes.get("/asset-graph", {200: AssetGraphBody}, problems=(404,))
def read_asset_graph(query: AssetListQuery) -> AssetGraphBody:
    """Read assets and the dependencies between them; those that nobody defines are nodes without a location."""
    nodes: dict[str, AssetGraphNode] = {}
    edges: dict[tuple[str, str], None] = {}
    for location, asset in _chosen(query):
        edges |= dict.fromkeys((dep, asset.key) for dep in asset.deps)
        nodes.setdefault(
            asset.key,
            AssetGraphNode(
                key=asset.key,
                location=location,
                group=asset.group_name,
                kinds=list(asset.kinds),
                is_materializable=asset.is_materializable,
            ),
        )
    for dep, _ in edges:
        nodes.setdefault(dep, AssetGraphNode(key=dep, location=None, group=None, kinds=[], is_materializable=False))
    return AssetGraphBody(
        nodes=list(nodes.values()), edges=[AssetGraphEdge(from_asset=dep, to_asset=key) for dep, key in edges]
    )


@routes.get("/assets/<path:key>", {200: AssetDetailBody})
def read_asset(path: AssetPath, query: LocationQuery) -> AssetDetailBody:
    """Read one asset with its latest materialization.

    A key whose last part is `materializations` or `-` is written with `/-` behind it.
    """
    assets = known_assets(the_instance().storage, query.location)
    latest = the_instance().storage.assets.latest([path.key]).get(path.key)
    shown = EventBody.of(latest) if latest else None
    try:
        location, asset = find_asset(assets, path.key)
    except AssetNotFoundError:
        if latest is None:
            raise
        # Reported by another system, and defined nowhere.
        undefined = AssetSnapshot(key=path.key, is_materializable=False, is_external=True)
        return AssetDetailBody.detailed(None, undefined, [], shown)
    downstream = dict.fromkeys(known.asset.key for known in assets if path.key in known.asset.deps)
    return AssetDetailBody.detailed(location, asset, list(downstream), shown)


@routes.get("/assets/<path:key>/materializations", {200: HistoryPage})
def list_materializations(path: AssetPath, query: HistoryQuery) -> HistoryPage:
    """List the materializations of an asset, the newest first, by pages."""
    storage = the_instance().storage
    stored = storage.assets.history(path.key, limit=query.limit + 1, before_id=query.before)
    if not stored:
        _must_exist(path.key)
    shown = stored[: query.limit]
    more = len(stored) > query.limit
    return HistoryPage(items=[EventBody.of(one) for one in shown], next_before=shown[-1].id if more else None)


@routes.post("/assets/<path:key>/materializations", {201: EventBody})
def report_materialization(path: AssetPath, body: MaterializationBody) -> Response:
    """Record that an asset was materialized by another system. The asset need not be defined."""
    try:
        event = AssetMaterialization(
            AssetKey.from_user_string(path.key), description=body.description, metadata=body.metadata
        )
    except InvalidDefinitionError as error:
        raise ProblemError(422, "invalid-request", "The metadata is wrong.", [str(error)]) from error
    entry = the_instance().report_runless_asset_event(event)
    where = f"{API_PREFIX}/assets/{quote(asset_path(path.key))}/materializations"
    return answer(EventBody.of(entry.stored), 201, {"Location": where})


def _chosen(query: AssetListQuery) -> list[KnownAsset]:
    known = known_assets(the_instance().storage, query.location)
    if query.selection is not None:
        selected = {key.to_user_string() for key in _selected(query.selection, [one.asset for one in known])}
        known = [one for one in known if one.asset.key in selected]
    if query.group is not None:
        known = [one for one in known if one.asset.group_name == query.group]
    if query.kind is not None:
        known = [one for one in known if query.kind in one.asset.kinds]
    return known


def _selected(selection: str, assets: list[AssetSnapshot]) -> set[AssetKey]:
    try:
        # Of a key that several locations know, the one that makes it comes first, and the last one counts.
        graph = AssetGraph.from_snapshot(LocationSnapshot("", assets=tuple(reversed(assets))))
        return AssetSelection.from_string(selection, include_sources=True).resolve(graph)
    except (InvalidSubsetError, InvalidDefinitionError) as error:
        mistakes = error.mistakes if isinstance(error, InvalidSubsetError) else ()
        raise ProblemError(422, "invalid-selection", str(error), mistakes) from error


def _must_exist(key: str) -> None:
    assets = known_assets(the_instance().storage)
    if not any(known.asset.key == key for known in assets) and key not in the_instance().storage.assets.latest([key]):
        find_asset(assets, key)
