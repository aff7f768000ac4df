"""Errors as answers: every failure of the API is a problem detail (RFC 9457) that lists all mistakes.

Here are the body's model, the table from Orchord's errors to statuses, and the handlers that Flask calls. What the
errors mean is in orchord.errors. Nothing internal leaves the process: an unexpected error is logged under an id.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from orchord import errors

logger = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Problem(BaseModel):
    """A failed request, as RFC 9457 words it. ``mistakes`` lists everything found wrong, not only the first."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"description": "A failed request (RFC 9457)."})

    type: str = Field(description="Names the kind of problem, the same for every occurrence.")
    title: str = Field(description="What kind of problem it is, in words.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What happened here, and what to do about it.")
    instance: str = Field(description="The path of the request that failed.")
    mistakes: list[str] = Field(description="One sentence for each mistake: where, what was found, what is right.")


class ProblemError(Exception):
    """Raised by routes to answer with a problem.

    ``kind`` is the last part of the problem's type; ``extras`` are further members of its body.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        mistakes: Sequence[str] = (),
        *,
        headers: Mapping[str, str] | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.mistakes = list(mistakes) or [detail]
        self.headers = dict(headers or {})
        self.extras = dict(extras or {})

    def to_response(self) -> Response:
        """Return the answer for the request that is being handled."""
        body = Problem(
            type=f"urn:orchord:problem:{self.kind}",
            title=self.kind.replace("-", " ").capitalize(),
            status=self.status,
            detail=self.detail,
            instance=request.path,
            mistakes=self.mistakes,
            **self.extras,
        )
        answer = Response(body.model_dump_json(), status=self.status, mimetype=PROBLEM_TYPE)
        answer.headers.update(self.headers)
        return answer


#: The first class that an error is an instance of decides; so the special stand before the general.
_STATUS_OF_ERROR: tuple[tuple[type[errors.OrchordError], int, str], ...] = (
    (errors.RunNotFoundError, 404, "run-not-found"),
    (errors.JobNotFoundError, 404, "job-not-found"),
    (errors.LocationNotFoundError, 404, "location-not-found"),
    (errors.AssetNotFoundError, 404, "asset-not-found"),
    (errors.NotFoundError, 404, "not-found"),
    (errors.ConflictError, 409, "conflict"),
    (errors.InvalidConfigError, 422, "invalid-run-config"),
    (errors.InvalidSubsetError, 422, "invalid-selection"),
    (errors.InvalidDefinitionError, 422, "invalid-definition"),
    (errors.InvalidInvocationError, 422, "invalid-request"),
    (errors.StorageUnavailableError, 503, "storage-unavailable"),
    (errors.BrokerUnavailableError, 503, "broker-unavailable"),
    (errors.UnavailableError, 503, "service-unavailable"),
)


def problem_of(error: errors.OrchordError) -> ProblemError | None:
    """Return what to answer for one of Orchord's own errors; None when it is no fault of the request."""
    for cls, status, kind in _STATUS_OF_ERROR:
        if isinstance(error, cls):
            mistakes: Sequence[str] = error.mistakes if isinstance(error, errors.ListedError) else ()
            detail = error.headline if isinstance(error, errors.ListedError) else str(error)
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
            return ProblemError(status, kind, detail, mistakes, headers=headers)
    return None


def mistakes_of(error: ValidationError, place: str) -> list[str]:
    """Word each of pydantic's findings: where it is, what is wrong, and what was found."""
    mistakes = []
    for finding in error.errors(include_url=False, include_context=False):
        path = ".".join(str(part) for part in finding["loc"])
        where = f"{place} '{path}'" if path else f"the {place}"
        if finding["type"] == "missing":
            mistakes.append(f"{where} is required.")
            continue
        if finding["type"] == "extra_forbidden":
            mistakes.append(f"{where} is not known.")
            continue
        found = repr(finding["input"])
        found = f"{found[:80]}…" if len(found) > 80 else found
        # pydantic's own words name our class.
        is_no_object = finding["type"] in ("model_type", "model_attributes_type")
        message = "expected a JSON object" if is_no_object else finding["msg"].removeprefix("Value error, ")
        mistakes.append(f"{where}: {message}; found {found}.")
    return mistakes


def install_handlers(app: Flask) -> None:
    """Make every failure of ``app`` a problem detail."""
    app.register_error_handler(ProblemError, _on_problem)
    app.register_error_handler(errors.OrchordError, _on_own_error)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_unexpected)


def _on_problem(error: ProblemError) -> Response:
    return error.to_response()


def _on_own_error(error: errors.OrchordError) -> Response:
    problem = problem_of(error)
    return _on_unexpected(error) if problem is None else problem.to_response()


_KIND_OF_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "payload-too-large",
    415: "unsupported-media-type",
}


def _on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    headers: dict[str, str] = {}
    detail = error.description or ""
    if status == 404:
        detail = f"Nothing is at {request.path}. /openapi.json lists every route."
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        headers["Allow"] = allowed
        detail = f"{request.method} is not possible at {request.path}. Possible: {allowed}."
    elif status == 413:
        limit = request.max_content_length
        detail = f"The body is larger than the limit of {limit} bytes. Send a smaller one, or raise the limit."
    elif 300 <= status < 400:
        return Response(status=status, headers=[("Location", str(getattr(error, "new_url", "")))])
    kind = _KIND_OF_STATUS.get(status, "http-error")
    return ProblemError(status, kind, detail or f"HTTP error {status}.", headers=headers).to_response()


def _on_unexpected(error: Exception) -> Response:
    error_id = uuid.uuid4().hex
    logger.error(
        "unexpected error %s at %s %s", error_id, request.method, request.path, exc_info=error,
        extra={"error_id": error_id, "method": request.method, "path": request.path},
    )  # fmt: skip
    detail = f"The server failed unexpectedly. Its log tells more under the id {error_id}."
    return ProblemError(500, "internal-error", detail, extras={"error_id": error_id}).to_response()
