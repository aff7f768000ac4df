"""The OpenAPI document at ``/openapi.json``, and a page for people at ``/docs`` that is made from it.

The page is plain HTML from this server alone: no script, and nothing fetched from elsewhere. What an operation takes
and answers is declared in routing.py and models/.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from flask import Response, current_app, render_template
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchord.api.models import assets, daemons, events, health, instigators, jobs, pools, runs, ticks
from orchord.api.models.foundation import AnswerModel, RequestModel
from orchord.api.problems import Problem

DESCRIPTION = """Start runs of jobs, watch them, and read what they made; turn schedules and sensors on and off.

Every failure is a problem detail (RFC 9457, `application/problem+json`) whose `mistakes` lists everything found
wrong. Times are RFC 3339 in UTC. Lists are read by pages; pass on the position that a page ends with.
"""
_EXTENSION = "orchord.openapi"
_REFERENCE = "#/components/schemas/{model}"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def install(app: OpenAPI) -> None:
    """Add the document and the page to an application."""
    app.template_folder = "templates"
    app.add_url_rule("/openapi.json", "openapi_json", _document_answer)
    app.add_url_rule("/docs", "docs", _page)


def openapi_document(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI document (3.1) of an application."""
    document: dict[str, Any] = app.extensions.get(_EXTENSION) or _completed(app.api_doc)
    app.extensions[_EXTENSION] = document
    return document


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    # flask-openapi3 drops the JSON Schema keywords that it does not know, so the schemas are pydantic's own.
    document["components"] = {"schemas": _schemas()}
    for methods in document["paths"].values():
        for operation in methods.values():
            if "description" in operation:
                operation["description"] = operation["description"].replace("<br/>", "\n").strip()
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
    return document


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema without ``null``: a parameter is given or not, and never null."""
    others = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(others) != 1:
        return schema
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**kept, **others[0]}


def _document_answer() -> Response:
    return Response(msgspec.json.encode(openapi_document(_application())), mimetype="application/json")


def _application() -> OpenAPI:
    app: OpenAPI = current_app._get_current_object()  # type: ignore[attr-defined]
    return app


def _page() -> Response:
    document = openapi_document(_application())
    operations: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document.get("tags", [])}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for tag in operation["tags"]:
                operations[tag].append({"path": path, "method": method.upper(), **operation})
    page = render_template("docs.html", document=document, operations=operations)
    return Response(page, mimetype="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})


@cache
def _schemas() -> dict[str, Any]:
    found: dict[type[BaseModel], None] = {Problem: None}
    for module in (assets, daemons, events, health, instigators, jobs, pools, runs, ticks):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, AnswerModel | RequestModel):
                found[value] = None
    inputs = [(model, "validation") for model in found if issubclass(model, RequestModel)]
    outputs = [(model, "serialization") for model in found if not issubclass(model, RequestModel)]
    _, schema = models_json_schema([*inputs, *outputs], ref_template=_REFERENCE)  # type: ignore[list-item]
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
