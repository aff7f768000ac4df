"""Connections: pools per process, transactions, and what is tried again when a connection or a lock was lost.

No table is named here. Statements are in the modules named ``*_statements`` and ``*_store``.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool, StaticPool

from orchord.errors import StorageUnavailableError
from orchord.storage.address import parse_address, shown, sqlite_file
from orchord.storage.failures import (
    DriverError,
    driver_cause,
    is_connection_loss,
    is_serialization_conflict,
    translated,
)
from orchord.storage.prepared import Preparing

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 4
POOL_TIMEOUT_SECONDS = 5.0
BUSY_TIMEOUT_SECONDS = 30.0

# A dead peer must not hold a worker: probes notice it when idle, tcp_user_timeout when data is on the way.
_POSTGRES_CONNECT = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "application_name": "orchord",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

# How often processes that open a new SQLite file at the same time may get in each other's way.
_WAL_ATTEMPTS = 100

_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited_pools: list[Any] = []


class RawCursor:
    """The driver's cursor on one connection, and what that has prepared."""

    def __init__(self, cursor: Any, preparing: Preparing, prepared: set[str]) -> None:
        self._cursor, self._preparing, self._prepared = cursor, preparing, prepared

    def execute(self, before: str, sql: str, after: str, parameters: Mapping[str, Any]) -> None:
        """Send three parts as one message; the one in the middle is a statement that the connection prepares."""
        with self._preparing.given(self._cursor, self._prepared, sql) as text:
            self._cursor.execute(before + text + after, parameters)

    def roll_back(self) -> None:
        """Undo what is not committed."""
        self._cursor.execute("ROLLBACK")

    def row(self) -> tuple[Any, ...]:
        """Return the first row of the last statement's answer."""
        found: tuple[Any, ...] = self._cursor.fetchone()
        return found


