"""Requests become checked values, or one answer that lists every mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient
from pydantic import ConfigDict, Field

from orchord.api import problems
from orchord.api.models.foundation import HeaderModel, RequestModel
from orchord.api.parsing import parsed
from orchord.api.values import Name, RowId, RunId


class ThingPath(RequestModel):
    run_id: RunId


class ThingQuery(RequestModel):
    number: RowId = 0
    names: list[Name] = []


class ThingHeader(HeaderModel):
    key: Annotated[str, Field(max_length=3)] | None = Field(default=None, alias="X-Key")


class ThingBody(RequestModel):
    name: Name
    options: dict[str, Any] = {}


class OptionalBody(RequestModel):
    model_config = ConfigDict(openapi_extra={"required": False})  # type: ignore[typeddict-unknown-key]

    name: Name = "default"


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000
    problems.install_handlers(app)

    def thing(query: ThingQuery, header: ThingHeader, body: ThingBody) -> Any:
        return jsonify(number=query.number, names=query.names, key=header.key, name=body.name, options=body.options)

    def read(path: ThingPath) -> Any:
        return jsonify(run_id=path.run_id)

    def optional(body: OptionalBody) -> Any:
        return jsonify(name=body.name)

    app.add_url_rule("/things", "thing", parsed(thing), methods=["POST"])
    app.add_url_rule("/things/<run_id>", "read", parsed(read), methods=["GET"])
    app.add_url_rule("/optional", "optional", parsed(optional), methods=["POST"])
    with app.test_client() as opened:
        yield opened


def test_right_values_arrive(client: FlaskClient) -> None:
    answer = client.post("/things?number=3&names=a&names=b", json={"name": "n"}, headers={"X-Key": "k"})
    assert answer.json == {"number": 3, "names": ["a", "b"], "key": "k", "name": "n", "options": {}}


def test_mistakes_of_query_header_and_body_are_listed_together(client: FlaskClient) -> None:
    answer = client.post("/things?number=-1&other=1", json={"nam": "n"}, headers={"X-Key": "long"})
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["mistakes"] == [
        "query 'number': Input should be greater than or equal to 0; found '-1'.",
        "query 'other' is not known.",
        "header 'X-Key': String should have at most 3 characters; found 'long'.",
        "body 'name' is required.",
        "body 'nam' is not known.",
    ]


def test_a_scalar_given_twice_is_a_mistake(client: FlaskClient) -> None:
    assert client.post("/things?number=1&number=2", json={"name": "n"}).status_code == 422


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The body is empty"),
        (b"{", "The body is not JSON"),
        (b'{"name": NaN}', "The body is not JSON"),
        (b'"\xff"', "The body is not JSON"),
        (b'{"name": "\\ud800"}', "The body is not JSON"),
        (b"[" * 900, "The body is not JSON"),
    ],
)
def test_malformed_json_is_400(client: FlaskClient, data: bytes, reason: str) -> None:
    answer = client.post("/things", data=data, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["detail"].startswith(reason)


def test_deeply_nested_json_is_400(client: FlaskClient) -> None:
    client.application.config["MAX_CONTENT_LENGTH"] = None
    answer = client.post("/things", data=b"[" * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["detail"] == "The body is not JSON: it is nested too deeply."


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"x"'])
def test_json_that_is_no_object_is_422(client: FlaskClient, data: bytes) -> None:
    answer = client.post("/things", data=data, content_type="application/json")
    assert answer.status_code == 422
    assert any(mistake.startswith("the body: expected a JSON object; found ") for mistake in answer.json["mistakes"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_content_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post("/things", data=b'{"name": "n"}', content_type=content_type)
    assert answer.status_code == 415
    assert answer.headers["Accept"] == "application/json"


def test_a_body_over_the_limit_is_413_and_names_the_limit(client: FlaskClient) -> None:
    answer = client.post("/things", json={"name": "n" * 1000})
    assert answer.status_code == 413
    assert answer.json is not None
    assert "1000 bytes" in answer.json["detail"]


def test_nul_characters_are_mistakes_wherever_they_are(client: FlaskClient) -> None:
    body = {"name": "n", "options": {"a": ["x", "\x00"], "b\x00": 1}}
    answer = client.post("/things", json=body)
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["mistakes"] == [
        "body 'options.a[1]' holds a NUL character. Remove it.",
        "body 'options.b\\u0000' holds a NUL character. Remove it.",
    ]
    assert client.post("/things", json={"name": "a\x00"}).status_code == 422
    assert client.post("/things?names=%00", json={"name": "n"}).status_code == 422


def test_numbers_beyond_the_database_are_mistakes(client: FlaskClient) -> None:
    assert client.post(f"/things?number={2**63 - 1}", json={"name": "n"}).status_code == 200
    assert client.post(f"/things?number={2**63}", json={"name": "n"}).status_code == 422


def test_a_run_id_is_read_in_any_case_and_anything_else_is_404(client: FlaskClient) -> None:
    run_id = "0190F3C1-5A7E-7B2C-9D4E-3F5A6B7C8D9E"
    assert client.get(f"/things/{run_id}").json == {"run_id": run_id.lower()}
    answer = client.get("/things/1")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["mistakes"] == [
        "path 'run_id': Not a run id, which is a UUID such as 0190f3c1-5a7e-7b2c-9d4e-3f5a6b7c8d9e; found '1'."
    ]


def test_an_optional_body_may_be_left_out(client: FlaskClient) -> None:
    assert client.post("/optional").json == {"name": "default"}
    assert client.post("/optional", json={"name": "n"}).json == {"name": "n"}
    assert client.post("/optional", data=b"name", content_type="text/plain").status_code == 415
