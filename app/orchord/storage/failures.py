"""Where drivers' errors become Orchord's, once: what failed, at which address, and what to do about it.

Retrying is decided in database.py; the questions it asks about an error (is the connection gone, was it a
deadlock) are answered here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.errors
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.storage.address import shown, sqlite_file

DriverError = (sa.exc.SQLAlchemyError, psycopg2.Error, sqlite3.Error)

_MIGRATE = "Run `orchord instance migrate` with this instance's ORCHORD_HOME."


def driver_cause(error: BaseException) -> BaseException:
    """Return the driver's own error under SQLAlchemy's wrapper."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error


def is_connection_loss(error: BaseException) -> bool:
    """Whether the server closed the connection, so that a statement may be sent again over a new one."""
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    cause = driver_cause(error)
    if not isinstance(cause, psycopg2.OperationalError | psycopg2.InterfaceError):
        return False
    return cause.pgcode is None or cause.pgcode.startswith(("57P", "08"))


def is_serialization_conflict(error: BaseException) -> bool:
    """Whether the database gave up one of two statements that waited for each other."""
    return isinstance(driver_cause(error), psycopg2.errors.DeadlockDetected | psycopg2.errors.SerializationFailure)


def is_unique_violation(error: BaseException) -> bool:
    """Whether a unique index refused the row."""
    cause = driver_cause(error)
    if isinstance(cause, sqlite3.IntegrityError):
        return "UNIQUE" in str(cause)
    return isinstance(cause, psycopg2.errors.UniqueViolation)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a lock was not to be had within the time that was given."""
    return isinstance(driver_cause(error), psycopg2.errors.LockNotAvailable)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turn drivers' errors into StorageUnavailableError. Errors that would be a bug of ours pass unchanged."""
    try:
        yield
    except DriverError as error:
        translation = _translate(error, url)
        if translation is None:
            raise
        raise translation from error


def _translate(error: BaseException, url: sa.URL) -> StorageUnavailableError | None:
    address = shown(url)
    cause = driver_cause(error)
    if isinstance(error, sa.exc.TimeoutError):
        return StorageUnavailableError(
            f"No database connection became free in time at {address}: every connection of this process is in use. "
            "Raise storage.pool_size in orchord.yaml, or start fewer threads."
        )
    if isinstance(cause, sqlite3.Error):
        return _translate_sqlite(cause, url)
    if not isinstance(cause, psycopg2.Error):
        return None
    if isinstance(cause, psycopg2.errors.UndefinedTable | psycopg2.errors.UndefinedColumn):
        return StorageUnavailableError(f"The database at {address} lacks Orchord's tables. {_MIGRATE}")
    if isinstance(cause, psycopg2.errors.InsufficientPrivilege | psycopg2.errors.ReadOnlySqlTransaction):
        return StorageUnavailableError(
            f"The database at {address} refuses to write: {_first_line(cause)}. "
            "Grant the user the rights on its schema, and point Orchord at the primary server."
        )
    if isinstance(cause, psycopg2.OperationalError | psycopg2.InterfaceError):
        return _postgres_unreachable(cause, address)
    return None


def _postgres_unreachable(cause: psycopg2.Error, address: str) -> StorageUnavailableError:
    text = _first_line(cause)
    if "password authentication failed" in text or "no password supplied" in text:
        fix = "Check the user and password in the storage section of orchord.yaml."
    elif "does not exist" in text:
        fix = "Create the database, or correct its name in the storage section of orchord.yaml."
    elif "too many clients" in text or "remaining connection slots" in text:
        fix = "Raise max_connections on the server, or lower storage.pool_size in orchord.yaml."
    else:
        fix = "Start the server, or correct the storage section of orchord.yaml."
    return StorageUnavailableError(f"The database at {address} cannot be reached: {text}. {fix}")


def _translate_sqlite(cause: sqlite3.Error, url: sa.URL) -> StorageUnavailableError | None:
    address, text = shown(url), str(cause)
    if "no such table" in text or "no such column" in text or "has no column" in text:
        return StorageUnavailableError(f"The database at {address} lacks Orchord's tables. {_MIGRATE}")
    if "locked" in text or "busy" in text:
        return StorageUnavailableError(
            f"The database at {address} stayed locked for 30 seconds. "
            "Close the program that holds it, or use PostgreSQL for this much work."
        )
    if "readonly" in text or "unable to open" in text:
        return StorageUnavailableError(
            f"The database at {address} cannot be opened for writing: {text}. "
            "Make the file and its folder writable for this user, or set another ORCHORD_HOME."
        )
    if "not a database" in text or "malformed" in text:
        file = sqlite_file(url)
        return StorageUnavailableError(f"The file {file} is not a usable SQLite database: {text}. Move it away.")
    if "full" in text or "disk I/O" in text:
        return StorageUnavailableError(f"The database at {address} cannot write: {text}. Free some disk space.")
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].removeprefix("FATAL:").strip().rstrip(".") if lines else type(error).__name__
