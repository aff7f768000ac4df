"""Storage: the one object that holds a database and the stores over it.

Statements are in the stores and hot paths; connections in database.py.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from orchord.events import utc_now
from orchord.storage.asset_store import AssetStore
from orchord.storage.attempt_store import AttemptStore
from orchord.storage.change_store import ChangeStore
from orchord.storage.daemon_store import DaemonStore
from orchord.storage.database import Database
from orchord.storage.event_store import EventStore
from orchord.storage.hot_path import HotPath
from orchord.storage.instigator_store import InstigatorStore
from orchord.storage.launch_store import LaunchStore
from orchord.storage.location_store import LocationStore
from orchord.storage.migrate import check_schema, migrate
from orchord.storage.pool_store import PoolStore
from orchord.storage.postgres_hot_path import PostgresHotPath
from orchord.storage.queue_store import QueueStore
from orchord.storage.run_store import RunStore
from orchord.storage.sqlite_hot_path import SqliteHotPath
from orchord.storage.tick_store import TickStore
from orchord.storage.worker_store import WorkerStore


class Storage:
    """What is stored, by subject: ``runs``, ``attempts``, ``events``, ``assets``, ``locations``, ``workers``,
    ``instigators`` (schedules and sensors), ``ticks``, ``changes`` (of runs, to be told), ``daemons``,
    ``queue`` (of runs), ``pools`` (slots for steps), ``launches`` (attempts that containers take over).

    Safe for threads. After a fork the child opens connections of its own.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        hot_path: HotPath = PostgresHotPath(database) if database.is_postgres else SqliteHotPath(database)
        self.runs = RunStore(database, hot_path)
        self.pools = PoolStore(database, hot_path)
        self.queue = QueueStore(database)
        self.attempts = AttemptStore(database, hot_path, self.pools)
        self.launches = LaunchStore(database, hot_path, self.pools)
        self.events = EventStore(database)
        self.assets = AssetStore(database)
        self.locations = LocationStore(database)
        self.workers = WorkerStore(database)
        self.instigators = InstigatorStore(database)
        self.ticks = TickStore(database)
        self.changes = ChangeStore(database)
        self.daemons = DaemonStore(database)

    @classmethod
    def open(cls, url: str, *, pool_size: int = 5, max_overflow: int = 15) -> Storage:
        """Open ``postgresql://user:password@host:port/database`` or ``sqlite:////absolute/file.db``.

        Nothing is connected yet; ``ping`` and ``check_schema`` tell whether the database can be used.

        Args:
            url: the database's address.
            pool_size: connections that a process keeps.
            max_overflow: connections beyond these that it may open for a moment.

        Raises:
            InstanceConfigError: the address is not understood.
        """
        return cls(Database(url, pool_size=pool_size, max_overflow=max_overflow))

    @property
    def address(self) -> str:
        """The address, without user and password."""
        return self.database.address

    @property
    def identity(self) -> str:
        """Which database this is, schema and all, whoever asks: without user and password."""
        url = self.database.url
        options = "&".join(f"{key}={value}" for key, value in sorted(url.query.items()))
        return f"{url.get_backend_name()}://{url.host or ''}:{url.port or ''}/{url.database or ''}?{options}"

    def migrate(self) -> None:
        """Bring the tables to this version's form. Safe to call from many processes at once."""
        migrate(self.database)

    def check_schema(self) -> None:
        """Check that the tables have this version's form.

        Raises:
            StorageUnavailableError: they do not, or the database cannot be reached; the message says what to do.
        """
        check_schema(self.database)

    def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            StorageUnavailableError: it gives none.
        """
        self.database.rows(sa.text("SELECT 1"))

    def clock(self) -> datetime:
        """Return the time by which processes judge each other's signs of life: PostgreSQL's own, aware, in UTC.

        The clocks of machines differ, and a worker must not be taken for dead for that. SQLite serves one machine.
        """
        if not self.database.is_postgres:
            return utc_now()
        (row,) = self.database.rows(sa.text("SELECT clock_timestamp()"))
        moment: datetime = row[0]
        return moment.astimezone(UTC)

    def dispose(self) -> None:
        """Close this process's connections."""
        self.database.dispose()
