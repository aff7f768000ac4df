"""The tables as SQLAlchemy knows them today. How a database gets there is in migrations/.

A test compares the two, so that a change here without a migration fails.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

LIVE_OR_SUCCESS = "status IN ('RUNNING', 'SUCCESS')"
RUNNING = "status = 'RUNNING'"
QUEUED = "status = 'QUEUED'"
IN_POOL = "status = 'RUNNING' AND pool IS NOT NULL"
OPEN_TICK = "status IN ('PENDING', 'STARTED')"
TICK_IN_LANE = "status = 'PENDING' AND lane IS NOT NULL"
TICK_UNDER_WAY = "status = 'STARTED' AND lane IS NOT NULL"


def stamp(moment: datetime) -> str:
    """Write a time as SQLite stores it: UTC, microseconds always written, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class UtcTime(TypeDecorator[datetime]):
    """A point in time: ``timestamptz`` on PostgreSQL, sortable ISO 8601 text on SQLite; aware UTC in Python."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Choose the column type of this engine."""
        wanted: sa.types.TypeEngine[Any] = sa.Text() if dialect.name == "sqlite" else sa.DateTime(timezone=True)
        return dialect.type_descriptor(wanted)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Convert an aware time for the driver."""
        if value is None:
            return None
        return stamp(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Convert what the driver returns to aware UTC."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(naming_convention=NAMING)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("job_name", sa.Text, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("updated_at", UtcTime),
    sa.Column("parent_run_id", sa.Text),
    sa.Column("root_run_id", sa.Text),
    sa.Column("idempotency_key", sa.Text),
    # What never changes after creation, as one JSON text (orchord.runs.Run): a claim reads it in one piece.
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    # The priority with its sign turned: runs leave the queue by rank, then by age, which an index can follow.
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
    # Why a run is still QUEUED, as the run queue last said it.
    sa.Column("waits_for", sa.Text),
    sa.UniqueConstraint("idempotency_key"),
    sa.Index("ix_runs_created", "created_at", "run_id"),
    sa.Index("ix_runs_status_created", "status", "created_at", "run_id"),
    sa.Index("ix_runs_job_created", "job_name", "created_at", "run_id"),
    sa.Index(
        "ix_runs_root", "root_run_id", "created_at", "run_id", postgresql_where=sa.text("root_run_id IS NOT NULL")
    ),
    sa.Index(
        "ix_runs_parent", "parent_run_id", "created_at", "run_id", postgresql_where=sa.text("parent_run_id IS NOT NULL")
    ),
    # The run queue, in the order in which runs leave it.
    sa.Index(
        "ix_runs_queue",
        "rank",
        "created_at",
        "run_id",
        postgresql_where=sa.text(QUEUED),
        sqlite_where=sa.text(QUEUED),
    ),
)

run_tags = sa.Table(
    "run_tags",
    metadata,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index("ix_run_tags_key_value", "key", "value", "run_id"),
)

# Attempts and events carry no foreign key to runs: the check would cost every step a lock on its run's row. Deleting
# a run deletes them by statement (run_store.py).
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("step_key", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("retry_number", sa.Integer, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("worker_id", sa.Text, nullable=False),
    sa.Column("process_id", sa.Integer, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("retry_at", UtcTime),
    sa.Column("outputs", sa.Text),
    sa.Column("error", sa.Text),
    # A slot of a pool is a RUNNING attempt that names it: it cannot leak, as it is free in the moment the attempt ends.
    sa.Column("pool", sa.Text),
    # The fence in the database itself: a step has one attempt that runs or has succeeded, whoever writes.
    sa.Index(
        "uq_attempts_live_or_success",
        "run_id",
        "step_key",
        unique=True,
        postgresql_where=sa.text(LIVE_OR_SUCCESS),
        sqlite_where=sa.text(LIVE_OR_SUCCESS),
    ),
    sa.Index("ix_attempts_running", "worker_id", postgresql_where=sa.text(RUNNING), sqlite_where=sa.text(RUNNING)),
    sa.Index("ix_attempts_pool", "pool", postgresql_where=sa.text(IN_POOL), sqlite_where=sa.text(IN_POOL)),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", BIG_ID, sa.Identity(), primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("step_key", sa.Text),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("timestamp", UtcTime, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("data", sa.Text),
    sa.Column("asset_key", sa.Text),
    sa.Column("partition", sa.Text),
    sa.Index("ix_events_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

# An asset's history outlives the runs that made it, so it is a copy and not a view of events.
asset_events = sa.Table(
    "asset_events",
    metadata,
    sa.Column("id", BIG_ID, primary_key=True, autoincrement=False),
    sa.Column("asset_key", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("step_key", sa.Text),
    sa.Column("timestamp", UtcTime, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("data", sa.Text),
    sa.Column("partition", sa.Text),
    sa.Index("ix_asset_events_key", "asset_key", "type", "id"),
)

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("asset_key", sa.Text, primary_key=True),
    sa.Column("materialization_id", BIG_ID),
    sa.Column("observation_id", BIG_ID),
)

job_snapshots = sa.Table(
    "job_snapshots",
    metadata,
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

locations = sa.Table(
    "locations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("loaded_at", UtcTime, nullable=False),
    sa.Column("payload", sa.LargeBinary),
    sa.Column("error", sa.Text),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker_id", sa.Text, primary_key=True),
    sa.Column("hostname", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("queues", sa.Text, nullable=False),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("last_seen_at", UtcTime, nullable=False, index=True),
)

# What run status sensors, run retries and the run queue are told: one row for each status that a run comes to, written
# in the transaction that brings it there, taken away when everybody has been told.
run_changes = sa.Table(
    "run_changes",
    metadata,
    sa.Column("id", BIG_ID, sa.Identity(), primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

# Limits of pools that people have set; others have the instance file's default.
pools = sa.Table(
    "pools",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slot_limit", sa.Integer),
)

# Steps that were refused a slot, in the order in which they get one.
pool_waiters = sa.Table(
    "pool_waiters",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("step_key", sa.Text, primary_key=True),
    sa.Column("pool", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("retry_number", sa.Integer, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    # When the waiter was last sent a message because a slot was free.
    sa.Column("called_at", UtcTime),
    # The process that waits in place, if one does.
    sa.Column("worker_id", sa.Text),
    sa.Column("process_id", sa.Integer),
    sa.Index("ix_pool_waiters_order", "pool", "rank", "since"),
)

# Schedules and sensors: what changes of them. What they are is in their location's snapshot.
instigators = sa.Table(
    "instigators",
    metadata,
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    # NULL: nobody has started or stopped it, and the code's default holds.
    sa.Column("status", sa.Text),
    sa.Column("started_at", UtcTime),
    # Up to which planned time ticks have been made.
    sa.Column("planned_until", UtcTime),
    sa.Column("last_tick_ended_at", UtcTime),
    sa.Column("last_run_key", sa.Text),
    sa.Column("cursor", sa.Text),
    # Grows with every change that the clock must see.
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
)

ticks = sa.Table(
    "ticks",
    metadata,
    sa.Column("tick_id", BIG_ID, sa.Identity(), primary_key=True),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # What makes a tick happen once, whoever asks for it: a planned time, a run and its status, a push's own key.
    sa.Column("tick_key", sa.Text, nullable=False),
    # Ticks of one lane are evaluated one after another; without a lane, at once.
    sa.Column("lane", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("is_dry_run", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("planned_at", UtcTime, nullable=False),
    sa.Column("sent_at", UtcTime),
    sa.Column("started_at", UtcTime),
    sa.Column("ended_at", UtcTime),
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
    sa.UniqueConstraint("location", "kind", "name", "tick_key"),
    sa.Index("ix_ticks_page", "location", "kind", "name", "tick_id"),
    sa.Index("ix_ticks_open", "planned_at", postgresql_where=sa.text(OPEN_TICK), sqlite_where=sa.text(OPEN_TICK)),
    sa.Index("ix_ticks_ended", "kind", "status", "ended_at"),
    # The oldest tick that waits in a lane. By the index of open ticks alone it would be looked for among the remains of
    # all ticks since the last vacuum.
    sa.Index(
        "ix_ticks_lane",
        "location",
        "lane",
        "tick_id",
        postgresql_where=sa.text(TICK_IN_LANE),
        sqlite_where=sa.text(TICK_IN_LANE),
    ),
    sa.Index(
        "uq_ticks_under_way",
        "location",
        "lane",
        unique=True,
        postgresql_where=sa.text(TICK_UNDER_WAY),
        sqlite_where=sa.text(TICK_UNDER_WAY),
    ),
    sqlite_autoincrement=True,
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    # Grows with every new holder.
    sa.Column("term", sa.Integer, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
)

daemons = sa.Table(
    "daemons",
    metadata,
    sa.Column("daemon_id", sa.Text, primary_key=True),
    sa.Column("hostname", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("last_seen_at", UtcTime, nullable=False),
    sa.Column("is_leader", sa.Boolean, nullable=False),
    # What went wrong in its loops last, as a JSON object by loop.
    sa.Column("errors", sa.Text),
)
