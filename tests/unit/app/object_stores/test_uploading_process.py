"""The process that changes a bucket for others: it comes back when it dies, and goes when its parent does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from orchord.object_stores import bucket as buckets
from orchord.object_stores import uploader as uploading
from orchord.object_stores.bucket import Bucket
from orchord.object_stores.s3 import s3_settings
from orchord.object_stores.settings import StoreSettings
from orchord.object_stores.uploader import Uploader
from orchord.testing import eventually


@pytest.fixture
def settings(seaweedfs_bucket) -> StoreSettings:
    """How to reach a new bucket."""
    server = seaweedfs_bucket.server
    return s3_settings(
        seaweedfs_bucket.name,
        endpoint_url=server.url,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        max_attempts=1,
    )


def test_it_comes_back_when_it_has_died(settings: StoreSettings) -> None:
    uploader = Uploader(settings)
    uploader.put("key", b"first")
    process = uploader._process
    assert process is not None
    process.kill()
    process.wait()
    uploader.put("key", b"second one")
    assert uploader.size("key") == 10
    uploader.close()
    assert uploader.size("key") == 10
    uploader.close()


def test_its_errors_are_those_of_a_bucket(settings: StoreSettings, tmp_path: Path) -> None:
    uploader = Uploader(settings)
    with pytest.raises(FileNotFoundError):
        uploader.put("key", tmp_path / "no-such-file")
    uploader.close()
    wrong = {**settings.options, "secret_access_key": "wrong-secret"}
    uploader = Uploader(msgspec.structs.replace(settings, options=wrong))
    with pytest.raises(PermissionError, match="Check the credentials"):
        uploader.put("key", b"x")
    uploader.close()


def test_bytes_larger_than_a_pipe_arrive_whole(settings: StoreSettings, seaweedfs_bucket) -> None:
    uploader, data = Uploader(settings), os.urandom(3_000_000)
    uploader.put("key", data)
    uploader.close()
    assert seaweedfs_bucket.body("key") == data


def test_it_can_be_closed_while_a_request_hangs(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "_STOP_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {**settings.options, "endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        uploader = Uploader(msgspec.structs.replace(settings, options=options))
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                uploader.size("key")
            except ConnectionError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        connection, _ = silent.accept()
        uploader.close()
        thread.join(30)
        connection.close()
    assert "ended while it was asked to size key" in str(errors[0])


def test_requests_that_wait_are_refused_when_it_is_closed(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_STOP_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {**settings.options, "endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        uploader = Uploader(msgspec.structs.replace(settings, options=options))
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(uploader.size, f"key{number}") for number in range(3)]
            connection, _ = silent.accept()
            uploader.close()
            errors = sorted(str(one.exception(10)) for one in asked)
        connection.close()
        assert uploader._process is None
    assert all(text.startswith("Not asked to size key") for text in errors[:2])
    assert "ended while it was asked to size" in errors[2]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_a_process_of_its_own_though_its_parent_is_in_the_middle_of_a_request(
    settings: StoreSettings,
) -> None:
    uploader = Uploader(settings)
    uploader.put("key", b"x")
    assert uploader._process is not None
    own = uploader._process.pid
    with uploader._lock:
        child = os.fork()
        if not child:
            uploader.put("of-the-fork", b"xyz")
            uploader.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert uploader.size("of-the-fork") == 3
    assert uploader._process.pid == own
    uploader.close()


def test_no_secret_stands_in_its_arguments(settings: StoreSettings) -> None:
    uploader = Uploader(settings)
    uploader.put("key", b"x")
    assert uploader._process is not None
    shown = Path(f"/proc/{uploader._process.pid}/cmdline").read_bytes()
    assert settings.options["secret_access_key"].encode() not in shown
    uploader.close()


def test_it_ends_when_its_parent_is_killed_though_a_forked_child_lives_on(settings: StoreSettings) -> None:
    program = f"""
import msgspec, os, signal, sys
from orchord.object_stores.settings import StoreSettings
from orchord.object_stores.uploader import Uploader
uploader = Uploader(msgspec.convert({msgspec.to_builtins(settings)!r}, StoreSettings))
uploader.put("key", b"x")
child = os.fork()
if not child:
    signal.pause()
print(uploader._process.pid, child, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process, child = (int(word) for word in parent.stdout.readline().split())
        parent.kill()
        try:
            eventually(lambda: not Path(f"/proc/{process}/fd").exists() or not _lives(process), deadline_seconds=30)
        finally:
            os.kill(child, signal.SIGKILL)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_fork_of_a_process_that_used_a_store_is_told_so_rather_than_left_waiting(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_process_of_threads", os.getpid() + 1)
    with pytest.raises(RuntimeError, match="was used in the process that this one was forked from.*'spawn' or"):
        Bucket(settings).size("key")
