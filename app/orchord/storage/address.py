"""Database addresses: which are understood, how they become SQLAlchemy's, and how they are shown without password.

Pure: nothing is connected here (database.py does that).
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from orchord.errors import InstanceConfigError

POSTGRES_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg2"})


def parse_address(url: str) -> sa.URL:
    """Return the address as SQLAlchemy needs it.

    Raises:
        InstanceConfigError: the text is no URL, or names a database that Orchord does not speak to.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise InstanceConfigError(
            "The storage address cannot be read",
            ["it is no URL. Write postgresql://user:password@host:5432/database or sqlite:////absolute/file.db."],
        ) from None
    if parsed.drivername in POSTGRES_SCHEMES:
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed.set(drivername="sqlite")
    raise InstanceConfigError(
        "The storage address names a database that Orchord does not speak to",
        [f"found '{parsed.drivername}'. Use postgresql://... or sqlite:///..."],
    )


def shown(url: sa.URL) -> str:
    """Return the address for messages and logs: no user's password, no driver."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database or ':memory:'}"
    return f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file of a SQLite address, or None for another engine or a database in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)
