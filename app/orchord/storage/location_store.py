"""Code locations as their workers published them, and the snapshot of each job as runs refer to it.

Payloads are opaque bytes here; orchord.snapshot encodes and decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.storage.database import Database
from orchord.storage.encoding import as_utc, decode_error, encode_error
from orchord.storage.schema import job_snapshots, locations
from orchord.storage.values import LocationRow


class LocationStore:
    """The code locations of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def publish(self, row: LocationRow, jobs: Mapping[str, bytes] | None = None) -> bool:
        """Store a location as it was loaded last, and job payloads by snapshot id.

        A row that carries an error and no payload keeps the payload that is stored: the stack stays up with the last
        code that worked. Returns False when a later loading is stored already.
        """

        def work(connection: sa.Connection) -> bool:
            self._store_jobs(connection, jobs or {})
            values = {
                "name": row.name,
                "snapshot_id": row.snapshot_id,
                "loaded_at": row.loaded_at,
                "payload": row.payload,
                "error": encode_error(row.error),
            }
            insert = self._insert(locations).values(values)
            changed = {"loaded_at": insert.excluded.loaded_at, "error": insert.excluded.error}
            if row.payload is not None:
                changed |= {"payload": insert.excluded.payload, "snapshot_id": insert.excluded.snapshot_id}
            upsert = insert.on_conflict_do_update(
                index_elements=["name"], set_=changed, where=locations.c.loaded_at <= insert.excluded.loaded_at
            )
            return bool(connection.execute(upsert).rowcount)

        return self._database.transact(work)

    def find(self, name: str) -> LocationRow | None:
        """Return one location, or None."""
        rows = self._database.rows(sa.select(locations).where(locations.c.name == name))
        return _location(rows[0]) if rows else None

    def all(self) -> list[LocationRow]:
        """Return all locations with their payloads, by name."""
        return [_location(row) for row in self._database.rows(sa.select(locations).order_by(locations.c.name))]

    def snapshot_ids(self) -> dict[str, str]:
        """Return each location's snapshot id, without payloads: what a cache asks before it uses what it holds."""
        query = sa.select(locations.c.name, locations.c.snapshot_id).where(locations.c.payload.is_not(None))
        return {row.name: row.snapshot_id for row in self._database.rows(query.order_by(locations.c.name))}

    def remove(self, name: str) -> bool:
        """Forget a location; return whether it was there. Snapshots that runs refer to stay."""
        delete = sa.delete(locations).where(locations.c.name == name)
        return self._database.transact(lambda connection: bool(connection.execute(delete).rowcount))

    def job_payload(self, snapshot_id: str) -> bytes | None:
        """Return the payload of a job's snapshot, or None."""
        query = sa.select(job_snapshots.c.payload).where(job_snapshots.c.snapshot_id == snapshot_id)
        rows = self._database.rows(query)
        return bytes(rows[0].payload) if rows else None

    def add_job_payloads(self, jobs: Mapping[str, bytes]) -> None:
        """Store job payloads by snapshot id; those that are stored are left alone."""
        self._database.transact(lambda connection: self._store_jobs(connection, jobs))

    def _store_jobs(self, connection: sa.Connection, jobs: Mapping[str, bytes]) -> None:
        # In the order of their ids, so that two workers that start at once cannot wait for each other.
        rows = [{"snapshot_id": key, "payload": payload} for key, payload in sorted(jobs.items())]
        if rows:
            connection.execute(self._insert(job_snapshots).on_conflict_do_nothing(), rows)


def _location(row: sa.Row[tuple[object, ...]]) -> LocationRow:
    loaded_at = as_utc(row.loaded_at)
    assert loaded_at is not None
    payload = None if row.payload is None else bytes(row.payload)
    return LocationRow(row.name, row.snapshot_id, loaded_at, payload, decode_error(row.error))
