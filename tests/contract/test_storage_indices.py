"""Pages that people open are served by indices on both engines, however many rows there are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from orchord.storage import Storage
from orchord.storage.schema import asset_events, attempts, events, runs

PAGES = {
    "runs by time": (
        sa.select(runs.c.run_id).order_by(runs.c.created_at.desc(), runs.c.run_id.desc()),
        "ix_runs_created",
    ),
    "runs by status": (
        sa.select(runs.c.run_id)
        .where(runs.c.status == "QUEUED")
        .order_by(runs.c.created_at.desc(), runs.c.run_id.desc()),
        "ix_runs_status_created",
    ),
    "runs by job": (
        sa.select(runs.c.run_id)
        .where(runs.c.job_name == "j1")
        .order_by(runs.c.created_at.desc(), runs.c.run_id.desc()),
        "ix_runs_job_created",
    ),
    "events of a run": (
        sa.select(events.c.id).where(events.c.run_id == "r1", events.c.id > 5).order_by(events.c.id),
        "ix_events_run",
    ),
    "history of an asset": (
        sa.select(asset_events.c.id)
        .where(asset_events.c.asset_key == "k1", asset_events.c.type == "ASSET_MATERIALIZATION")
        .order_by(asset_events.c.id.desc()),
        "ix_asset_events_key",
    ),
    "running attempts of a worker": (
        sa.select(attempts.c.step_key).where(
            attempts.c.status == sa.literal_column("'RUNNING'"), attempts.c.worker_id == "w1"
        ),
        "ix_attempts_running",
    ),
}

FILL = """
INSERT INTO runs (run_id, job_name, location, status, created_at, body)
SELECT 'r' || n, 'j' || n % 50, 'home', CASE WHEN n % 50 = 0 THEN 'QUEUED' ELSE 'SUCCESS' END, {time}, '' FROM {n};
INSERT INTO events (run_id, type, timestamp, level, message)
SELECT 'r' || n / 1000, 'LOG', {time}, 20, '' FROM {n};
INSERT INTO asset_events (id, asset_key, type, run_id, timestamp, message)
SELECT n, 'k' || n % 100, 'ASSET_MATERIALIZATION', 'r', {time}, '' FROM {n};
INSERT INTO attempts (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id)
SELECT 'r' || n, 'a', 1, CASE WHEN n % 100 = 0 THEN 'RUNNING' ELSE 'SUCCESS' END, 0, '', 'w' || n % 7, 0 FROM {n};
ANALYZE"""


@pytest.fixture
def filled(storage: Storage) -> Storage:
    """A storage with some thousands of rows, of which the planner knows."""
    postgres = storage.database.is_postgres
    numbers = (
        "generate_series(1, 5000) AS n"
        if postgres
        else "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c)"
    )
    moment = "TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second'" if postgres else "printf('%08d', n)"

    def fill(connection: sa.Connection) -> None:
        for statement in FILL.split(";"):
            connection.execute(sa.text(statement.format(n=numbers, time=moment)))

    storage.database.transact(fill)
    return storage


@pytest.mark.parametrize("page", PAGES)
def test_a_page_uses_its_index(filled, page):
    query, index = PAGES[page]
    dialect = filled.database.engine.dialect
    text = str(query.limit(20).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN" if filled.database.is_postgres else "EXPLAIN QUERY PLAN"
    with filled.database.reading() as connection:
        plan = "\n".join(" ".join(map(str, row)) for row in connection.exec_driver_sql(f"{explain} {text}"))
    assert index in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
