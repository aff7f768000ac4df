"""What a shipper takes from the files of running, ended and killed attempts, and where it takes it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchord.compute_logs import LogStore, LogStream, StoredComputeLogManager
from orchord.compute_logs.local import LocalComputeLogManager
from orchord.compute_logs.manager import ComputeLogManager
from orchord.compute_logs.shipping import Shipper
from orchord.compute_logs.spool import SpoolFolder
from orchord.compute_logs.streams import StreamName
from orchord.errors import UnavailableError
from orchord.testing.memory_live_pages import MemoryLivePages
from orchord.testing.waiting import eventually

OUT = StreamName("run", "step", 1, LogStream.STDOUT)
FINAL = "logs/storage/run/compute_logs/step.1.out"


class MemoryStore(LogStore):
    """Objects in memory; ``refuses`` makes every upload fail, ``is_away`` all that is asked."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses = False
        self.is_away = False

    def put(self, key: str, data: Path | bytes) -> None:
        if self.refuses:
            raise OSError("the store is away")
        self.objects[key] = data if isinstance(data, bytes) else data.read_bytes()

    def get_range(self, key: str, offset: int, limit: int) -> bytes | None:
        self._check()
        found = self.objects.get(key)
        return None if found is None else found[offset : offset + limit]

    def size(self, key: str) -> int | None:
        found = self.objects.get(key)
        return None if found is None else len(found)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def _check(self) -> None:
        if self.is_away:
            raise ConnectionError("no answer")

    def delete_prefix(self, prefix: str) -> None:
        self._check()
        for key in [key for key in self.objects if key.startswith(prefix)]:
            del self.objects[key]


@pytest.fixture
def live() -> MemoryLivePages:
    return MemoryLivePages()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalComputeLogManager]:
    manager = LocalComputeLogManager(tmp_path / "logs", max_bytes=1000)
    manager.announce_as("worker")
    yield manager
    manager.dispose()


@pytest.fixture
def stored(tmp_path: Path, store: MemoryStore) -> Iterator[StoredComputeLogManager]:
    manager = StoredComputeLogManager(store, prefix="logs", local_dir=tmp_path / "logs", max_bytes=1000)
    manager.local.announce_as("worker")
    yield manager
    manager.dispose()


@pytest.fixture
def ship(live: MemoryLivePages) -> Iterator[Callable[..., Shipper]]:
    started: list[Shipper] = []

    def start(manager: ComputeLogManager, owner: str = "worker", pages: MemoryLivePages | None = live) -> Shipper:
        shipper = Shipper(manager, owner, pages)
        shipper.start()
        started.append(shipper)
        return shipper

    yield start
    for shipper in started:
        shipper.stop()


def shown(live: MemoryLivePages) -> bytes:
    chunk = live.read(OUT, 0, 10_000)
    return b"" if chunk is None else chunk.data


def is_complete(live: MemoryLivePages) -> bool:
    chunk = live.read(OUT, 0, 10_000)
    return chunk is not None and chunk.is_complete


def test_lines_are_live_while_the_attempt_runs_and_complete_at_its_end(
    local: LocalComputeLogManager, live: MemoryLivePages, ship: Callable[..., Shipper], tmp_path: Path
) -> None:
    ship(local)
    with local.capture("run", "step", 1):
        print("first")
        eventually(lambda: shown(live) == b"first\n")
        os.system("echo second")
        eventually(lambda: shown(live) == b"first\nsecond\n")
        assert not is_complete(live)
    eventually(lambda: is_complete(live))
    eventually(lambda: not list((tmp_path / "logs" / ".spool").glob("*/*")))
    assert local.read("run", "step", 1, LogStream.STDOUT).data == b"first\nsecond\n"


def test_a_silent_attempt_leaves_no_word(local: LocalComputeLogManager, tmp_path: Path) -> None:
    with local.capture("run", "step", 1):
        pass
    assert not (tmp_path / "logs" / ".spool").exists()


