"""Assets: listing, the graph, keys in paths, history, and reports from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def body(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json


def keys(client: FlaskClient, query: str = "") -> list[str]:
    return [item["key"] for item in body(client.get(f"/api/v1/assets{query}"))["items"]]


def report(client: FlaskClient, path: str, **fields: object) -> Any:
    return body(client.post(f"/api/v1/assets/{path}/materializations", json=fields), 201)


def test_assets_are_listed_by_key(client: FlaskClient) -> None:
    assert keys(client) == ["a/materializations", "graph", "orders", "raw/orders"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?group=mart", ["graph", "orders"]),
        ("?kind=sql", ["orders"]),
        ("?group=mart&kind=python", []),
        ("?location=shop&group=raw", ["raw/orders"]),
        ("?selection=group:raw", ["raw/orders"]),
        ("?selection=%2Bkey:orders", ["orders", "raw/orders"]),
        ("?selection=key:%22raw/*%22", ["raw/orders"]),
    ],
)
def test_assets_are_filtered(client: FlaskClient, query: str, expected: list[str]) -> None:
    assert keys(client, query) == expected


def test_a_selection_that_cannot_be_read_is_422(client: FlaskClient) -> None:
    answer = client.get("/api/v1/assets?selection=group:raw and")
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["type"] == "urn:orchord:problem:invalid-selection"
    assert answer.json["mistakes"]


def test_the_graph_has_nodes_for_what_nobody_defines(client: FlaskClient) -> None:
    graph = body(client.get("/api/v1/asset-graph?group=raw"))
    assert graph["edges"] == [{"from_asset": "upstream", "to_asset": "raw/orders"}]
    assert [(node["key"], node["location"]) for node in graph["nodes"]] == [("raw/orders", "shop"), ("upstream", None)]


def test_an_asset_is_read_by_a_key_with_slashes(client: FlaskClient) -> None:
    asset = body(client.get("/api/v1/assets/raw/orders"))
    assert (asset["key"], asset["group"], asset["deps"], asset["downstream"]) == (
        "raw/orders",
        "raw",
        ["upstream"],
        ["orders"],
    )
    assert asset["latest_materialization"] is None
    assert body(client.get("/api/v1/assets/raw%2Forders")) == asset


def test_an_asset_may_be_called_like_a_route(client: FlaskClient) -> None:
    assert body(client.get("/api/v1/assets/graph"))["key"] == "graph"
    assert body(client.get("/api/v1/assets/a/materializations/-"))["key"] == "a/materializations"
    assert client.get("/api/v1/assets/a/materializations").status_code == 404


@pytest.mark.parametrize("path", ["nothing", "order", "a//b", "orders/", "a%00"])
def test_an_unknown_asset_is_404(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/v1/assets/{path}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_a_materialization_from_elsewhere_is_recorded(client: FlaskClient) -> None:
    event = report(client, "raw/orders", metadata={"rows": 3, "note": "ok", "parts": [1, {"a": None}]}, description="d")
    assert (event["type"], event["asset_key"], event["run_id"]) == ("ASSET_MATERIALIZATION", "raw/orders", None)
    assert event["data"]["metadata"]["rows"] == {"type": "int", "value": 3}
    assert body(client.get("/api/v1/assets/raw/orders"))["latest_materialization"] == event


def test_an_asset_that_was_only_reported_can_be_read(client: FlaskClient) -> None:
    report(client, "lake/files")
    asset = body(client.get("/api/v1/assets/lake/files"))
    assert (asset["location"], asset["is_external"], asset["is_materializable"]) == (None, True, False)
    assert len(body(client.get("/api/v1/assets/lake/files/materializations"))["items"]) == 1


def test_a_key_like_a_route_can_be_reported(client: FlaskClient) -> None:
    answer = client.post("/api/v1/assets/a/materializations/-/materializations", json={})
    assert body(answer, 201)["asset_key"] == "a/materializations"
    assert len(body(client.get(answer.headers["Location"]))["items"]) == 1


def test_the_history_is_read_by_pages_newest_first(client: FlaskClient) -> None:
    ids = [report(client, "orders", metadata={"n": number})["id"] for number in range(5)]
    seen: list[int] = []
    query = "?limit=2"
    while query:
        page = body(client.get(f"/api/v1/assets/orders/materializations{query}"))
        seen += [item["id"] for item in page["items"]]
        query = f"?limit=2&before={page['next_before']}" if page["next_before"] is not None else ""
    assert seen == ids[::-1]


def test_the_history_of_a_known_asset_may_be_empty_and_of_an_unknown_one_is_404(client: FlaskClient) -> None:
    assert body(client.get("/api/v1/assets/orders/materializations"))["items"] == []
    assert client.get("/api/v1/assets/none/materializations").status_code == 404
