"""Pools over REST: listing, reading with holders and waiters, limits, freeing slots of the dead; why things wait."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage import Claim
from orchord.testing.fake_courier import FakeCourier
from orchord.wire import WAKE_QUEUE

POOLS = "/api/v1/pools"


def claimed(instance: OrchordInstance, pool: str = "db", at: datetime | None = None) -> str:
    """Make a run that claims a step of a pool; return its id."""
    job = instance.storage.locations.all()[0].snapshot.job_by_name["numbers"]
    run = Run(
        run_id=new_run_id(), job_name="numbers", location="shop", status=RunStatus.STARTING,
        job_snapshot_id=job.snapshot_id, created_at=utc_now(), pools=(pool,),
    )  # fmt: skip
    instance.storage.runs.create(run)
    claim = Claim(run.run_id, "load", 1, run.run_id, "w", at or utc_now(), pool=pool)
    instance.storage.attempts.claim(claim)
    return run.run_id


def test_a_limit_is_set_shown_and_deleted_and_the_daemon_is_woken(
    client: FlaskClient, body, courier: FakeCourier
) -> None:
    assert body(client.get(POOLS))["items"] == []
    pool = body(client.put(f"{POOLS}/db", json={"limit": 2}))
    assert (pool["name"], pool["limit"], pool["is_default"]) == ("db", 2, False)
    assert WAKE_QUEUE in courier.woken
    assert [item["name"] for item in body(client.get(POOLS))["items"]] == ["db"]
    assert client.delete(f"{POOLS}/db").status_code == 204
    answer = client.delete(f"{POOLS}/db")
    assert answer.status_code == 404
    assert answer.json["detail"] == "Pool 'db' has no limit of its own that could be deleted."


@pytest.mark.parametrize("limit", [-1, 2**31, "many", "3", True, 1.5, 1e300, None])
def test_a_limit_that_is_none_is_refused(client: FlaskClient, limit: object) -> None:
    assert client.put(f"{POOLS}/db", json={"limit": limit}).status_code == 422


def test_a_pool_with_slashes_in_its_name_is_reached(client: FlaskClient, body) -> None:
    assert body(client.put(f"{POOLS}/team/db", json={"limit": 1}))["name"] == "team/db"
    assert body(client.post(f"{POOLS}/team/db/free"))["freed"] == []


def test_holders_and_waiters_are_shown_and_a_waiting_step_says_so(
    client: FlaskClient, body, instance: OrchordInstance
) -> None:
    instance.storage.pools.set_limit("db", 1)
    first, second = claimed(instance), claimed(instance)
    pool = body(client.get(f"{POOLS}/db"))
    assert (pool["running"], pool["waiting"]) == (1, 1)
    assert [(item["run_id"], item["step_key"]) for item in pool["holders"]] == [(first, "load")]
    assert [(item["run_id"], item["called_at"]) for item in pool["waiters"]] == [(second, None)]
    (step, *others) = body(client.get(f"/api/v1/runs/{second}"))["steps"]
    assert (step["step_key"], step["status"], step["waits_for"]) == ("load", "PENDING", "A free slot of pool 'db'.")
    assert {other["waits_for"] for other in others} == {None}


def test_a_pool_that_nobody_knows_is_told_with_the_nearest_name(client: FlaskClient) -> None:
    client.put(f"{POOLS}/database", json={"limit": 1})
    answer = client.get(f"{POOLS}/databse")
    assert answer.status_code == 404
    assert answer.json["detail"] == "No pool is called 'databse'. Did you mean 'database'?"


def test_only_slots_of_the_dead_are_freed(client: FlaskClient, body, instance: OrchordInstance) -> None:
    dead = claimed(instance, at=utc_now() - timedelta(minutes=1))
    living = claimed(instance)
    assert [item["run_id"] for item in body(client.post(f"{POOLS}/db/free"))["freed"]] == [dead]
    assert instance.storage.attempts.of_run(dead)[0].status is AttemptStatus.LOST
    assert instance.storage.attempts.of_run(living)[0].status is AttemptStatus.RUNNING
