"""Liveness asks nothing; readiness tells all that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchord.errors import BrokerUnavailableError, StorageUnavailableError
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.storage.values import DaemonRow


def test_the_process_is_alive(client: FlaskClient) -> None:
    answer = client.get("/livez")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["status"] == "alive"


@pytest.fixture
def report_daemon(instance: OrchordInstance) -> Callable[..., None]:
    """Reports a daemon as it does itself."""

    def report(daemon_id: str, *, silent_seconds: float = 0, **fields: Any) -> None:
        seen = utc_now() - timedelta(seconds=silent_seconds)
        instance.storage.daemons.beat(DaemonRow(daemon_id, "host", 1, seen, seen, **fields))

    return report


@pytest.mark.usefixtures("with_worker")
def test_ready_when_database_broker_workers_and_a_daemon_are_there(client: FlaskClient, report_daemon) -> None:
    report_daemon("d1", is_leader=True)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "checks": [
            {"name": "database", "is_ok": True, "status": "ok", "detail": "reachable"},
            {"name": "broker", "is_ok": True, "status": "ok", "detail": "reachable"},
            {"name": "workers of shop", "is_ok": True, "status": "ok", "detail": "1 alive"},
            {"name": "tick workers of shop", "is_ok": True, "status": "ok", "detail": "1 alive"},
            {"name": "daemons", "is_ok": True, "status": "ok", "detail": "1 alive"},
        ],
    }


@pytest.mark.usefixtures("with_worker")
@pytest.mark.parametrize(
    ("silent_seconds", "leads", "errors", "detail"),
    [
        (None, False, {}, "none alive; start one with `orchord daemon`"),
        (60, True, {}, "none alive; start one with `orchord daemon`"),
        (0, False, {}, "1 alive, none leads yet"),
        (0, True, {"clock": "ValueError: no", "queue": "…"}, "1 alive, errors in clock, queue"),
    ],
)
def test_ready_with_a_warning_when_no_daemon_leads_or_one_fails(
    client: FlaskClient, report_daemon, silent_seconds: float | None, leads: bool, errors: dict[str, str], detail: str
) -> None:
    if silent_seconds is not None:
        report_daemon("d1", silent_seconds=silent_seconds, is_leader=leads, errors=errors)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["checks"][-1] == {"name": "daemons", "is_ok": False, "status": "warning", "detail": detail}


@pytest.mark.usefixtures("with_worker")
def test_ready_with_a_warning_when_nobody_evaluates_schedules(client: FlaskClient, instance: OrchordInstance) -> None:
    instance.storage.workers.remove("t1")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["checks"][-2] == {
        "name": "tick workers of shop",
        "is_ok": False,
        "status": "warning",
        "detail": "none alive; `orchord worker` starts one",
    }


def test_daemons_are_listed_the_leader_first(client: FlaskClient, report_daemon) -> None:
    report_daemon("gone", silent_seconds=60, is_leader=True)
    report_daemon("second")
    report_daemon("zeus", is_leader=True, errors={"clock": "ValueError: no"})
    answer = client.get("/api/v1/daemons")
    assert answer.json is not None
    assert [(item["daemon_id"], item["is_alive"], item["is_leader"]) for item in answer.json["items"]] == [
        ("zeus", True, True),
        ("second", True, False),
        ("gone", False, False),
    ]
    assert answer.json["items"][0]["errors"] == {"clock": "ValueError: no"}


def test_not_ready_without_workers(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json is not None
    assert answer.json["mistakes"] == ["workers of shop: none alive; start one with `orchord worker`"]


def test_not_ready_before_any_location_is_known(client: FlaskClient, instance: OrchordInstance) -> None:
    instance.storage.locations.remove("shop")
    answer = client.get("/readyz")
    assert answer.json is not None
    assert answer.json["mistakes"] == ["workers: no worker has published a code location yet"]


@pytest.mark.usefixtures("with_worker")
def test_every_check_that_fails_is_told(
    client: FlaskClient, instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_database() -> None:
        raise StorageUnavailableError("No database at db:5432.")

    def no_broker() -> None:
        raise BrokerUnavailableError("No broker at redis:6379.")

    monkeypatch.setattr(instance.storage, "ping", no_database)
    monkeypatch.setattr(instance.run_launcher, "check", no_broker)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["mistakes"] == ["database: No database at db:5432.", "broker: No broker at redis:6379."]
    assert [check["is_ok"] for check in answer.json["checks"]] == [False, False]
