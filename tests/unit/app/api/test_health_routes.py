"""Liveness asks nothing; readiness tells all that is wrong."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from orchord.errors import BrokerUnavailableError, StorageUnavailableError
from orchord.instance import OrchordInstance


def test_the_process_is_alive(client: FlaskClient) -> None:
    answer = client.get("/livez")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["status"] == "alive"


@pytest.mark.usefixtures("with_worker")
def test_ready_when_database_broker_and_workers_are_there(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "checks": [
            {"name": "database", "is_ok": True, "detail": "reachable"},
            {"name": "broker", "is_ok": True, "detail": "reachable"},
            {"name": "workers of shop", "is_ok": True, "detail": "1 alive"},
        ],
    }


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
