"""A worker finds attempts that its dead pool children hold, and reports each child once a look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.runs import Run, RunStatus, new_run_id
from orchord.storage.values import Claim
from orchord_workers import orphans
from orchord_workers.orphans import OrphanReports


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[OrchordInstance]:
    with OrchordInstance.ephemeral() as made:
        yield made


def a_claimed_attempt(instance: OrchordInstance, process_id: int, age: timedelta) -> str:
    run = Run(new_run_id(), "a_job", "here", RunStatus.STARTING, "snapshot", utc_now())
    instance.storage.runs.create(run, [])
    claim = Claim(run.run_id, "a", 1, f"token{process_id}", "w1", utc_now() - age, process_id=process_id)
    assert instance.storage.attempts.claim(claim).claimed
    return run.run_id


def test_only_old_attempts_of_dead_children_are_reported(
    instance: OrchordInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = a_claimed_attempt(instance, 101, timedelta(seconds=60))
    a_claimed_attempt(instance, 102, timedelta(seconds=60))
    a_claimed_attempt(instance, 103, timedelta(seconds=1))
    told: list[tuple[int, str]] = []
    reports = OrphanReports(instance, "w1", lambda: {102}, lambda process_id, run_id: told.append((process_id, run_id)))
    assert reports.look() == 0, "it looked before it was time"
    monkeypatch.setattr(time, "monotonic", lambda: reports._next_look + orphans.LOOK_SECONDS)
    assert reports.look() == 1
    assert told == [(101, dead)]
