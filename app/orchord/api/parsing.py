"""From a request to checked values: path, query, header and body, by the pydantic models that a view's names bear.

A view declares ``path:``, ``query:``, ``header:`` and ``body:`` parameters; flask-openapi3 reads the same annotations
for the document. Its own validation is not used: it answers in another format, takes malformed JSON for an empty
body, and computes the models' schemas anew for every request. Failures become problems in problems.py.
"""

from __future__ import annotations

import functools
import time
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from orchord.api.problems import ProblemError, mistakes_of
from orchord.api.values import texts_with_nul

View = Callable[..., Any]

#: How much of a body over the limit is read away, and for how long, before the connection is cut instead.
DISCARDED_BYTES = 256 * 1024 * 1024
DISCARDED_SECONDS = 20.0


def parsed(view: View) -> View:
    """Wrap a view so that it is called with checked models in place of the path's raw values.

    Raises, within a request:
        ProblemError: 400 for malformed JSON, 404 for a path that cannot name anything, 415 for another content
            type, 422 for everything well-formed but wrong, with every mistake of query, header and body together.
    """
    hints = typing.get_type_hints(view)
    path_model: type[BaseModel] | None = hints.get("path")
    readers = [(place, hints[place], make(hints[place])) for place, make in _READERS.items() if place in hints]

    @functools.wraps(view)
    def checked(**path_values: str) -> Any:
        arguments: dict[str, Any] = {}
        if path_model is not None:
            arguments["path"] = _checked_path(path_model, path_values)
        mistakes: list[str] = []
        for place, model, read in readers:
            try:
                arguments[place] = model.model_validate(read())
            except ValidationError as error:
                mistakes += mistakes_of(error, place)
        if mistakes:
            raise _wrong(mistakes)
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


def _wrong(mistakes: list[str]) -> ProblemError:
    return ProblemError(422, "invalid-request", "The request is well-formed, but wrong.", mistakes)


def _query_reader(model: type[BaseModel]) -> Callable[[], dict[str, Any]]:
    properties = model.model_json_schema().get("properties", {})
    lists = frozenset(name for name, schema in properties.items() if schema.get("type") == "array")

    def read() -> dict[str, Any]:
        # A scalar that is given twice stays a list, and so is a mistake.
        return {key: values if key in lists or len(values) > 1 else values[0] for key, values in request.args.lists()}

    return read


def _header_reader(model: type[BaseModel]) -> Callable[[], dict[str, Any]]:
    names = [field.alias or name for name, field in model.model_fields.items()]

    def read() -> dict[str, Any]:
        return {name: request.headers[name] for name in names if name in request.headers}

    return read


def _body_reader(model: type[BaseModel]) -> Callable[[], Any]:
    extra = typing.cast("Mapping[str, Any]", model.model_config.get("openapi_extra") or {})
    is_optional = extra.get("required") is False

    def read() -> Any:
        data = _body_bytes()
        if not data:
            if is_optional:
                return {}
            raise ProblemError(400, "malformed-json", "The body is empty. Send a JSON object.")
        if request.mimetype != "application/json":
            detail = f"The content type is {request.mimetype or 'missing'}. Send the body as application/json."
            raise ProblemError(415, "unsupported-media-type", detail, headers={"Accept": "application/json"})
        return _json_value(data)

    return read


def _body_bytes() -> bytes:
    try:
        data = request.get_data(cache=False)
        if request.content_length is None and data:
            # A body in pieces is cut at the limit without a word; reading on tells.
            request.stream.read(1)
    except RequestEntityTooLarge:
        _discard_body()
        raise
    except ClientDisconnected as error:
        # So werkzeug calls it too when the socket's time limit was reached; who is gone does not read the answer.
        detail = "The body did not arrive in time. Send it without long pauses."
        raise ProblemError(408, "request-timeout", detail) from error
    return data


def _discard_body() -> None:
    """Read the rest of a body that is refused: most clients look for the answer only when all is sent."""
    stream, left, end = request.environ["wsgi.input"], DISCARDED_BYTES, time.monotonic() + DISCARDED_SECONDS
    while left > 0 and time.monotonic() < end:
        piece = stream.read(min(left, 1 << 16))
        if not piece:
            return
        left -= len(piece)


def _json_value(data: bytes) -> Any:
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemError(400, "malformed-json", f"The body is not JSON: {reason}.") from error
    if b"\\u0000" in data:
        mistakes = [f"body '{path}' holds a NUL character. Remove it." for path in texts_with_nul(value)]
        if mistakes:
            raise _wrong(mistakes)
    return value


_READERS: Mapping[str, Callable[[type[BaseModel]], Callable[[], Any]]] = {
    "query": _query_reader,
    "header": _header_reader,
    "body": _body_reader,
}
_decode = msgspec.json.Decoder().decode
