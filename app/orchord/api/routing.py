"""Declaring routes: one decorator ties a view to its URL, its checked parameters and its documented answers.

This is the one module beside app.py that knows flask-openapi3. Which answers an operation can give is derived here,
so that the document names every status that the handlers in problems.py can produce.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from orchord.api.parsing import View, parsed
from orchord.api.problems import PROBLEM_TYPE

API_PREFIX = "/api/v1"
JSON_TYPE = "application/json"

AnyView = TypeVar("AnyView", bound=View)
Answers = Mapping[int, type[BaseModel] | Mapping[str, Any] | None]

_PROBLEM_MEANING = {
    400: "The body is not JSON.",
    403: "A browser sent it on behalf of a page of another site.",
    404: "What the request names is not there.",
    408: "The body did not arrive in time.",
    409: "The request contradicts what is stored.",
    413: "The body is larger than the limit.",
    415: "The body is not sent as application/json.",
    422: "The request is well-formed, but wrong; every mistake is listed.",
    500: "The server failed unexpectedly.",
    503: "The database or the broker cannot be reached, or the server is busy. Try again later.",
}


def problem_answer(status: int) -> dict[str, Any]:
    """Return how a problem of this status is documented."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answer: dict[str, Any] = {"description": _PROBLEM_MEANING[status], "content": content}
    if status == 503:
        schema = {"schema": {"type": "string"}, "description": "After how many seconds to try again."}
        answer["headers"] = {"Retry-After": schema}
    return answer


def answer(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    result = Response(body.model_dump_json(by_alias=True), status=status, mimetype=JSON_TYPE)
    if headers:
        result.headers.update(headers)
    return result


class Routes:
    """The routes of one subject. Views return a model (status 200) or a finished ``Response``."""

    def __init__(self, name: str, description: str, *, prefix: str | None = API_PREFIX) -> None:
        tag = Tag(name=name, description=description)
        module_name = name.replace(" ", "_")
        self.blueprint = APIBlueprint(module_name, __name__, url_prefix=prefix, abp_tags=[tag])

    def get(self, rule: str, answers: Answers, *, problems: tuple[int, ...] = ()) -> Callable[[AnyView], AnyView]:
        """Declare a GET route. ``answers`` are the successes by status; ``problems`` those beyond the usual."""
        return self._declare("get", rule, answers, problems)

    def post(self, rule: str, answers: Answers, *, problems: tuple[int, ...] = ()) -> Callable[[AnyView], AnyView]:
        """Declare a POST route."""
        return self._declare("post", rule, answers, problems)

    def put(self, rule: str, answers: Answers, *, problems: tuple[int, ...] = ()) -> Callable[[AnyView], AnyView]:
        """Declare a PUT route."""
        return self._declare("put", rule, answers, problems)

    def delete(self, rule: str, answers: Answers, *, problems: tuple[int, ...] = ()) -> Callable[[AnyView], AnyView]:
        """Declare a DELETE route."""
        return self._declare("delete", rule, answers, problems)

    def _declare(
        self, method: str, rule: str, answers: Answers, problems: tuple[int, ...]
    ) -> Callable[[AnyView], AnyView]:
        def declare(view: AnyView) -> AnyView:
            hints = typing.get_type_hints(view)
            statuses = {500, 503, *problems}
            statuses |= {404} if "path" in hints else set()
            statuses |= {403} if method != "get" else set()
            statuses |= {422} if hints.keys() & {"query", "header", "body"} else set()
            statuses |= {400, 408, 413, 415} if "body" in hints else set()
            documented: dict[str, Any] = {str(status): body for status, body in answers.items()}
            documented |= {str(status): problem_answer(status) for status in sorted(statuses)}
            register = getattr(self.blueprint, method)
            register(rule, responses=documented, operation_id=view.__name__)(_answering(parsed(view)))
            return view

        return declare


def _answering(view: View) -> View:
    @functools.wraps(view)
    def respond(**values: str) -> Response:
        result = view(**values)
        return result if isinstance(result, Response) else answer(result)

    respond.__delay_validate_request__ = True  # type: ignore[attr-defined]
    return respond
