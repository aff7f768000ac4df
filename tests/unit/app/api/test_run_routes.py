"""Runs over the API: launching once, waiting, listing by pages, reading, cancelling, executing again, deleting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchord.api.state import Holding
from orchord.errors import BrokerUnavailableError
from orchord.events import Event, EventType, utc_now
from orchord.instance import OrchordInstance
from orchord.plan.gates import executor_config, gates_of
from orchord.plan.model import ExecutionPlan
from orchord.runs import RunStatus, new_run_id
from orchord.storage import Claim
from orchord.testing import eventually

RUNS = "/api/v1/runs"


def body(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json


def launched(client: FlaskClient, query: str = "", **fields: object) -> Any:
    return body(client.post(f"{RUNS}{query}", json={"job": "numbers", **fields}), 201)


def test_a_run_is_launched_and_found_where_the_answer_says(client: FlaskClient) -> None:
    answer = client.post(RUNS, json={"job": "numbers", "tags": {"a": "b"}})
    run = body(answer, 201)
    assert answer.headers["Location"] == f"{RUNS}/{run['run_id']}"
    assert (run["job"], run["location"], run["executor"]) == ("numbers", "shop", "celery_executor")
    assert run["run_config"] == {"ops": {"load": {"config": {"rows": 3}}}}
    assert run["tags"]["a"] == "b"
    read = body(client.get(answer.headers["Location"]))
    assert read["status"] == "SUCCESS"


def test_waiting_gives_the_run_as_it_ended(client: FlaskClient) -> None:
    run = launched(client, "?wait_seconds=10")
    assert run["status"] == "SUCCESS"
    assert run["started_at"] <= run["ended_at"]
    assert run["duration_seconds"] >= 0


def test_waiting_ends_when_the_time_is_up(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    run = launched(client_of(open_instance(unfinished=True)), "?wait_seconds=0.05")
    assert run["status"] == "STARTING"


def test_waiting_ends_with_the_run(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    instance = open_instance(unfinished=True)
    client = client_of(instance)
    run_id = launched(client)["run_id"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(body(client.get(f"{RUNS}/{run_id}/wait?seconds=20"))))
    waiting.start()
    instance.cancel(run_id)
    waiting.join(10)
    assert answers[0]["status"] == "CANCELED"


def test_waiting_ends_when_the_server_stops(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    client = client_of(open_instance(unfinished=True))
    client.application.extensions["orchord"].holding.stop()
    assert launched(client, "?wait_seconds=60")["status"] == "STARTING"


def test_a_run_is_launched_without_waiting_when_too_many_wait(client: FlaskClient, holding: Holding) -> None:
    assert holding.take()
    assert holding.take()
    run = launched(client, "?wait_seconds=60")
    assert run["status"] == "STARTING"
    assert body(client.get(f"{RUNS}/{run['run_id']}/wait?seconds=60"))["status"] == "SUCCESS"


def test_the_same_idempotency_key_gives_the_same_run(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "invoice-1"}
    first = body(client.post(RUNS, json={"job": "numbers"}, headers=headers), 201)
    again = client.post(f"{RUNS}?wait_seconds=5", json={"job": "numbers"}, headers=headers)
    assert body(again, 200)["run_id"] == first["run_id"]
    assert again.headers["Location"] == f"{RUNS}/{first['run_id']}"
    other = client.post(RUNS, json={"job": "assets"}, headers=headers)
    assert other.status_code == 409
    assert len(body(client.get(RUNS))["items"]) == 1


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"job": "number"}, 404, "job-not-found"),
        ({"job": "numbers", "location": "nowhere"}, 404, "location-not-found"),
        ({"job": "numbers", "run_config": {"ops": {"lod": {}}}}, 422, "invalid-run-config"),
        ({"job": "numbers", "op_selection": ["nothing"]}, 422, "invalid-selection"),
        ({"job": "assets", "asset_selection": ["nothing"]}, 422, "invalid-selection"),
        ({"job": "numbers", "run_config": []}, 422, "invalid-request"),
        ({"job": "numbers", "tags": {"a": 1}}, 422, "invalid-request"),
        ({"job": "numbers", "asset_selection": "orders"}, 422, "invalid-request"),
        ({"job": "numbers", "partition": "2026"}, 422, "invalid-request"),
        ({"job": "numbers", "run_config": {"ops": {"load": {"config": {"rows": "\x00"}}}}}, 422, "invalid-request"),
    ],
)
def test_what_cannot_run_is_refused(client: FlaskClient, fields: dict[str, object], status: int, kind: str) -> None:
    problem = body(client.post(RUNS, json=fields), status)
    assert problem["type"] == f"urn:orchord:problem:{kind}"
    assert problem["mistakes"]
    assert body(client.get(RUNS))["items"] == []


def test_every_mistake_of_a_run_config_is_told(client: FlaskClient) -> None:
    config = {"ops": {"load": {"config": {"rows": "many", "row": 1}}, "cleen": {}}}
    problem = body(client.post(RUNS, json={"job": "numbers", "run_config": config}), 422)
    assert len(problem["mistakes"]) == 3


def test_a_run_is_created_though_the_broker_is_away(
    client: FlaskClient, instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(context: object) -> None:
        raise BrokerUnavailableError("The broker at redis:6379 cannot be reached.")

    monkeypatch.setattr(instance.run_launcher, "launch_run", away)
    answer = client.post(f"{RUNS}?wait_seconds=1", json={"job": "numbers"})
    assert body(answer, 201)["status"] == "STARTING"


def test_part_of_a_job_runs(client: FlaskClient) -> None:
    run = launched(client, "?wait_seconds=5", op_selection=["*clean"])
    assert run["op_selection"] == ["load", "clean"]
    steps = body(client.get(f"{RUNS}/{run['run_id']}"))["steps"]
    assert [one["step_key"] for one in steps] == ["load", "clean"]
    plan = body(client.get(f"{RUNS}/{run['run_id']}/plan"))
    assert [(one["step_key"], one["is_selected"]) for one in plan["steps"]] == [
        ("load", True),
        ("clean", True),
        ("report", False),
    ]


def test_a_run_is_read_with_its_steps(client: FlaskClient, instance: OrchordInstance) -> None:
    run_id = launched(client, "?wait_seconds=5")["run_id"]
    said = {"output_name": "result", "metadata": {"rows": {"type": "int", "value": 3}}}
    event = Event(EventType.STEP_OUTPUT, utc_now(), step_key="load", data=said)
    instance.storage.attempts.append_events(run_id, [event])
    load, clean, report = body(client.get(f"{RUNS}/{run_id}"))["steps"]
    assert load["status"] == clean["status"] == report["status"] == "SUCCESS"
    assert load["outputs"] == [{"name": "result", "asset_key": None, "metadata": said["metadata"]}]
    assert load["attempts"][0]["attempt"] == 1
    assert load["duration_seconds"] >= 0
    assert load["error"] is None


def test_a_failed_step_shows_its_error_and_what_it_held_back(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    client = client_of(open_instance(failing_steps=["clean"]))
    run = launched(client, "?wait_seconds=5")
    assert run["status"] == "FAILURE"
    steps = body(client.get(f"{RUNS}/{run['run_id']}"))["steps"]
    assert [one["status"] for one in steps] == ["SUCCESS", "FAILURE", "UPSTREAM_FAILED"]
    assert steps[1]["error"]["message"] == "Step 'clean' was told to fail."


def test_a_run_goes_on_from_failure(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    first = launched(client_of(open_instance(failing_steps=["clean"])), "?wait_seconds=5")
    client = client_of(open_instance())
    again = client.post(f"{RUNS}/{first['run_id']}/reexecute", json={"strategy": "FROM_FAILURE", "tags": {"x": "y"}})
    run = body(again, 201)
    assert again.headers["Location"] == f"{RUNS}/{run['run_id']}"
    assert (run["parent_run_id"], run["root_run_id"], run["tags"]["x"]) == (first["run_id"], first["run_id"], "y")
    steps = body(client.get(f"{RUNS}/{run['run_id']}"))["steps"]
    assert [(one["step_key"], one["status"], one["inherited_from"]) for one in steps] == [
        ("load", "INHERITED", first["run_id"]),
        ("clean", "SUCCESS", None),
        ("report", "SUCCESS", None),
    ]
    assert [item["run_id"] for item in body(client.get(f"{RUNS}?parent={first['run_id']}"))["items"]] == [run["run_id"]]


def test_a_run_is_executed_again_without_a_body(client: FlaskClient) -> None:
    first = launched(client)["run_id"]
    assert body(client.post(f"{RUNS}/{first}/reexecute"), 201)["parent_run_id"] == first
    assert client.post(f"{RUNS}/{first}/reexecute", json={"strategy": "SOME"}).status_code == 422


def test_runs_are_listed_by_pages_newest_first(client: FlaskClient) -> None:
    ids = [launched(client)["run_id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = body(client.get(f"{RUNS}?limit=2" + (f"&cursor={cursor}" if cursor else "")))
        seen += [item["run_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]


def test_runs_are_filtered(client: FlaskClient) -> None:
    one = launched(client, tags={"team": "a", "x": "1=2"})["run_id"]
    two = launched(client, job="assets", tags={"team": "a"})["run_id"]

    def found(query: str) -> list[str]:
        return [item["run_id"] for item in body(client.get(f"{RUNS}?{query}"))["items"]]

    assert found("job=numbers") == [one]
    assert found("tag=team=a") == [two, one]
    assert found("tag=team=a&tag=x=1%3D2") == [one]
    assert found("status=SUCCESS&status=FAILURE") == [two, one]
    assert found("status=FAILURE") == []
    assert found("location=elsewhere") == []
    assert found("created_before=2000-01-01T00:00:00Z") == []
    assert found("created_after=2000-01-01T00:00:00%2B02:00") == [two, one]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=1",
        "status=DONE",
        "tag=team",
        "tag==a",
        "created_after=2026-01-01",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "offset=3",
        "job=%00",
        f"job={'x' * 256}",
        "parent=1",
    ],
)
def test_a_wrong_filter_is_422(client: FlaskClient, query: str) -> None:
    assert client.get(f"{RUNS}?{query}").status_code == 422


@pytest.mark.parametrize("cursor", ["019a0000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_a_cursor_of_no_run_is_answered(client: FlaskClient, cursor: str) -> None:
    assert client.get(f"{RUNS}?cursor={cursor}").status_code in {200, 404}


@pytest.mark.parametrize("path", ["", "/plan", "/wait", "/events", "/events?follow=1", "/logs/load"])
def test_an_unknown_run_is_404(client: FlaskClient, path: str) -> None:
    problem = body(client.get(f"{RUNS}/{new_run_id()}{path}"), 404)
    assert problem["type"] == "urn:orchord:problem:run-not-found"


@pytest.mark.parametrize("path", ["/cancel", "/reexecute"])
def test_an_unknown_run_cannot_be_changed(client: FlaskClient, path: str) -> None:
    assert client.post(f"{RUNS}/{new_run_id()}{path}").status_code == 404


def test_a_run_is_cancelled_once(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    client = client_of(open_instance(unfinished=True))
    run_id = launched(client)["run_id"]
    assert body(client.post(f"{RUNS}/{run_id}/cancel"))["status"] == "CANCELED"
    problem = body(client.post(f"{RUNS}/{run_id}/cancel"), 409)
    assert problem["type"] == "urn:orchord:problem:conflict"


def test_only_a_run_that_has_ended_is_deleted(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    client = client_of(open_instance(unfinished=True))
    run_id = launched(client)["run_id"]
    assert client.delete(f"{RUNS}/{run_id}").status_code == 409
    client.post(f"{RUNS}/{run_id}/cancel")
    answer = client.delete(f"{RUNS}/{run_id}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.delete(f"{RUNS}/{run_id}").status_code == 404


def test_a_waiting_request_gives_its_place_back(client: FlaskClient, holding: Holding) -> None:
    for _ in range(5):
        launched(client, "?wait_seconds=5")
    assert eventually(holding.take)
    assert holding.take()
    assert not holding.take()


def test_the_status_of_a_run_is_one_of_the_documented(client: FlaskClient) -> None:
    assert RunStatus(launched(client)["status"])


def test_a_run_is_shown_while_its_steps_are_reserved_and_wait_for_its_own_limit(
    open_instance: Callable[..., OrchordInstance], client_of: Callable[[OrchordInstance], FlaskClient]
) -> None:
    instance = open_instance(unfinished=True)
    client = client_of(instance)
    run_id = launched(client, run_config={"execution": {"config": {"max_concurrent": 1}}})["run_id"]
    run = instance.storage.runs.get(run_id)
    gates = gates_of(executor_config(run), ExecutionPlan("numbers", ()))
    for step_key, is_let in (("load", True), ("clean", False)):
        claim = Claim(run_id=run_id, step_key=step_key, attempt=1, token=step_key, worker_id="launcher", at=utc_now())
        assert instance.storage.launches.reserve(claim, gates).claimed is is_let
    steps = {step["step_key"]: step for step in body(client.get(f"{RUNS}/{run_id}"))["steps"]}
    assert (steps["load"]["status"], steps["load"]["waits_for"]) == ("RUNNING", None)
    assert steps["load"]["attempts"][0]["worker_id"] == "launcher"
    waits_for = "An end of other steps: the run's executor lets only so many run at once."
    assert (steps["clean"]["status"], steps["clean"]["waits_for"]) == ("PENDING", waits_for)
