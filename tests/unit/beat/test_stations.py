"""Which workers or launcher workers a run needs to go on."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from orchord.errors import LocationNotFoundError
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run, RunStatus
from orchord.storage import WorkerRow
from orchord_beat.stations import StationMap, is_served, manned, stations_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = ExecutionPlan("j", (Step("a", "a"), Step("b", "b", tags={"orchord/isolation": "k8s"})))


def run(executor: str, unit_place: str = "worker") -> Run:
    return Run("r", "j", "home", RunStatus.STARTED, "s", NOW, executor=executor, unit_place=unit_place)


def worker(location: str, *queues: str) -> WorkerRow:
    return WorkerRow("w", "h", 1, location, queues, NOW, NOW)


@pytest.mark.parametrize(
    ("executor", "unit_place", "expected"),
    [
        ("celery_executor", "worker", {"home", "launches.k8s"}),
        ("docker_executor", "worker", {"launches.docker", "launches.k8s"}),
        ("in_process_executor", "worker", {"home"}),
        ("in_process_executor", "process", {"home"}),
        ("multiprocess_executor", "docker", {"launches.docker"}),
    ],
)
def test_a_runs_steps_or_the_run_as_a_unit_say_who_is_needed(
    executor: str, unit_place: str, expected: set[str]
) -> None:
    assert stations_of(run(executor, unit_place), PLAN) == expected


def test_a_plan_without_steps_needs_its_location() -> None:
    assert stations_of(run("docker_executor"), ExecutionPlan("j", ())) == {"home"}


def test_workers_serve_their_location_and_launcher_workers_their_platforms() -> None:
    served = manned([worker("home", "steps.home", "ticks.home"), worker("", "launches.docker"), worker("x", "ticks.x")])
    assert served == {"home", "launches.docker"}
    assert is_served(frozenset({"launches.k8s", "home"}), served)
    assert not is_served(frozenset({"launches.k8s"}), served)


def test_containers_and_retired_workers_serve_nothing() -> None:
    assert manned([worker("home", "$hosting"), worker("home")]) == set()


def test_the_plan_is_read_once_for_runs_of_one_kind_and_a_missing_one_means_the_location() -> None:
    asked: list[str] = []

    def plan_of(one: Run) -> ExecutionPlan:
        asked.append(one.run_id)
        if one.job_snapshot_id == "gone":
            raise LocationNotFoundError("gone")
        return PLAN

    known = StationMap(plan_of)
    for number in range(3):
        known.of(msgspec.structs.replace(run("celery_executor"), run_id=f"r{number}"))
    assert asked == ["r0"]
    assert known.of(msgspec.structs.replace(run("celery_executor"), job_snapshot_id="gone")) == {"home"}
