"""From a request to checked values: path, query, header and body, by the pydantic models that a view's names bear.

A view declares ``path:``, ``query:``, ``header:`` and ``body:`` parameters; flask-openapi3 reads the same annotations
for the document. Its own validation is not used: it answers in another format, takes malformed JSON for an empty
body, and computes the models' schemas anew for every request. Failures become problems in problems.py.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from flask import request
from pydantic import BaseModel, ValidationError

from orchord.api.problems import ProblemError, mistakes_of
from orchord.api.values import texts_with_nul

View = Callable[..., Any]


def parsed(view: View) -> View:
    """Wrap a view so that it is called with checked models in place of the path's raw values.

    Raises, within a request:
        ProblemError: 400 for malformed JSON, 404 for a path that cannot name anything, 415 for another content
            type, 422 for everything well-formed but wrong, with every mistake of query, header and body together.
    """
    hints = typing.get_type_hints(view)
    readers = {
        place: reader
        for place, reader in (("query", _query_values(hints)), ("header", _header_values(hints)), ("body", _body_value))
        if place in hints
    }
    path_model: type[BaseModel] | None = hints.get("path")

    @functools.wraps(view)
    def checked(**path_values: str) -> Any:
        arguments: dict[str, Any] = {}
        if path_model is not None:
            arguments["path"] = _checked_path(path_model, path_values)
        mistakes: list[str] = []
        for place, read in readers.items():
            model: type[BaseModel] = hints[place]
            raw = read() if place != "body" else _body_value(model)
            try:
                arguments[place] = model.model_validate(raw)
            except ValidationError as error:
                mistakes += mistakes_of(error, place)
        if mistakes:
            raise ProblemError(422, "invalid-request", "The request is well-formed, but wrong.", mistakes)
        return view(**arguments)

    # flask-openapi3 leaves a view so marked to validate for itself.
    checked.__delay_validate_request__ = True  # type: ignore[attr-defined]
    return checked


def _checked_path(model: type[BaseModel], values: Mapping[str, str]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        mistakes = mistakes_of(error, "path")
        raise ProblemError(404, "not-found", f"Nothing can be at {request.path}.", mistakes) from error


def _query_values(hints: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    model = hints.get("query")
    lists = _list_fields(model) if model is not None else frozenset()

    def read() -> dict[str, Any]:
        given: dict[str, Any] = {}
        for key, values in request.args.lists():
            # A scalar that is given twice stays a list, and so is a mistake.
            given[key] = values if key in lists or len(values) > 1 else values[0]
        return given

    return read


def _list_fields(model: type[BaseModel]) -> frozenset[str]:
    properties = model.model_json_schema().get("properties", {})
    return frozenset(name for name, schema in properties.items() if schema.get("type") == "array")


def _header_values(hints: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    model = hints.get("header")
    names = [field.alias or name for name, field in model.model_fields.items()] if model is not None else []

    def read() -> dict[str, Any]:
        return {name: request.headers[name] for name in names if name in request.headers}

    return read


_decode = msgspec.json.Decoder().decode


def _body_value(model: type[BaseModel]) -> Any:
    data = request.get_data(cache=False)
    if not data:
        if _is_optional(model):
            return {}
        raise ProblemError(400, "malformed-json", "The body is empty. Send a JSON object.")
    if request.mimetype != "application/json":
        found = request.mimetype or "none"
        detail = f"The content type is {found}. Send the body as application/json."
        raise ProblemError(415, "unsupported-media-type", detail, headers={"Accept": "application/json"})
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemError(400, "malformed-json", f"The body is not JSON: {reason}.") from error
    if b"\\u0000" in data:
        mistakes = [f"body '{path}' holds a NUL character. Remove it." for path in texts_with_nul(value)]
        if mistakes:
            raise ProblemError(422, "invalid-request", "The request is well-formed, but wrong.", mistakes)
    return value


def _is_optional(model: type[BaseModel]) -> bool:
    extra = typing.cast(Mapping[str, Any], model.model_config.get("openapi_extra") or {})
    return extra.get("required") is False
