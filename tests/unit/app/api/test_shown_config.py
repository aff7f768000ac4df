"""Values of secret fields never leave the API; what stands beside them does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from orchord.api.shown_config import has_secrets, without_secrets
from orchord.definitions.config.types import (
    ANY,
    ArrayType,
    ConfigField,
    ConfigType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
)
from orchord.execution.masking import MASK
from orchord.instance import OrchordInstance
from orchord.snapshot import LocationSnapshot

TEXT = ScalarType("String")
LOGIN = ShapeType("login", {"user": ConfigField(TEXT), "password": ConfigField(TEXT, is_secret=True)})
GIVEN = {"user": "u", "password": "hunter2"}
SHOWN = {"user": "u", "password": MASK}


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (LOGIN, GIVEN, SHOWN),
        (LOGIN, {"password": {"env": "PASSWORD"}}, {"password": {"env": "PASSWORD"}}),
        (LOGIN, {"password": None}, {"password": None}),
        (NoneableType(LOGIN), GIVEN, SHOWN),
        (NoneableType(LOGIN), None, None),
        (ArrayType(LOGIN), [GIVEN, GIVEN], [SHOWN, SHOWN]),
        (MapType(TEXT, LOGIN), {"a": GIVEN}, {"a": SHOWN}),
        (UnionType((TEXT, LOGIN)), GIVEN, SHOWN),
        (UnionType((TEXT, LOGIN)), "text", "text"),
        (SelectorType({"db": ConfigField(LOGIN)}), {"db": GIVEN}, {"db": SHOWN}),
        (SelectorType({"db": ConfigField(LOGIN)}, "kind"), {"kind": "db", **GIVEN}, {"kind": "db", **SHOWN}),
        (SelectorType({"db": ConfigField(LOGIN, is_secret=True)}, "kind"), {"kind": "db", **GIVEN}, {"kind": "db"}),
        (ShapeType("x", {"a": ConfigField(ANY, is_secret=True)}), {"a": {"b": 1}}, {"a": MASK}),
        (ShapeType("x", {"a": ConfigField(LOGIN)}, permissive=True), {"b": 1, "a": GIVEN}, {"b": 1, "a": SHOWN}),
        (LOGIN, "not a dict", "not a dict"),
    ],
)
def test_secrets_are_masked_wherever_they_stand(type_: ConfigType, value: Any, expected: Any) -> None:
    assert without_secrets(type_, value) == expected
    assert has_secrets(type_)


def test_a_type_without_secrets_is_known_as_such() -> None:
    assert not has_secrets(ShapeType("x", {"a": ConfigField(UnionType((TEXT, ArrayType(TEXT))))}))


def test_no_answer_of_the_api_shows_a_secret(client: FlaskClient, instance: OrchordInstance) -> None:
    (shop,) = (row.snapshot for row in instance.storage.locations.all())
    assert shop is not None
    ops = ShapeType("ops", {"load": ConfigField(ShapeType("load", {"config": ConfigField(LOGIN)}))})
    default = {"ops": {"load": {"config": {"user": "u", "password": "default-secret"}}}}
    job = msgspec.structs.replace(
        shop.job_by_name["numbers"],
        name="secretive",
        config_type=ShapeType("job", {"ops": ConfigField(ops, is_required=False)}),
        default_config=default,
    )
    instance.storage.locations.put(LocationSnapshot("vault", jobs=(job,)))
    config = {"ops": {"load": {"config": GIVEN}}}
    launched = client.post("/api/v1/runs?wait_seconds=5", json={"job": "secretive", "run_config": config})
    assert launched.status_code == 201
    assert launched.json is not None
    run_id = launched.json["run_id"]
    wrong = {"ops": {"load": {"config": {"user": 1, "password": ["hunter2"]}}}}
    answers = [
        launched,
        client.get(f"/api/v1/runs/{run_id}"),
        client.get("/api/v1/runs"),
        client.get(f"/api/v1/runs/{run_id}/wait"),
        client.get("/api/v1/jobs/secretive"),
        client.post(f"/api/v1/runs/{run_id}/reexecute"),
        client.post("/api/v1/runs", json={"job": "secretive", "run_config": wrong}),
    ]
    for answer in answers:
        assert "hunter2" not in answer.text
        assert "default-secret" not in answer.text
    assert launched.json["run_config"] == {"ops": {"load": {"config": SHOWN}}}
    assert instance.storage.runs.get(run_id).run_config == config
