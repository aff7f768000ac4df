"""Revision 0002: the run queue, pools, schedules, sensors, ticks, and the daemon's own tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns to runs and attempts, and make the new tables."""
    _run_queue()
    _pools()
    _ticks()
    _daemons()


def _partial(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _run_queue() -> None:
    op.add_column("runs", sa.Column("rank", sa.Integer, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("waits_for", sa.Text))
    queue = ["rank", "created_at", "run_id"]
    op.create_index("ix_runs_queue", "runs", queue, **_partial("status = 'QUEUED'"))
    op.create_table(
        "run_changes",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run_changes"),
        sqlite_autoincrement=True,
    )


def _pools() -> None:
    op.add_column("attempts", sa.Column("pool", sa.Text))
    op.create_index("ix_attempts_pool", "attempts", ["pool"], **_partial("status = 'RUNNING' AND pool IS NOT NULL"))
    op.create_table(
        "pools",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("slot_limit", sa.Integer),
        sa.PrimaryKeyConstraint("name", name="pk_pools"),
    )
    op.create_table(
        "pool_waiters",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step_key", sa.Text, nullable=False),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("retry_number", sa.Integer, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("called_at", TIME),
        sa.Column("worker_id", sa.Text),
        sa.Column("process_id", sa.Integer),
        sa.PrimaryKeyConstraint("run_id", "step_key", name="pk_pool_waiters"),
    )
    op.create_index("ix_pool_waiters_order", "pool_waiters", ["pool", "rank", "since"])


def _ticks() -> None:
    op.create_table(
        "instigators",
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("started_at", TIME),
        sa.Column("planned_until", TIME),
        sa.Column("last_tick_ended_at", TIME),
        sa.Column("last_run_key", sa.Text),
        sa.Column("cursor", sa.Text),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("location", "kind", "name", name="pk_instigators"),
    )
    op.create_table(
        "ticks",
        sa.Column("tick_id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tick_key", sa.Text, nullable=False),
        sa.Column("lane", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("is_dry_run", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("planned_at", TIME, nullable=False),
        sa.Column("sent_at", TIME),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("time_limit_seconds", sa.Float, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("worker_id", sa.Text),
        sa.Column("payload", sa.Text),
        sa.Column("run_ids", sa.Text),
        sa.Column("skip_reason", sa.Text),
        sa.Column("cursor", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("data", sa.Text),
        sa.PrimaryKeyConstraint("tick_id", name="pk_ticks"),
        sa.UniqueConstraint("location", "kind", "name", "tick_key", name="uq_ticks_location_kind_name_tick_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ticks_page", "ticks", ["location", "kind", "name", "tick_id"])
    op.create_index("ix_ticks_open", "ticks", ["planned_at"], **_partial("status IN ('PENDING', 'STARTED')"))
    op.create_index("ix_ticks_ended", "ticks", ["kind", "status", "ended_at"])
    in_lane = _partial("status = 'PENDING' AND lane IS NOT NULL")
    op.create_index("ix_ticks_lane", "ticks", ["location", "lane", "tick_id"], **in_lane)
    under_way = _partial("status = 'STARTED' AND lane IS NOT NULL")
    op.create_index("uq_ticks_under_way", "ticks", ["location", "lane"], unique=True, **under_way)


def _daemons() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("term", sa.Integer, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "daemons",
        sa.Column("daemon_id", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("is_leader", sa.Boolean, nullable=False),
        sa.Column("errors", sa.Text),
        sa.PrimaryKeyConstraint("daemon_id", name="pk_daemons"),
    )
