"""The outbox of run statuses: what run status sensors, run retries and the run queue still have to be told.

Rows come from whoever changes a run's status, in the same transaction; the leading daemon takes them away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from orchord.runs import RunStatus
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc
from orchord.storage.schema import run_changes
from orchord.storage.tick_rows import insert_ticks
from orchord.storage.values import RunChange
from orchord.ticks import NewTick, Tick


class ChangeStore:
    """The changes of one database's runs that have not been dealt with."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, limit: int = 1000) -> list[RunChange]:
        """Return the oldest changes that stand, at most ``limit``. A change is there from its commit until settled."""
        rows = self._database.rows(sa.select(run_changes).order_by(run_changes.c.id).limit(limit))
        return [_change_of(row) for row in rows]

    def settle(self, ids: Collection[int], ticks: Sequence[NewTick] = ()) -> list[Tick]:
        """Take changes away and make the ticks that they ask for, in one transaction.

        Two daemons that settle the same changes do no harm: a tick is made once, by its key.

        Returns:
            The ticks that are new.
        """

        def work(connection: sa.Connection) -> list[Tick]:
            made = insert_ticks(connection, ticks)
            numbers = sorted(ids)
            for start in range(0, len(numbers), _IDS_AT_ONCE):
                some = numbers[start : start + _IDS_AT_ONCE]
                connection.execute(sa.delete(run_changes).where(run_changes.c.id.in_(some)))
            return made

        return self._database.transact(work)

    def count(self) -> int:
        """Return how many changes stand."""
        return int(self._database.rows(sa.select(sa.func.count()).select_from(run_changes))[0][0])


_IDS_AT_ONCE = 1000
_INSERT = sa.insert(run_changes)


def insert_change(connection: sa.Connection, run_id: str, status: RunStatus, at: datetime) -> None:
    """Note, within the transaction that brings a run there, that it has come to a status."""
    connection.execute(_INSERT, {"run_id": run_id, "status": status.value, "at": at})


def _change_of(row: sa.Row[tuple[object, ...]]) -> RunChange:
    at = as_utc(row.at)
    assert at is not None
    return RunChange(row.id, row.run_id, RunStatus(row.status), at)
