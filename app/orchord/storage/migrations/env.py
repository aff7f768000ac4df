"""Alembic's entry: runs the migrations on the connection, and in the transaction, that it is given.

Who gives them is storage/migrate.py, which also takes the lock that lets one process migrate at a time.
"""

from __future__ import annotations

from alembic import context

from orchord.storage.migrate import VERSION_TABLE
from orchord.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
