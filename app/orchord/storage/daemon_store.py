"""Daemons as they report themselves, and the lease that makes one of them the leader.

What a leader does is orchord_beat's; run workers are in worker_store.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchord.events import utc_now
from orchord.storage.database import Database
from orchord.storage.encoding import clean_text, json_text
from orchord.storage.schema import daemons, leases
from orchord.storage.values import DaemonRow, Lease

_errors_decoder = msgspec.json.Decoder(dict[str, str])


class DaemonStore:
    """The daemons and leases of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = postgresql.insert if database.is_postgres else sqlite.insert

    def take_lease(self, name: str, holder: str, ttl_seconds: float) -> int | None:
        """Take a lease, renew it, or take it over when it has expired by the database's clock.

        Args:
            name: The lease's name.
            holder: Who takes it; the same text renews it.
            ttl_seconds: How long it holds from now.

        Returns:
            The term, which grows with every new holder; None when another holds it.
        """

        def work(connection: sa.Connection) -> int | None:
            now = self._now(connection)
            until = now + timedelta(seconds=ttl_seconds)
            insert = self._insert(leases).values(name=name, holder=holder, term=1, expires_at=until)
            ours = leases.c.holder == holder
            upsert = insert.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "holder": holder,
                    "term": sa.case((ours, leases.c.term), else_=leases.c.term + 1),
                    "expires_at": until,
                },
                where=sa.or_(ours, leases.c.expires_at <= now),
            ).returning(leases.c.term)
            term: int | None = connection.execute(upsert).scalar()
            return term

        return self._database.transact(work)

    def give_back(self, name: str, holder: str) -> bool:
        """Let a lease go, so that another may take it at once; return whether it was held by this holder.

        Its term is kept, so that the next holder's is greater.
        """

        def work(connection: sa.Connection) -> bool:
            now = self._now(connection)
            held = (leases.c.name == name, leases.c.holder == holder, leases.c.expires_at > now)
            expired = sa.update(leases).where(*held).values(holder="", expires_at=now)
            return bool(connection.execute(expired).rowcount)

        return self._database.transact(work)

    def lease(self, name: str) -> Lease | None:
        """Return who holds a lease now, or None when nobody does."""
        now = (
            sa.func.clock_timestamp() if self._database.is_postgres else sa.literal(utc_now(), leases.c.expires_at.type)
        )
        rows = self._database.rows(sa.select(leases).where(leases.c.name == name, leases.c.expires_at > now))
        return Lease(**rows[0]._mapping) if rows else None

    def beat(self, daemon: DaemonRow) -> None:
        """Store that a daemon is alive, with all that it says of itself."""
        errors = json_text({name: clean_text(text) for name, text in daemon.errors.items()}) if daemon.errors else None
        values = {**msgspec.structs.asdict(daemon), "errors": errors}
        insert = self._insert(daemons).values(values)
        changed = {name: insert.excluded[name] for name in values if name != "daemon_id"}
        upsert = insert.on_conflict_do_update(index_elements=["daemon_id"], set_=changed)
        self._database.transact(lambda connection: connection.execute(upsert))

    def remove(self, daemon_id: str) -> bool:
        """Forget a daemon that went in order; return whether it was known."""
        delete = sa.delete(daemons).where(daemons.c.daemon_id == daemon_id)
        return self._database.transact(lambda connection: bool(connection.execute(delete).rowcount))

    def all(self) -> list[DaemonRow]:
        """Return every daemon that is known, silent ones too, by id."""
        rows = self._database.rows(sa.select(daemons).order_by(daemons.c.daemon_id))
        return [
            DaemonRow(**{**row._mapping, "errors": _errors_decoder.decode(row.errors) if row.errors else {}})
            for row in rows
        ]

    def _now(self, connection: sa.Connection) -> datetime:
        """Return the time by which leases end: holders' clocks differ, and two must not hold one lease for that."""
        if not self._database.is_postgres:
            return utc_now()
        moment: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        return moment
