"""Which form the tables have and how they get this version's: Alembic over migrations/, one process at a time.

The tables as the code knows them are schema.py; a test holds the two together.
"""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.storage.address import sqlite_file
from orchord.storage.database import Database
from orchord.storage.failures import translated

# The newest revision in migrations/versions; a test holds this.
SCHEMA_REVISION = "0002"
VERSION_TABLE = "orchord_schema"
_MIGRATION_LOCK = 0x4F52434D
_SCRIPTS = Path(__file__).parent / "migrations"


def check_schema(database: Database) -> None:
    """Check that the tables have the form that this version needs.

    Raises:
        StorageUnavailableError: they have not.
    """
    with database.reading() as connection:
        found = _revision(connection)
    if found == SCHEMA_REVISION:
        return
    if found is None:
        raise StorageUnavailableError(
            f"The database at {database.address} has no tables of Orchord yet. Run `orchord instance migrate`."
        )
    if found > SCHEMA_REVISION:
        raise StorageUnavailableError(
            f"The database at {database.address} is of a newer Orchord (schema {found}; this one knows "
            f"{SCHEMA_REVISION}). Update Orchord in this environment."
        )
    raise StorageUnavailableError(
        f"The database at {database.address} is of an older Orchord (schema {found}; this one needs "
        f"{SCHEMA_REVISION}). Run `orchord instance migrate`."
    )


def migrate(database: Database) -> None:
    """Bring the tables to this version's form; whoever comes second waits and finds nothing to do."""
    file = sqlite_file(database.url)
    if file is not None:
        _make_folder(file.parent)
    database.transact(lambda connection: _upgrade(connection, database))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailableError(
            f"The folder {folder} for the database cannot be made: {error.strerror}. "
            "Make it writable for this user, or set another ORCHORD_HOME."
        ) from error


def _upgrade(connection: sa.Connection, database: Database) -> None:
    if database.is_postgres:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    found = _revision(connection)
    if found == SCHEMA_REVISION:
        return
    # Optional work: Alembic is imported only where there is something to migrate, as it costs a tenth of a second.
    from alembic import command  # noqa: PLC0415 - as said above
    from alembic.config import Config  # noqa: PLC0415 - as said above

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with translated(database.url):
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)
