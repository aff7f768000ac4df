"""Every failure is a problem detail, and nothing internal leaves the server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient

from orchord import errors
from orchord.api import problems

MEMBERS = {"type", "title", "status", "detail", "instance", "mistakes"}


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__)
    problems.install_handlers(made)
    return made


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as opened:
        yield opened


def raising(app: Flask, error: Exception) -> None:
    def view() -> Any:
        raise error

    app.add_url_rule("/it", "it", view)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.RunNotFoundError("No run."), 404, "run-not-found"),
        (errors.JobNotFoundError("No job."), 404, "job-not-found"),
        (errors.LocationNotFoundError("No location."), 404, "location-not-found"),
        (errors.AssetNotFoundError("No asset."), 404, "asset-not-found"),
        (errors.NotFoundError("Nothing."), 404, "not-found"),
        (errors.ConflictError("Ended."), 409, "conflict"),
        (errors.InvalidInvocationError("Docker."), 422, "invalid-request"),
        (errors.StorageUnavailableError("No database."), 503, "storage-unavailable"),
        (errors.BrokerUnavailableError("No broker."), 503, "broker-unavailable"),
        (errors.UnavailableError("No service."), 503, "service-unavailable"),
    ],
)
def test_own_errors_have_their_status(
    app: Flask, client: FlaskClient, error: Exception, status: int, kind: str
) -> None:
    raising(app, error)
    answer = client.get("/it")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {
        "type": f"urn:orchord:problem:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": status,
        "detail": str(error),
        "instance": "/it",
        "mistakes": [str(error)],
    }
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_every_mistake_of_a_run_config_is_listed(app: Flask, client: FlaskClient) -> None:
    raising(app, errors.InvalidConfigError("Run config of job 'x' is wrong", ["first", "second"]))
    answer = client.get("/it")
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["detail"] == "Run config of job 'x' is wrong"
    assert answer.json["mistakes"] == ["first", "second"]


@pytest.mark.parametrize("error", [RuntimeError("password=hunter2"), errors.OrchordError("password=hunter2")])
def test_an_unexpected_error_tells_an_id_and_nothing_else(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    raising(app, error)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/it")
    assert answer.status_code == 500
    assert answer.json is not None
    assert "hunter2" not in answer.text
    assert set(answer.json) == MEMBERS | {"error_id"}
    record = caplog.records[0]
    assert record.error_id == answer.json["error_id"]  # type: ignore[attr-defined]
    assert record.exc_info is not None


def test_an_unknown_route_and_method_are_problems(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/it", "it", lambda: "x")
    unknown = client.get("/other")
    assert (unknown.status_code, unknown.mimetype) == (404, "application/problem+json")
    assert unknown.json is not None
    assert unknown.json["detail"] == "Nothing is at /other. /openapi.json lists every route."
    wrong = client.delete("/it")
    assert (wrong.status_code, wrong.mimetype) == (405, "application/problem+json")
    assert wrong.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert wrong.json is not None
    assert wrong.json["detail"] == "DELETE is not possible at /it. Possible: GET, HEAD, OPTIONS."


def test_other_http_errors_are_problems_too(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/it", "it", lambda: abort(418))
    answer = client.get("/it")
    assert (answer.status_code, answer.mimetype) == (418, "application/problem+json")
