"""The judge of chaos sees what it is there to see: a run lost, wrong or doubled, a slot that leaks, a missed tick.

Without this, a table of zeros would say nothing. The rows are written by hand into a database of the test's own.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
import pytest

HERE = Path(__file__).parent
JOB = "diamond_2"
BEGAN = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def harness() -> Iterator[ModuleType]:
    """The judge's module, with those that it stands on; their plain names are forgotten afterwards."""
    sys.path.insert(0, str(HERE))
    before = set(sys.modules)
    try:
        yield importlib.import_module("verdict")
    finally:
        sys.path.remove(str(HERE))
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == HERE:
                del sys.modules[name]


class Case:
    """A database in which one run of ``JOB`` has ended as its plan says; ``do`` spoils it."""

    def __init__(self, harness: ModuleType, url: str, home: Path) -> None:
        self.harness, self.home, self.journal = harness, home, home / "journal.log"
        self._url = url.replace("+psycopg2", "")
        self.launched = sys.modules["load"].Launched("key", JOB, run_id="r", attempts=1, created=1)
        self.expected = sys.modules["prediction"].predict(JOB)
        self.do("INSERT INTO runs (run_id, job_name, location, status, created_at, ended_at, body) "
                "VALUES ('r', %s, 'shapes', %s, %s, %s, '{}')", JOB, self.expected.status, BEGAN, BEGAN)  # fmt: skip
        for key, status in self.expected.steps.items():
            self.add_attempt(key, 1, status, self.expected.retries.get(key, 0))
            self.do("INSERT INTO events (run_id, step_key, type, timestamp, level, message) "
                    "VALUES ('r', %s, %s, %s, 20, '')", key, f"STEP_{status}", BEGAN)  # fmt: skip
        for key, value in self.expected.values.items():
            self.store(key, value)

    def do(self, statement: str, *parameters: Any) -> None:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
        finally:
            connection.close()

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def add_attempt(self, step_key: str, attempt: int, status: str, retry_number: int = 0, process_id: int = 1) -> None:
        began = BEGAN + timedelta(seconds=attempt)
        ended = None if status == "RUNNING" else began
        self.do("INSERT INTO attempts (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, "
                "started_at, ended_at) VALUES ('r', %s, %s, %s, %s, 't', 'w', %s, %s, %s)",
                step_key, attempt, status, retry_number, process_id, began, ended)  # fmt: skip

    def add_tick(self, name: str, planned_at: datetime, status: str = "SUCCESS", run_ids: str = '["x"]') -> None:
        self.do("INSERT INTO ticks (location, kind, name, tick_key, status, planned_at, time_limit_seconds, run_ids) "
                "VALUES ('shapes', 'SCHEDULE', %s, %s, %s, %s, 60, %s)",
                name, planned_at.isoformat(), status, planned_at, run_ids)  # fmt: skip

    def store(self, step_key: str, value: int) -> None:
        file = self.home / "storage" / "r" / step_key / "result"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(value))

    def judged(self, faults: tuple[Any, ...] = ()) -> Any:
        return self.harness.judge(self, [self.launched], faults, [])


@pytest.fixture
def case(harness: ModuleType, postgres_url: str, tmp_path: Path) -> Case:
    return Case(harness, postgres_url, tmp_path)


def test_a_run_that_ended_as_planned_is_found_in_order(case: Case) -> None:
    assert case.judged().mistakes == []


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("lost", "DELETE FROM runs"),
        ("lost", "UPDATE runs SET status = 'STARTED'"),
        ("wrong", "UPDATE runs SET status = 'FAILURE'"),
        ("wrong", "UPDATE attempts SET status = 'FAILURE' WHERE step_key = 's9'"),
        ("wrong", "DELETE FROM attempts WHERE step_key = 's9'"),
        ("wrong", "UPDATE attempts SET retry_number = 9 WHERE step_key = 's9'"),
        ("doubled", ("INSERT INTO events (run_id, step_key, type, timestamp, level, message) "
                    "SELECT run_id, step_key, type, timestamp, level, message FROM events WHERE step_key = 's9'")),
        ("doubled", ("INSERT INTO runs (run_id, job_name, location, status, created_at, body) "
                    "VALUES ('other', 'diamond_2', 'shapes', 'SUCCESS', now(), '{}')")),
        ("leaked", "UPDATE attempts SET status = 'RUNNING' WHERE step_key = 's9'"),
    ],
)  # fmt: skip
def test_what_is_spoiled_is_seen(case: Case, kind: str, statement: str) -> None:
    case.do(statement)
    assert getattr(case.judged(), kind)