def test_an_ended_stream_is_moved_to_the_store_and_read_from_there(
    stored: StoredComputeLogManager,
    store: MemoryStore,
    live: MemoryLivePages,
    ship: Callable[..., Shipper],
    tmp_path: Path,
) -> None:
    stored.live = stored.local.live = live
    ship(stored)
    with stored.capture("run", "step", 1):
        print("kept")
    eventually(lambda: FINAL in store.objects and live.of_run("run") == [])
    assert not list((tmp_path / "logs").glob("run/*"))
    chunk = stored.read("run", "step", 1, LogStream.STDOUT)
    assert (chunk.data, chunk.is_complete) == (b"kept\n", True)
    assert stored.read("run", "step", 1, LogStream.STDERR).data == b""
    stored.delete("run")
    assert store.objects == {}


def test_a_running_stream_is_uploaded_now_and_then(
    stored: StoredComputeLogManager, store: MemoryStore, ship: Callable[..., Shipper]
) -> None:
    stored.upload_interval = 0
    ship(stored, pages=None)
    with stored.capture("run", "step", 1):
        print("so far")
        eventually(lambda: store.objects.get(f"{FINAL}.partial") == b"so far\n")
    eventually(lambda: set(store.objects) == {FINAL})


def test_what_cannot_be_uploaded_is_tried_again(
    stored: StoredComputeLogManager, store: MemoryStore, ship: Callable[..., Shipper]
) -> None:
    store.refuses = True
    ship(stored, pages=None)
    with stored.capture("run", "step", 1):
        print("patience")
    threading.Event().wait(0.5)
    assert stored.read("run", "step", 1, LogStream.STDOUT).data == b"patience\n"
    store.refuses = False
    eventually(lambda: store.objects.get(FINAL) == b"patience\n")


def rounds_until(shipper: Shipper, condition: Callable[[], bool]) -> None:
    def one_more() -> bool:
        shipper.round()
        return condition()

    eventually(one_more)


def test_a_file_that_waits_for_its_store_is_not_held_open(
    stored: StoredComputeLogManager, store: MemoryStore, live: MemoryLivePages
) -> None:
    store.refuses = True
    shipper = Shipper(stored, "worker", live)
    with stored.capture("run", "step", 1):
        print("patience")
    rounds_until(shipper, lambda: any(tail.failures for tail in shipper._tails.values()))
    assert is_complete(live)
    assert [tail._descriptor for tail in shipper._tails.values()] == [-1]
    store.refuses = False
    rounds_until(shipper, lambda: FINAL in store.objects and not shipper._tails)
    shipper.stop()


def test_a_file_that_was_deleted_before_it_was_uploaded_is_let_go_of(
    stored: StoredComputeLogManager, store: MemoryStore
) -> None:
    store.refuses = True
    shipper = Shipper(stored, "worker", None)
    with stored.capture("run", "step", 1):
        print("nobody wants it")
    rounds_until(shipper, lambda: any(tail.failures for tail in shipper._tails.values()))
    stored.delete("run")
    rounds_until(shipper, lambda: not shipper._tails)
    assert store.objects == {}
    shipper.stop()


