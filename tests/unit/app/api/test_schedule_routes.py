"""Schedules: listing, reading, turning on and off, looking ahead, trying out, their ticks; daemons."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask.testing import FlaskClient

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus
from orchord.wire import WAKE_CLOCK

SCHEDULES = "/api/v1/schedules"
NIGHTLY = InstigatorKey("shop", InstigatorKind.SCHEDULE, "nightly")


def made_ticks(instance: OrchordInstance, count: int) -> list[Tick]:
    now = utc_now()
    return instance.storage.ticks.make([NewTick(NIGHTLY, f"t{number}", now, 60.0) for number in range(count)])


def test_schedules_are_listed_by_name_with_their_status(client: FlaskClient, body) -> None:
    items = body(client.get(SCHEDULES))["items"]
    assert [(item["name"], item["location"], item["status"], item["is_default"]) for item in items] == [
        ("every_minute", "shop", "RUNNING", True),
        ("nightly", "shop", "STOPPED", True),
    ]
    assert items[0]["next_tick_at"] is not None
    assert items[1]["next_tick_at"] is None
    assert body(client.get(f"{SCHEDULES}?location=shop"))["items"] == items
    assert client.get(f"{SCHEDULES}?location=shap").status_code == 404


def test_a_schedule_is_read_with_its_next_ticks_in_its_own_zone(client: FlaskClient, body) -> None:
    schedule = body(client.get(f"{SCHEDULES}/nightly"))
    assert (schedule["job"], schedule["cron_schedules"], schedule["execution_timezone"]) == (
        "numbers",
        ["0 2 * * *", "30 2 * * *"],
        "Europe/Berlin",
    )
    assert len(schedule["next_ticks"]) == 5
    assert {time[11:16] for time in schedule["next_ticks"]} == {"02:00", "02:30"}
    assert schedule["last_ticks"] == []


def test_a_preview_goes_through_a_change_of_the_clocks(client: FlaskClient, body) -> None:
    answer = client.get(f"{SCHEDULES}/nightly/preview?count=4&after=2027-10-30T20:00:00Z")
    assert body(answer)["items"] == [
        "2027-10-31T02:00:00+01:00",
        "2027-10-31T02:30:00+01:00",
        "2027-11-01T02:00:00+01:00",
        "2027-11-01T02:30:00+01:00",
    ]


@pytest.mark.parametrize("route", ["", "/preview", "/ticks"])
def test_an_unknown_schedule_is_404_with_the_nearest_name(client: FlaskClient, body, route: str) -> None:
    problem = body(client.get(f"{SCHEDULES}/nightli{route}"), 404)
    assert problem["detail"] == "No schedule is called 'nightli'. Did you mean 'nightly'?"


def test_starting_stopping_and_resetting_wake_the_daemon(client: FlaskClient, body, courier: FakeCourier) -> None:
    started = body(client.post(f"{SCHEDULES}/nightly/start"))
    assert (started["status"], started["is_default"]) == ("RUNNING", False)
    assert started["next_tick_at"] == started["next_ticks"][0]
    assert body(client.post(f"{SCHEDULES}/nightly/start")) == started
    stopped = body(client.post(f"{SCHEDULES}/every_minute/stop"))
    assert (stopped["status"], stopped["default_status"]) == ("STOPPED", "RUNNING")
    reset = body(client.post(f"{SCHEDULES}/every_minute/reset"))
    assert (reset["status"], reset["is_default"]) == ("RUNNING", True)
    assert courier.woken == [WAKE_CLOCK] * 3


def test_no_tick_of_the_time_when_it_was_off_is_made_up_for(client: FlaskClient, instance: OrchordInstance) -> None:
    client.post(f"{SCHEDULES}/every_minute/stop")
    before = utc_now()
    client.post(f"{SCHEDULES}/every_minute/reset")
    planned = instance.storage.instigators.state(
        InstigatorKey("shop", InstigatorKind.SCHEDULE, "every_minute")
    ).planned_until
    assert planned is not None
    assert planned >= before


def test_the_same_name_in_two_locations_needs_the_location(client: FlaskClient, body, second_location: None) -> None:
    problem = body(client.post(f"{SCHEDULES}/nightly/start"), 409)
    assert problem["detail"] == "Several locations have a schedule 'nightly': annex, shop. Name the location too."
    assert body(client.post(f"{SCHEDULES}/nightly/start?location=annex"))["location"] == "annex"
    assert body(client.get(f"{SCHEDULES}/nightly?location=shop"))["status"] == "STOPPED"


def test_ticks_are_read_by_pages_newest_first(client: FlaskClient, body, instance: OrchordInstance) -> None:
    ids = [tick.tick_id for tick in made_ticks(instance, 5)]
    seen: list[int] = []
    query = "?limit=2"
    while query:
        page = body(client.get(f"{SCHEDULES}/nightly/ticks{query}"))
        seen += [item["tick_id"] for item in page["items"]]
        query = f"?limit=2&before={page['next_before']}" if page["next_before"] is not None else ""
    assert seen == ids[::-1]
    assert [item["tick_id"] for item in body(client.get("/api/v1/ticks?location=shop"))["items"]] == ids[::-1]
    assert body(client.get("/api/v1/ticks?location=annex"))["items"] == []


def test_ticks_are_filtered_by_status_and_shown_with_what_came_of_them(
    client: FlaskClient, body, instance: OrchordInstance, end_ticks
) -> None:
    skipped, failed, pending = made_ticks(instance, 3)
    end_ticks([skipped], TickStatus.SKIPPED, skip_reason="nothing to do")
    end_ticks([failed], TickStatus.FAILURE, error="it broke", data={"log": [{"level": "INFO", "message": "hm"}]})
    items = body(client.get(f"{SCHEDULES}/nightly/ticks?status=SKIPPED&status=FAILURE"))["items"]
    assert [item["tick_id"] for item in items] == [failed.tick_id, skipped.tick_id]
    assert items[1]["skip_reason"] == "nothing to do"
    assert items[0]["error"]["message"] == "it broke"
    assert items[0]["log"] == [{"level": "INFO", "message": "hm"}]
    assert items[0]["duration_seconds"] >= 0
    read = body(client.get(f"/api/v1/ticks/{pending.tick_id}"))
    assert (read["status"], read["started_at"], read["duration_seconds"]) == ("PENDING", None, None)
    assert body(client.get("/api/v1/ticks/999"), 404)["detail"].startswith("No tick has the id 999.")


@pytest.mark.usefixtures("with_worker")
def test_a_dry_run_answers_what_would_be_requested(client: FlaskClient, body, courier: FakeCourier, end_ticks) -> None:
    request = {"run_key": None, "job_name": "numbers", "run_config": {"ops": {}}, "tags": {}}
    courier.on_ticks = lambda ticks: end_ticks(ticks, TickStatus.SUCCESS, data={"requests": [request], "requested": 1})
    answer = body(client.post(f"{SCHEDULES}/nightly/dry-run", json={"at": "2027-01-02T03:04:05Z"}))
    assert (answer["status"], answer["requests"], answer["run_ids"]) == ("SUCCESS", [request], [])
    assert answer["planned_at"] == "2027-01-02T03:04:05Z"
    assert courier.ticks[0].is_dry_run
    assert body(client.get(f"{SCHEDULES}/nightly/ticks"))["items"] == []
    assert body(client.post(f"{SCHEDULES}/nightly/dry-run"))["status"] == "SUCCESS"
    (upcoming,) = body(client.get(f"{SCHEDULES}/nightly/preview?count=1"))["items"]
    assert courier.ticks[1].planned_at == datetime.fromisoformat(upcoming)


def test_a_dry_run_needs_a_worker(client: FlaskClient, body) -> None:
    problem = body(client.post(f"{SCHEDULES}/nightly/dry-run"), 503)
    assert problem["detail"] == (
        "No worker of location 'shop' is alive to evaluate 'nightly'. Start one with `orchord worker`."
    )


@pytest.mark.usefixtures("with_worker")
def test_a_dry_run_without_a_broker_leaves_no_open_tick(
    client: FlaskClient, body, courier: FakeCourier, instance: OrchordInstance
) -> None:
    courier.is_away = True
    assert body(client.post(f"{SCHEDULES}/nightly/dry-run"), 503)["type"] == "urn:orchord:problem:broker-unavailable"
    assert instance.storage.ticks.open(10, utc_now()) == []


@pytest.mark.usefixtures("with_worker")
def test_a_dry_run_that_nobody_evaluates_ends_when_the_server_does(
    client: FlaskClient, body, holding, instance: OrchordInstance
) -> None:
    holding.stop()
    problem = body(client.post(f"{SCHEDULES}/nightly/dry-run"), 503)
    assert problem["detail"].startswith("No worker has evaluated 'nightly' in 75 s. Look at the log of the workers")
    assert instance.storage.ticks.open(10, utc_now()) == []


@pytest.mark.usefixtures("with_worker")
def test_dry_runs_take_the_places_of_requests_that_wait(client: FlaskClient, body, holding) -> None:
    with holding.place(), holding.place():
        problem = body(client.post(f"{SCHEDULES}/nightly/dry-run"), 503)
    assert problem["type"] == "urn:orchord:problem:too-many-waiting"
