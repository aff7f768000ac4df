"""Revision 0001: the first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    _runs()
    _attempts()
    _events()
    _assets()
    _locations_and_workers()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("job_name", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("updated_at", TIME),
        sa.Column("parent_run_id", sa.Text),
        sa.Column("root_run_id", sa.Text),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.UniqueConstraint("idempotency_key", name="uq_runs_idempotency_key"),
    )
    op.create_index("ix_runs_created", "runs", ["created_at", "run_id"])
    op.create_index("ix_runs_status_created", "runs", ["status", "created_at", "run_id"])
    op.create_index("ix_runs_job_created", "runs", ["job_name", "created_at", "run_id"])
    for name in ("root", "parent"):
        column = f"{name}_run_id"
        op.create_index(
            f"ix_runs_{name}",
            "runs",
            [column, "created_at", "run_id"],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_run_tags"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_run_tags_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_run_tags_key_value", "run_tags", ["key", "value", "run_id"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step_key", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("retry_number", sa.Integer, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("process_id", sa.Integer, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("retry_at", TIME),
        sa.Column("outputs", sa.Text),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("run_id", "step_key", "attempt", name="pk_attempts"),
    )
    live_or_success = sa.text("status IN ('RUNNING', 'SUCCESS')")
    op.create_index(
        "uq_attempts_live_or_success",
        "attempts",
        ["run_id", "step_key"],
        unique=True,
        postgresql_where=live_or_success,
        sqlite_where=live_or_success,
    )
    running = sa.text("status = 'RUNNING'")
    op.create_index("ix_attempts_running", "attempts", ["worker_id"], postgresql_where=running, sqlite_where=running)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step_key", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
        sa.Column("asset_key", sa.Text),
        sa.Column("partition", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_run", "events", ["run_id", "id"])


def _assets() -> None:
    op.create_table(
        "asset_events",
        sa.Column("id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("asset_key", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step_key", sa.Text),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
        sa.Column("partition", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_asset_events"),
    )
    op.create_index("ix_asset_events_key", "asset_events", ["asset_key", "type", "id"])
    op.create_table(
        "assets",
        sa.Column("asset_key", sa.Text, nullable=False),
        sa.Column("materialization_id", BIG_ID),
        sa.Column("observation_id", BIG_ID),
        sa.PrimaryKeyConstraint("asset_key", name="pk_assets"),
    )


def _locations_and_workers() -> None:
    op.create_table(
        "job_snapshots",
        sa.Column("snapshot_id", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", name="pk_job_snapshots"),
    )
    op.create_table(
        "locations",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("snapshot_id", sa.Text, nullable=False),
        sa.Column("loaded_at", TIME, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_locations"),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("queues", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )
    op.create_index("ix_workers_last_seen_at", "workers", ["last_seen_at"])
