"""Workers as they report themselves: who is alive, since when, and what they listen to.

What follows from a worker's silence is decided by the monitor; which attempts it held, by attempt_store.py.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.storage.database import Database
from orchord.storage.encoding import json_text
from orchord.storage.schema import attempts, workers
from orchord.storage.values import WorkerRow


class WorkerStore:
    """The workers of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def beat(self, worker: WorkerRow) -> None:
        """Store that a worker is alive, with all that it says of itself."""
        values = {**msgspec.structs.asdict(worker), "queues": json_text(worker.queues)}
        insert = self._insert(workers).values(values)
        changed = {name: insert.excluded[name] for name in values if name != "worker_id"}
        upsert = insert.on_conflict_do_update(index_elements=["worker_id"], set_=changed)
        self._database.transact(lambda connection: connection.execute(upsert))

    def remove(self, worker_id: str) -> bool:
        """Forget a worker that went in order; return whether it was known."""
        delete = sa.delete(workers).where(workers.c.worker_id == worker_id)
        return self._database.transact(lambda connection: bool(connection.execute(delete).rowcount))

    def forget_silent(self, last_seen_before: datetime) -> int:
        """Forget workers that were killed long ago, unless they still hold attempts; return how many."""
        held = sa.select(attempts.c.worker_id).where(
            attempts.c.worker_id == workers.c.worker_id, attempts.c.status == sa.literal_column("'RUNNING'")
        )
        delete = sa.delete(workers).where(workers.c.last_seen_at < last_seen_before, ~held.exists())
        return self._database.transact(lambda connection: int(connection.execute(delete).rowcount))

    def alive(self, since: datetime) -> list[WorkerRow]:
        """Return the workers that were seen at or after a time, by id."""
        return self._read(sa.select(workers).where(workers.c.last_seen_at >= since))

    def all(self) -> list[WorkerRow]:
        """Return every worker that is known, silent ones too, by id."""
        return self._read(sa.select(workers))

    def _read(self, query: sa.Select[tuple[object, ...]]) -> list[WorkerRow]:
        rows = self._database.rows(query.order_by(workers.c.worker_id))
        return [
            WorkerRow(**{**row._mapping, "queues": msgspec.json.decode(row.queues, type=tuple[str, ...])})
            for row in rows
        ]
