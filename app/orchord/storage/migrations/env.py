"""Alembic's entry: runs the migrations on the connection, and in the transaction, that storage/migrate.py gives it."""

from __future__ import annotations

from alembic import context

from orchord.storage.migrate import VERSION_TABLE
from orchord.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
