"""A new SQLite file that many open at the same moment: each waits for the others, and all find write-ahead logging."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import sqlalchemy as sa

from orchord.storage import Storage


def test_many_who_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    # Without waiting, about one round in twenty fails.
    for number in range(100):
        storages = [Storage.open(f"sqlite:///{tmp_path}/{number}.db") for _ in range(5)]
        start = Barrier(len(storages))

        def mode(storage: Storage, start: Barrier = start) -> str:
            start.wait()
            return str(storage.database.rows(sa.text("PRAGMA journal_mode"))[0][0])

        with ThreadPoolExecutor(len(storages)) as threads:
            assert list(threads.map(mode, storages)) == ["wal"] * len(storages)
        for storage in storages:
            storage.dispose()
