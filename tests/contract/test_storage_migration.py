"""The schema on both engines: migrations make what the code expects; migrating at once and again is harmless."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.storage import Storage
from orchord.storage.migrate import SCHEMA_REVISION, VERSION_TABLE
from orchord.storage.schema import metadata


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request, tmp_path):
    """A storage on a database without tables."""
    if request.param == "postgres":
        storage = Storage.open(request.getfixturevalue("empty_postgres_url"))
    else:
        storage = Storage.open(f"sqlite:///{tmp_path / 'deep' / 'orchord.db'}")
    yield storage
    storage.dispose()


def test_migrations_make_what_the_code_expects(storage):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with storage.database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": storage.database.is_postgres}
        )
        assert compare_metadata(context, metadata) == []


def test_the_partial_indices_of_the_fence_are_there(storage):
    with storage.database.reading() as connection:
        inspector = sa.inspect(connection)
        found = {index["name"]: index for index in inspector.get_indexes("attempts")}
    assert found["uq_attempts_live_or_success"]["unique"]
    options = found["uq_attempts_live_or_success"]["dialect_options"]
    assert "SUCCESS" in str(next(iter(options.values())))


def test_a_database_without_tables_is_told_how_to_get_them(empty):
    with pytest.raises(StorageUnavailableError, match="orchord instance migrate|cannot be opened"):
        empty.check_schema()
    empty.migrate()
    empty.check_schema()


def test_using_tables_that_are_not_there_says_so_too(empty):
    if not empty.database.is_postgres:
        empty.migrate()
        empty.database.transact(lambda c: c.exec_driver_sql("DROP TABLE attempts"))
        empty.database.transact(lambda c: c.exec_driver_sql("ALTER TABLE runs RENAME TO gone"))
    with pytest.raises(StorageUnavailableError, match="lacks Orchord's tables. Run `orchord instance migrate`"):
        empty.runs.page()
    with pytest.raises(StorageUnavailableError, match="lacks Orchord's tables. Run `orchord instance migrate`"):
        empty.runs.end("nobody", datetime.now(UTC))


def test_many_who_migrate_at_once_all_succeed(empty, race):
    storages = [empty, *[Storage.open(empty.database.url.render_as_string(hide_password=False)) for _ in range(4)]]
    race([storage.migrate for storage in storages])
    for storage in storages:
        storage.check_schema()
        storage.dispose()


def test_migrating_again_changes_nothing(storage):
    storage.migrate()
    storage.check_schema()


@pytest.mark.parametrize(("revision", "words"), [("9999", "is of a newer Orchord"), ("0000", "is of an older Orchord")])
def test_another_versions_tables_are_named(storage, revision, words):
    statement = sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :revision")
    storage.database.transact(lambda connection: connection.execute(statement, {"revision": revision}))
    with pytest.raises(StorageUnavailableError, match=words):
        storage.check_schema()


def test_the_newest_migration_is_the_one_that_the_code_names():
    from alembic.script import ScriptDirectory

    from orchord.storage import migrate

    assert ScriptDirectory(str(migrate._SCRIPTS)).get_current_head() == SCHEMA_REVISION
