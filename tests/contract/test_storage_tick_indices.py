"""What the daemon asks again and again is served by indices on both engines, however many ticks there are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from orchord.ticks import InstigatorKey, InstigatorKind, TickStatus

FILL = """
INSERT INTO ticks (location, kind, name, tick_key, lane, status, planned_at, time_limit_seconds, ended_at, token)
SELECT 'home', CASE WHEN n % 2 = 0 THEN 'SENSOR' ELSE 'SCHEDULE' END, 's' || n % 50, 't' || n,
    CASE WHEN n % 2 = 0 THEN 'sensor:s' || n % 50 END,
    CASE WHEN n % 2000 = 1 THEN 'PENDING' WHEN n % 3 = 0 THEN 'SKIPPED' ELSE 'SUCCESS' END, {time}, 60.0, {time}, 'x'
FROM {n};
ANALYZE"""


@pytest.fixture
def asked(storage):
    """Fills the table, and returns how the planner would go about what a call asks."""
    n, time = "generate_series(1, 20000) AS n", "timestamptz '2026-01-01' + n * interval '1 second'"
    if not storage.database.is_postgres:
        n = "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) SELECT n FROM c)"
        time = "printf('2026-01-01T00\\:00\\:00.%06d+00\\:00', n)"
    with storage.database.reading() as connection:
        for statement in FILL.format(n=n, time=time).split(";\n"):
            connection.execute(sa.text(statement))
    explain = "EXPLAIN " if storage.database.is_postgres else "EXPLAIN QUERY PLAN "

    def plan(call):
        plans = []

        def before(connection, cursor, statement, parameters, context, executemany):
            if not statement.startswith(("EXPLAIN", "BEGIN", "SET")) and "pg_advisory" not in statement:
                own = connection.connection.driver_connection.cursor()
                own.execute(explain + statement, parameters)
                plans.append("\n".join(str(row) for row in own.fetchall()))
                own.close()

        sa.event.listen(storage.database.engine, "before_cursor_execute", before)
        try:
            call()
        finally:
            sa.event.remove(storage.database.engine, "before_cursor_execute", before)
        return "\n".join(plans)

    return plan


CALLS = {
    "open ticks": (lambda ticks, now: ticks.open(100, now), "ix_ticks_open"),
    "the next of a lane": (lambda ticks, now: ticks.claim_next("home", "sensor:s4", "new", "w", now), "ix_ticks_"),
    "the newest of one": (
        lambda ticks, now: ticks.page(InstigatorKey("home", InstigatorKind.SENSOR, "s4")),
        "ix_ticks_page",
    ),
    "old ones": (
        lambda ticks, now: ticks.purge(InstigatorKind.SENSOR, TickStatus.SKIPPED, now.replace(year=2025), 100),
        "ix_ticks_ended",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_an_index_serves(asked, storage, life, what):
    call, index = CALLS[what]
    plan = asked(lambda: call(storage.ticks, life.now()))
    assert index in plan
    assert "Seq Scan on ticks" not in plan
    assert "SCAN ticks'" not in plan
