"""A database that cannot be used: said at once, with its address, without its password, with what to do."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time

import psycopg2
import psycopg2.errors
import pytest
import sqlalchemy as sa

from orchord.errors import StorageUnavailableError
from orchord.events import utc_now
from orchord.storage import Storage
from orchord.storage.address import parse_address
from orchord.storage.failures import translated


@contextlib.contextmanager
def opened(url, **options):
    storage = Storage.open(url, **options)
    try:
        yield storage
    finally:
        storage.dispose()


def said(url, error):
    """Return how a driver's error is worded."""
    with pytest.raises(StorageUnavailableError) as caught, translated(parse_address(url)):
        raise error
    assert len(str(caught.value).splitlines()[0]) < 240
    return str(caught.value)


class TestPostgres:
    def test_nobody_listens(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with opened(f"postgresql://me:secret@127.0.0.1:{port}/runs") as storage:
                with pytest.raises(StorageUnavailableError) as caught:
                    storage.ping()
        assert f"postgresql://127.0.0.1:{port}/runs cannot be reached" in str(caught.value)
        assert "Start the server, or correct the storage section of orchord.yaml." in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_a_server_that_does_not_answer_is_given_up_within_five_seconds(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with opened(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/runs") as storage:
                began = time.monotonic()
                with pytest.raises(StorageUnavailableError, match="cannot be reached"):
                    storage.runs.end("x", utc_now())
                assert time.monotonic() - began < 5.0

    def test_no_free_connection_is_given_up_within_five_seconds_and_told_apart(self):
        url = parse_address("postgresql://db/runs")
        text = said("postgresql://db/runs", sa.exc.TimeoutError("QueuePool limit"))
        assert "every connection of this process is in use. Raise storage.pool_size" in text
        assert url.host in text

    @pytest.mark.parametrize(
        ("driver_text", "fix"),
        [
            ('FATAL:  password authentication failed for user "me"', "Check the user and password"),
            ('connection failed: FATAL:  database "runs" does not exist', "Create the database"),
            ("FATAL:  sorry, too many clients already", "Raise max_connections"),
            ("could not translate host name", "Start the server"),
            ("", "Start the server"),
        ],
    )
    def test_each_reason_has_its_fix(self, driver_text, fix):
        assert fix in said("postgresql://me:secret@db/runs", psycopg2.OperationalError(driver_text))

    def test_a_user_without_rights_is_told_so(self):
        text = said("postgresql://db/runs", psycopg2.errors.InsufficientPrivilege("permission denied for table runs"))
        assert "refuses to write: permission denied for table runs. Grant the user the rights" in text

    def test_mistakes_of_our_own_pass_unchanged(self):
        with pytest.raises(psycopg2.errors.SyntaxError), translated(parse_address("postgresql://db/runs")):
            raise psycopg2.errors.SyntaxError("syntax error")


class TestSqlite:
    def test_a_folder_that_is_not_there(self, tmp_path):
        with opened(f"sqlite:///{tmp_path / 'none' / 'x.db'}") as storage:
            with pytest.raises(StorageUnavailableError, match="cannot be opened for writing.*set another ORCHORD_HOME"):
                storage.ping()

    def test_a_file_that_is_no_database(self, tmp_path):
        file = tmp_path / "x.db"
        file.write_bytes(b"this is a text file and no database at all" * 100)
        with opened(f"sqlite:///{file}") as storage:
            with pytest.raises(StorageUnavailableError, match="is not a usable SQLite database.*Move it away"):
                storage.ping()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
    def test_a_file_that_may_not_be_written(self, tmp_path):
        file = tmp_path / "x.db"
        with opened(f"sqlite:///{file}") as storage:
            storage.migrate()
        file.chmod(0o400)
        with opened(f"sqlite:///{file}") as storage, pytest.raises(StorageUnavailableError, match="for writing"):
            storage.migrate()

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with opened(f"sqlite:///{tmp_path / 'file' / 'x.db'}") as storage:
            with pytest.raises(StorageUnavailableError, match="for the database cannot be made.*ORCHORD_HOME"):
                storage.migrate()

    @pytest.mark.parametrize(
        ("driver_text", "words"),
        [
            ("database is locked", "stayed locked for 30 seconds.*use PostgreSQL"),
            ("attempt to write a readonly database", "cannot be opened for writing"),
            ("database or disk is full", "Free some disk space"),
            ("database disk image is malformed", "Move it away"),
            ("no such table: runs", "lacks Orchord's tables. Run `orchord instance migrate`"),
        ],
    )
    def test_each_reason_has_its_fix(self, driver_text, words):
        import re

        assert re.search(words, said("sqlite:////var/x.db", sqlite3.OperationalError(driver_text)))


class TestConnectionsInUse:
    def test_waiting_for_a_connection_ends(self, tmp_path, monkeypatch):
        monkeypatch.setattr("orchord.storage.database.BUSY_TIMEOUT_SECONDS", 0.1)
        with opened(f"sqlite:///{tmp_path / 'x.db'}", pool_size=1, max_overflow=0) as storage:
            with storage.database.reading():
                with pytest.raises(StorageUnavailableError, match="No database connection became free in time"):
                    storage.ping()
