"""Locations and jobs are read from snapshots."""

from __future__ import annotations

from typing import Any

import msgspec
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchord.events import ErrorInfo
from orchord.instance import OrchordInstance
from orchord.snapshot import LocationSnapshot


def body(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json


def test_locations_are_listed_with_their_workers(client: FlaskClient) -> None:
    (one,) = body(client.get("/api/v1/locations"))["items"]
    assert (one["name"], one["job_count"], one["asset_count"], one["workers_alive"]) == ("shop", 2, 4, 0)
    assert one["error"] is None


def test_a_location_is_read_with_what_it_defines(client: FlaskClient) -> None:
    one = body(client.get("/api/v1/locations/shop"))
    assert one["jobs"] == ["numbers", "assets"]
    assert one["assets"] == ["raw/orders", "orders", "graph", "a/materializations"]


def test_a_location_that_failed_to_load_says_why(client: FlaskClient, instance: OrchordInstance) -> None:
    instance.storage.locations.put_error("broken", ErrorInfo("ImportError", "no pandas", "Traceback: no pandas\n"))
    one = body(client.get("/api/v1/locations/broken"))
    assert one["error"] == "Traceback: no pandas\n"
    assert one["jobs"] == []


def test_an_unknown_location_is_404_with_the_nearest_name(client: FlaskClient) -> None:
    answer = client.get("/api/v1/locations/shopp")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["detail"] == "No code location is called 'shopp'. Did you mean 'shop'?"


def test_jobs_are_listed(client: FlaskClient) -> None:
    items = body(client.get("/api/v1/jobs"))["items"]
    assert [(item["name"], item["step_count"], item["is_asset_job"]) for item in items] == [
        ("assets", 2, True),
        ("numbers", 3, False),
    ]
    assert body(client.get("/api/v1/jobs?location=shop"))["items"] == items
    assert client.get("/api/v1/jobs?location=other").status_code == 404


def test_a_job_is_read_with_graph_plan_and_config(client: FlaskClient) -> None:
    job = body(client.get("/api/v1/jobs/numbers"))
    assert job["default_config"] == {"ops": {"load": {"config": {"rows": 3}}}}
    assert job["config_schema"]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert job["misfits"] == []
    assert [node["name"] for node in job["graph"]["nodes"]] == ["load", "clean"]
    assert job["graph"]["edges"] == [
        {"from_node": "load", "from_output": "result", "to_node": "clean", "to_input": "load"}
    ]
    assert [(one["step_key"], one["upstream"]) for one in job["plan"]["steps"]] == [
        ("load", []),
        ("clean", ["load"]),
        ("report", ["clean"]),
    ]
    assert len(job["plan"]["edges"]) == 2


def test_an_unknown_job_is_404_with_the_nearest_name(client: FlaskClient) -> None:
    answer = client.get("/api/v1/jobs/number")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["detail"] == "No job is called 'number'. Did you mean 'numbers'?"


def test_a_job_of_two_locations_needs_the_location(client: FlaskClient, instance: OrchordInstance) -> None:
    shop = instance.storage.locations.all()[0].snapshot
    assert shop is not None
    instance.storage.locations.put(msgspec.structs.replace(shop, name="other"))
    assert client.get("/api/v1/jobs/numbers").status_code == 409
    assert body(client.get("/api/v1/jobs/numbers?location=other"))["location"] == "other"


def test_a_location_without_anything_is_shown(client: FlaskClient, instance: OrchordInstance) -> None:
    instance.storage.locations.put(LocationSnapshot("empty"))
    assert body(client.get("/api/v1/jobs?location=empty"))["items"] == []
