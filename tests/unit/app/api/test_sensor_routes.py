"""Sensors: listing, reading, turning on and off, cursors, pushes, and trying out."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from orchord.instance import OrchordInstance
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, TickStatus

SENSORS = "/api/v1/sensors"


def test_sensors_are_listed_by_name_with_their_kind(client: FlaskClient, body) -> None:
    items = body(client.get(SENSORS))["items"]
    assert [(item["name"], item["kind"], item["status"], item["minimum_interval_seconds"]) for item in items] == [
        ("files", "STANDARD", "STOPPED", 5.0),
        ("hooks", "STANDARD", "RUNNING", 30.0),
        ("on_failure", "RUN_STATUS", "RUNNING", None),
    ]
    assert items[2]["run_status"] == "FAILURE"


def test_a_sensor_is_read_started_stopped_and_reset(client: FlaskClient, body, courier: FakeCourier) -> None:
    assert body(client.get(f"{SENSORS}/files"))["status"] == "STOPPED"
    assert body(client.post(f"{SENSORS}/files/start"))["status"] == "RUNNING"
    assert body(client.post(f"{SENSORS}/files/stop"))["is_default"] is False
    assert body(client.post(f"{SENSORS}/files/reset"))["is_default"] is True
    assert len(courier.woken) == 3
    assert body(client.get(f"{SENSORS}/fils"), 404)["detail"] == "No sensor is called 'fils'. Did you mean 'files'?"


def test_a_cursor_is_set_and_taken_away(client: FlaskClient, body) -> None:
    assert body(client.put(f"{SENSORS}/files/cursor", json={"cursor": "17"}))["cursor"] == "17"
    assert body(client.get(f"{SENSORS}/files"))["cursor"] == "17"
    assert body(client.put(f"{SENSORS}/files/cursor", json={"cursor": None}))["cursor"] is None
    problem = body(client.put(f"{SENSORS}/files/cursor", json={}), 422)
    assert problem["mistakes"] == ["body 'cursor' is required."]


def test_a_push_is_recorded_and_sent_at_once(client: FlaskClient, body, courier: FakeCourier) -> None:
    answer = client.post(f"{SENSORS}/hooks/tick", json={"file": "orders.csv", "rows": [1, {"a": None}]})
    tick = body(answer, 202)
    assert tick["status"] == "PENDING"
    assert tick["payload"] == {"file": "orders.csv", "rows": [1, {"a": None}]}
    assert [sent.tick_id for sent in courier.ticks] == [tick["tick_id"]]
    assert courier.ticks[0].lane == "sensor:hooks"
    assert body(client.get(answer.headers["Location"])) == tick
    assert [item["tick_id"] for item in body(client.get(f"{SENSORS}/hooks"))["last_ticks"]] == [tick["tick_id"]]


def test_a_push_may_be_empty(client: FlaskClient, body) -> None:
    assert body(client.post(f"{SENSORS}/hooks/tick"), 202)["payload"] == {}


def test_the_same_key_is_the_same_push(client: FlaskClient, body, courier: FakeCourier) -> None:
    def push(status: int, **payload: int):
        headers = {"Idempotency-Key": "order-1"}
        return body(client.post(f"{SENSORS}/hooks/tick", json=payload, headers=headers), status)

    first = push(202, a=1)
    assert push(200, a=1) == first
    assert push(409, a=2)["detail"] == ("The key 'order-1' was used for another push to sensor 'hooks'. Use a new key.")
    assert len(courier.ticks) == 1


@pytest.mark.parametrize(
    ("sensor", "detail"),
    [
        ("files", "Sensor 'files' is off. Start it before anything is pushed to it."),
        ("on_failure", "Sensor 'on_failure' is evaluated when a run changes its status, and takes no pushes."),
    ],
)
def test_a_push_to_a_sensor_that_takes_none_is_409(client: FlaskClient, body, sensor: str, detail: str) -> None:
    assert body(client.post(f"{SENSORS}/{sensor}/tick", json={}), 409)["detail"] == detail


def test_a_push_without_a_broker_is_recorded_for_the_daemon(client: FlaskClient, body, courier: FakeCourier) -> None:
    courier.is_away = True
    assert body(client.post(f"{SENSORS}/hooks/tick", json={"a": 1}), 202)["status"] == "PENDING"


def test_a_push_that_is_too_large_or_no_object_is_refused(client: FlaskClient, body) -> None:
    assert body(client.post(f"{SENSORS}/hooks/tick", json={"a": "x" * 999_980}), 202)
    problem = body(client.post(f"{SENSORS}/hooks/tick", json={"a": "x" * 1_000_000}), 413)
    assert problem["detail"].startswith("The payload has 1000008 bytes as JSON, and at most 1000000 are taken.")
    assert body(client.post(f"{SENSORS}/hooks/tick", json=[1]), 422)["mistakes"] == [
        "the body: expected a JSON object; found [1]."
    ]


@pytest.mark.usefixtures("with_worker")
def test_a_dry_run_takes_a_payload_and_shows_errors_of_user_code(
    client: FlaskClient, body, courier: FakeCourier, end_ticks, instance: OrchordInstance
) -> None:
    courier.on_ticks = lambda ticks: end_ticks(ticks, TickStatus.FAILURE, error="no such file")
    answer = body(client.post(f"{SENSORS}/files/dry-run", json={"payload": {"file": "x"}}))
    assert (answer["status"], answer["requests"], answer["payload"]) == ("FAILURE", [], {"file": "x"})
    assert answer["error"]["message"] == "no such file"
    state = instance.storage.instigators.state(InstigatorKey("shop", InstigatorKind.SENSOR, "files"))
    assert state.last_tick_ended_at is None
    problem = body(client.post(f"{SENSORS}/on_failure/dry-run"), 409)
    assert problem["detail"] == (
        "Sensor 'on_failure' is evaluated for a run that changed its status: there is none here."
    )
