"""The OpenAPI document names every route, and the page for people needs nothing from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

DOCUMENTS = {"/openapi.json", "/docs"}


def test_every_route_is_documented(client: FlaskClient) -> None:
    document: Any = client.get("/openapi.json").json
    documented = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    served = {
        (re.sub(r"<(?:[^<:]+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in DOCUMENTS
    }
    assert documented == served


def test_every_failure_is_documented_as_a_problem(client: FlaskClient) -> None:
    document: Any = client.get("/openapi.json").json
    for item in document["paths"].values():
        for operation in item.values():
            failures = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert {"500", "503"} <= failures.keys()
            for failure in failures.values():
                assert list(failure["content"]) == ["application/problem+json"]


def test_every_reference_of_the_document_leads_somewhere(client: FlaskClient) -> None:
    text = client.get("/openapi.json").text
    document: Any = client.get("/openapi.json").json
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= document["components"]["schemas"].keys()
    assert "null" not in {operation.get("type") for operation in document["components"]["schemas"].values()}


def test_the_page_lists_every_operation_and_runs_no_script(client: FlaskClient) -> None:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    document: Any = client.get("/openapi.json").json
    for path in document["paths"]:
        assert f"<code>{path}</code>" in answer.text
