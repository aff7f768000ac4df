"""Code locations as their workers published them, and the snapshot of each job as runs refer to it.

A snapshot never changes under its id, so a decoded one is kept: reading locations costs one small query.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.errors import NotFoundError
from orchord.events import ErrorInfo, utc_now
from orchord.snapshot import JobSnapshot, LocationSnapshot, decode_job, decode_location, encode
from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, decode_error, encode_error
from orchord.storage.schema import job_snapshots, locations
from orchord.storage.values import LocationRow

KEPT_LOCATIONS = 64
KEPT_JOBS = 512

S = TypeVar("S")


class LocationStore:
    """The code locations of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert
        self._locations: _Kept[LocationSnapshot] = _Kept(decode_location, KEPT_LOCATIONS)
        self._jobs: _Kept[JobSnapshot] = _Kept(decode_job, KEPT_JOBS)

    def put(self, snapshot: LocationSnapshot) -> None:
        """Store a location as it has just been loaded, and the snapshots of its jobs. The last who writes wins."""
        values = {
            "name": snapshot.name,
            "snapshot_id": snapshot.snapshot_id,
            "loaded_at": utc_now(),
            "payload": encode(snapshot),
            "error": None,
        }

        def work(connection: sa.Connection) -> None:
            # In the order of their ids, so that two workers that start at once cannot wait for each other.
            rows = [
                {"snapshot_id": job.snapshot_id, "payload": encode(job)}
                for job in sorted(snapshot.jobs, key=lambda job: job.snapshot_id)
            ]
            if rows:
                connection.execute(self._insert(job_snapshots).on_conflict_do_nothing(), rows)
            insert = self._insert(locations).values(values)
            changed = {name: insert.excluded[name] for name in values if name != "name"}
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed))

        self._database.transact(work)

    def put_error(self, name: str, error: ErrorInfo) -> None:
        """Store that a location's code failed to load. Its last snapshot stays: the stack goes on with what worked."""
        values = {"name": name, "snapshot_id": "", "loaded_at": utc_now(), "error": encode_error(error)}

        def work(connection: sa.Connection) -> None:
            insert = self._insert(locations).values(values)
            changed = {"loaded_at": insert.excluded.loaded_at, "error": insert.excluded.error}
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed))

        self._database.transact(work)

    def find(self, name: str) -> LocationRow | None:
        """Return one location, or None."""
        rows = self._read(sa.select(*_SMALL).where(locations.c.name == name))
        return rows[0] if rows else None

    def all(self) -> list[LocationRow]:
        """Return all locations with their snapshots, by name."""
        return self._read(_ALL)

    def remove(self, name: str) -> bool:
        """Forget a location; return whether it was there. Snapshots of jobs that runs refer to stay."""
        delete = sa.delete(locations).where(locations.c.name == name)
        return self._database.transact(lambda connection: bool(connection.execute(delete).rowcount))

    def job_snapshot(self, snapshot_id: str) -> JobSnapshot:
        """Return the snapshot of a job as it was when a run was created.

        Raises:
            NotFoundError: none is stored under this id.
        """

        def payload() -> bytes | None:
            query = sa.select(job_snapshots.c.payload).where(job_snapshots.c.snapshot_id == snapshot_id)
            rows = self._database.rows(query)
            return rows[0].payload if rows else None

        found = self._jobs.get(snapshot_id, payload)
        if found is None:
            raise NotFoundError(f"No snapshot of a job is stored under '{snapshot_id}'. Publish its location again.")
        return found

    def _read(self, query: sa.Select[tuple[object, ...]]) -> list[LocationRow]:
        return [self._row(row) for row in self._database.rows(query)]

    def _row(self, row: sa.Row[tuple[object, ...]]) -> LocationRow:
        def payload() -> bytes | None:
            wanted = (locations.c.name == row.name, locations.c.snapshot_id == row.snapshot_id)
            rows = self._database.rows(sa.select(locations.c.payload).where(*wanted))
            return rows[0].payload if rows else None

        snapshot = self._locations.get(row.snapshot_id, payload) if row.snapshot_id else None
        if row.snapshot_id and snapshot is None:
            # Published anew between the two queries: read it as it is now.
            newer = self.find(row.name)
            if newer is not None:
                return newer
        loaded_at = as_utc(row.loaded_at)
        assert loaded_at is not None
        return LocationRow(row.name, row.snapshot_id, loaded_at, snapshot, decode_error(row.error))


_SMALL = (locations.c.name, locations.c.snapshot_id, locations.c.loaded_at, locations.c.error)
_ALL = sa.select(*_SMALL).order_by(locations.c.name)


class _Kept(Generic[S]):
    """Decoded snapshots by id; the oldest goes when there are too many."""

    def __init__(self, decode: Callable[[bytes], S], size: int) -> None:
        self._decode = decode
        self._size = size
        self._items: dict[str, S] = {}
        self._lock = threading.Lock()

    def get(self, snapshot_id: str, payload: Callable[[], bytes | None]) -> S | None:
        """Return the snapshot, decoded from ``payload`` when it is not kept; None when there is no payload."""
        kept = self._items.get(snapshot_id)
        if kept is not None:
            return kept
        found = payload()
        if found is None:
            return None
        snapshot = self._decode(bytes(found))
        with self._lock:
            self._items[snapshot_id] = snapshot
            while len(self._items) > self._size:
                del self._items[next(iter(self._items))]
        return snapshot