class Database:
    """One database and this process's connections to it. Safe for threads; a fork starts with none of them."""

    def __init__(self, url: str, *, pool_size: int = 5, max_overflow: int = 15) -> None:
        self.url = parse_address(url)
        self.address = shown(self.url)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self._preparing = Preparing()
        self._pool_size, self._max_overflow = pool_size, max_overflow
        self._memory_lock = threading.RLock() if not self.is_postgres and sqlite_file(self.url) is None else None
        with translated(self.url):
            self.engine = self._make_engine()
        _open_databases.add(self)

    def _make_engine(self) -> sa.Engine:
        if self.is_postgres:
            # Autocommit: a statement on the hot path is one round trip, with no BEGIN and COMMIT around it. The pool
            # does not ping before use; ``once`` notices a dead connection by its error and sends again.
            return sa.create_engine(
                self.url,
                isolation_level="AUTOCOMMIT",
                connect_args=dict(_POSTGRES_CONNECT),
                pool_size=self._pool_size,
                max_overflow=self._max_overflow,
                pool_timeout=POOL_TIMEOUT_SECONDS,
                pool_recycle=1800,
                pool_use_lifo=True,
            )
        pooling: dict[str, Any] = {"poolclass": StaticPool}
        if self._memory_lock is None:
            pooling = {
                "poolclass": QueuePool,
                "pool_size": self._pool_size,
                "max_overflow": self._max_overflow,
                "pool_timeout": BUSY_TIMEOUT_SECONDS,
            }
        engine = sa.create_engine(
            self.url,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False, "isolation_level": None},
            **pooling,
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection on which each statement stands alone."""
        with translated(self.url), self._exclusive(), self.engine.connect() as connection:
            yield connection

    def rows(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        """Return all rows of one statement that may be sent twice: it is, when the connection was dead."""

        def fetch() -> Sequence[sa.Row[Any]]:
            with self._exclusive(), self.engine.connect() as connection:
                return connection.execute(statement, parameters or {}).all()

        return self._again_when_lost(fetch)

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` in one transaction. It is run again, once, when the transaction surely did not take place.

        On SQLite the transaction holds the one write lock from its beginning, so what it reads stays true.
        """

        def whole() -> T:
            with self._exclusive(), self._transaction() as connection:
                return work(connection)

        return self._again_when_lost(whole)

    def once(self, sql: str, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Send one statement in one round trip (PostgreSQL only) and return its first row."""
        with translated(self.url):
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                prepared: set[str] = connection.info.setdefault("orchord_prepared", set())
                self._preparing.execute(cursor, prepared, sql, parameters)
                row: tuple[Any, ...] | None = cursor.fetchone()
                cursor.close()
            except DriverError as error:
                if is_connection_loss(error):
                    connection.invalidate(error)
                raise
            finally:
                connection.close()
        return row

    @contextmanager
    def raw_cursor(self) -> Iterator[RawCursor]:
        """Yield the driver's cursor, in autocommit (PostgreSQL only): for who sends BEGIN and COMMIT along.

        What is not committed when an error leaves the block goes with its connection.
        """
        with translated(self.url):
            connection = self.engine.raw_connection()
            try:
                prepared: set[str] = connection.info.setdefault("orchord_prepared", set())
                yield RawCursor(connection.cursor(), self._preparing, prepared)
            except BaseException:
                connection.invalidate()
                raise
            finally:
                connection.close()

    def once_or_again(
        self, sql: str, parameters: Mapping[str, Any], *, attempts: int = 3
    ) -> tuple[tuple[Any, ...] | None, bool]:
        """Like ``once``, for statements that may be sent twice. The flag tells that an earlier try may have happened.

        A statement fails by a deadlock (then nothing took place) or by a lost connection (then it may have taken
        place: the caller looks at the flag and compares what is stored with what it sent).
        """
        maybe_done = False
        while True:
            attempts -= 1
            try:
                return self.once(sql, parameters), maybe_done
            except StorageUnavailableError as error:
                if attempts == 0 or not is_connection_loss(error.__cause__ or error) or self._never_connected(error):
                    raise
                maybe_done = True
                self.engine.dispose()
            except DriverError as error:
                if attempts == 0 or not is_serialization_conflict(error):
                    raise

    def dispose(self) -> None:
        """Close this process's connections. The database can be used again: new ones are opened."""
        self.engine.dispose()

    def after_fork(self) -> None:
        """Forget, in a forked child, the connections of its parent without closing them.

        They stay referenced for good: a SQLite connection that is closed in a child drops the parent's locks, and
        a closed PostgreSQL connection ends the parent's session.
        """
        _inherited_pools.append(self.engine.pool)
        self.engine.dispose(close=False)
        if self._memory_lock is not None:
            self._memory_lock = threading.RLock()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self._memory_lock is None:
            yield
        else:
            with self._memory_lock:
                yield

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        if self.is_postgres:
            with self.engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
                transaction = connection.begin()
                try:
                    yield connection
                except BaseException:
                    transaction.rollback()
                    raise
                # Lost while committing, nobody knows whether it took place: translated here, so not run again.
                with translated(self.url):
                    transaction.commit()
            return
        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    def _again_when_lost(self, work: Callable[[], T]) -> T:
        with translated(self.url):
            try:
                return work()
            except DriverError as error:
                if is_connection_loss(error) and not self._never_connected(error):
                    self.engine.dispose()
                elif not is_serialization_conflict(error):
                    raise
            return work()

    @staticmethod
    def _never_connected(error: BaseException) -> bool:
        """Whether it was the connecting that failed: trying again at once would only double the wait."""
        cause = error.__cause__ if isinstance(error, StorageUnavailableError) else error
        text = str(driver_cause(cause or error))
        return "connection to server" in text or "could not translate host name" in text


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    _use_wal(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "cache_size = -16000"):
        connection.execute(f"PRAGMA {pragma}").fetchone()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to write-ahead logging. The file keeps that, so whoever comes later finds it done."""
    for attempts_left in reversed(range(_WAL_ATTEMPTS)):
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not attempts_left:
                raise
        # SQLite does not wait for the lock when it switches, but refuses at once. Beginning to write does wait.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _forget_connections_in_child() -> None:
    for database in list(_open_databases):
        database.after_fork()


os.register_at_fork(after_in_child=_forget_connections_in_child)