def test_a_file_is_not_given_up_when_too_many_are_open(
    local: LocalComputeLogManager, live: MemoryLivePages, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(local, "worker", live)
    with local.capture("run", "step", 1):
        print("still there")
    real_open = os.open

    def refuse(path: str, *arguments: int, **options: int) -> int:
        if str(path).endswith(".out"):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return real_open(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        shipper.round()
    assert shown(live) == b""
    shipper.round()
    assert shown(live) == b"still there\n"


def test_what_cannot_be_shown_now_is_shown_later(
    local: LocalComputeLogManager, live: MemoryLivePages, ship: Callable[..., Shipper]
) -> None:
    live.is_away = True
    ship(local)
    with local.capture("run", "step", 1):
        print("late")
        threading.Event().wait(0.5)
    live.is_away = False
    eventually(lambda: is_complete(live))
    assert shown(live) == b"late\n"


KILLED = """
import os, sys
from orchord.compute_logs import LocalComputeLogManager
manager = LocalComputeLogManager(sys.argv[1], max_bytes=1000)
manager.announce_as("dead-worker")
with manager.capture("run", "step", 1):
    print("x" * int(sys.argv[2]), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_printed_is_found_by_another_worker_of_its_machine(
    stored: StoredComputeLogManager, store: MemoryStore, ship: Callable[..., Shipper], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "logs"), "5"], check=False)
    ship(stored, "another-worker", None)
    eventually(lambda: store.objects.get(FINAL) == b"xxxxx\n")
    eventually(lambda: not (tmp_path / "logs" / ".spool" / "dead-worker").exists(), deadline_seconds=40)


def test_the_folder_of_a_living_worker_that_prints_nothing_is_left_to_it(
    local: LocalComputeLogManager, live: MemoryLivePages, tmp_path: Path
) -> None:
    own, other = Shipper(local, "worker", live), Shipper(local, "another-worker", live)
    folder = tmp_path / "logs" / ".spool" / "worker"
    before = folder.stat().st_ino
    other.round()
    assert folder.stat().st_ino == before
    with local.capture("run", "step", 1):
        print("mine")
        other._adopt()
        other.round()
        assert live.of_run("run") == []
        own.round()
        assert shown(live) == b"mine\n"
    for shipper in (own, other):
        shipper.stop()


def test_a_worker_takes_its_folder_once_another_one_lets_go_of_it(
    local: LocalComputeLogManager, live: MemoryLivePages, tmp_path: Path
) -> None:
    folder = SpoolFolder(str(tmp_path / "logs" / ".spool" / "worker"))
    assert folder.take(make=True)
    shipper = Shipper(local, "worker", live)
    with local.capture("run", "step", 1):
        print("soon")
        shipper.round()
        assert live.of_run("run") == []
        folder.close()
        shipper.round()
        assert shown(live) == b"soon\n"


def test_a_killed_processs_file_is_cut_to_its_limit_with_a_mark(
    stored: StoredComputeLogManager, store: MemoryStore, ship: Callable[..., Shipper], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "logs"), "5000"], check=False)
    ship(stored, "another-worker", None)
    eventually(lambda: FINAL in store.objects)
    assert store.objects[FINAL].startswith(b"x" * 1000 + b"\n[orchord] Cut here: 4,001 further bytes were printed;")


def test_a_stream_is_cut_at_its_limit_and_says_how_much_is_missing(local: LocalComputeLogManager) -> None:
    with local.capture("run", "step", 1):
        print("y" * 3000)
        local.watcher._watched.copy().pop().look()
        os.system("echo and the last word of a child")
    chunk = local.read("run", "step", 1, LogStream.STDOUT)
    assert chunk.is_complete
    assert chunk.data == b"y" * 1000 + (
        b"\n[orchord] Cut here: 2,030 further bytes were printed; at most 1,000 bytes of a stream are kept.\n"
    )


def test_a_store_that_does_not_answer_is_told_as_such(stored: StoredComputeLogManager, store: MemoryStore) -> None:
    store.is_away = True
    with pytest.raises(UnavailableError, match="What step 'step' printed cannot be read now: no answer"):
        stored.read("run", "step", 1, LogStream.STDOUT)
    with pytest.raises(
        UnavailableError, match="run run are still in the store. Remove logs/storage/run/compute_logs/ there: no answer"
    ):
        stored.delete("run")


def test_what_is_known_of_a_lost_machine_takes_the_place_of_what_was_uploaded_early(
    stored: StoredComputeLogManager, store: MemoryStore
) -> None:
    store.put(f"{FINAL}.partial", b"so far")
    stored.keep_bytes(OUT, b"so far and further")
    stored.keep_bytes(OUT, b"too late")
    assert store.objects == {FINAL: b"so far and further"}


def test_urls_are_shown_instead_where_that_is_asked_for(store: MemoryStore, tmp_path: Path) -> None:
    manager = StoredComputeLogManager(store, prefix="/logs/", local_dir=tmp_path, show_url_only=True)
    chunk = manager.read("run", "step", 1, LogStream.STDOUT)
    assert (chunk.data.decode(), chunk.is_complete) == (f"{FINAL}\n", True)
    manager.dispose()