def test_an_output_with_another_value_is_wrong(case: Case) -> None:
    case.store("s9", -1)
    (line,) = case.judged().wrong
    assert "s9 gave -1" in line


def test_a_body_that_runs_after_its_step_had_succeeded_is_seen_though_the_database_says_nothing(case: Case) -> None:
    case.journal.write_text(f"{BEGAN.timestamp() + 100:.6f} begins r s9 0 77\n")
    (line,) = case.judged().doubled
    assert line == "s9 of run r ran again in 77 after it had succeeded"


def test_recovery_is_the_time_from_a_fault_to_the_next_attempt_of_what_it_took_down(case: Case) -> None:
    case.do("DELETE FROM attempts WHERE step_key = 's9'")
    case.add_attempt("s9", 1, "LOST", process_id=77)
    case.add_attempt("s9", 9, "SUCCESS")
    case.do("UPDATE attempts SET attempt = 2 WHERE attempt = 9")
    fault = sys.modules["faults"].Injected("killed", BEGAN.timestamp() + 2, BEGAN.timestamp() + 2, (77,))
    assert case.judged((fault,)).recoveries == {"killed": [7.0]}


class TestTicks:
    def judged(self, case: Case) -> Any:
        found = case.harness.Verdict()
        case.harness.judge_ticks(case, found, BEGAN, BEGAN + timedelta(minutes=1))
        return found

    def missed(self, case: Case) -> list[str]:
        return [line for line in self.judged(case).ticks_missed if line.startswith("every_minute")]

    def test_a_minute_without_its_tick_is_missed(self, case: Case) -> None:
        minute = BEGAN.replace(second=0) + timedelta(minutes=1)
        for number in range(sys.modules["shapes"].SCHEDULES - 1):
            case.add_tick(f"every_minute_{number}", minute)
        assert len(self.missed(case)) == 1
        case.add_tick(f"every_minute_{sys.modules['shapes'].SCHEDULES - 1}", minute)
        assert self.missed(case) == []

    def test_a_tick_that_failed_or_made_no_run_is_missed(self, case: Case) -> None:
        case.add_tick("every_minute_0", BEGAN.replace(hour=1), status="FAILURE")
        case.add_tick("every_minute_1", BEGAN.replace(hour=1), run_ids="")
        assert len([line for line in self.missed(case) if " at 177" in line]) == 2

    def test_a_gap_in_what_a_sensor_counted_is_seen(self, case: Case) -> None:
        for number in (1, 3):
            case.do("INSERT INTO runs (run_id, job_name, location, status, created_at, body) "
                    "VALUES (%s, 'counted', 'shapes', 'FAILURE', now(), '{}')", f"c{number}")  # fmt: skip
            case.do("INSERT INTO run_tags VALUES (%s, 'orchord/run_key', %s)", f"c{number}", str(number))
        assert "sensor counting made the runs [1, 3]" in self.judged(case).ticks_missed

    def test_a_run_that_the_status_sensor_told_of_twice_or_never_is_seen(self, case: Case) -> None:
        for run_id, job in (("a", "counted"), ("b", "counted"), ("t1", "told"), ("t2", "told")):
            case.do("INSERT INTO runs (run_id, job_name, location, status, created_at, body) "
                    "VALUES (%s, %s, 'shapes', 'SUCCESS', now(), '{}')", run_id, job)  # fmt: skip
        for run_id in ("t1", "t2"):
            case.do("INSERT INTO run_tags VALUES (%s, 'tells_of', 'a')", run_id)
        found = self.judged(case)
        assert found.ticks_doubled == ["sensor teller told of run a 2 times"]
        assert "sensor teller told of run b 0 times" in found.ticks_missed
