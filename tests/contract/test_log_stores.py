"""What every store of compute logs does alike: on S3, Azure and Google Cloud Storage, by the managers' own keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchord.compute_logs.azure import AzureBlobComputeLogManager, AzureComputeLogManager
from orchord.compute_logs.gcs import GCSComputeLogManager
from orchord.compute_logs.manager import LogStream
from orchord.compute_logs.s3 import S3ComputeLogManager
from orchord.compute_logs.store import LogStore, StoredComputeLogManager
from orchord.compute_logs.streams import StreamName

# Both families of keys that instance files know each store by.
MANAGERS = ["s3-endpoint", "s3-endpoint_url", "s3-moto", "azure-access_key", "azure-either", "gcs"]


def _manager(name: str, request: pytest.FixtureRequest, folder: Path) -> StoredComputeLogManager:
    options: dict[str, Any] = {"prefix": "logs/here", "local_dir": str(folder)}
    if name.startswith("s3"):
        request.getfixturevalue("object_store_library")
        server = request.getfixturevalue("moto_s3_server" if name == "s3-moto" else "seaweedfs_server")
        keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
        bucket = server.new_bucket().name
        if name == "s3-endpoint_url":
            # The access key is the environment's, as boto3 has it.
            monkeypatch = request.getfixturevalue("monkeypatch")
            for key, value in keys.items():
                monkeypatch.setenv(f"AWS_{key.upper()}", value)
            return S3ComputeLogManager(
                bucket=bucket, endpoint_url=server.url.removeprefix("http://"), use_ssl=False, verify=False, **options
            )
        return S3ComputeLogManager(
            bucket=bucket,
            endpoint=server.url,
            region="default",
            allow_http=True,
            allow_invalid_certificates=True,
            **keys,
            **options,
        )
    if name.startswith("azure"):
        container = request.getfixturevalue("azure_container")
        where = {"storage_account": container.account, "container": container.name, "endpoint": container.url}
        if name == "azure-either":
            return AzureComputeLogManager(**where, access_key_or_sas_token=container.key, **options)
        return AzureBlobComputeLogManager(**where, access_key=container.key, allow_http=True, **options)
    bucket = request.getfixturevalue("gcs_bucket")
    return GCSComputeLogManager(bucket=bucket.name, endpoint=bucket.url, **options)


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoredComputeLogManager]:
    """Each manager, by each family of keys."""
    made = _manager(request.param, request, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def store(manager: StoredComputeLogManager) -> LogStore:
    """The manager's store."""
    return manager.store


class TestEveryLogStore:
    def test_bytes_come_back_in_ranges(self, store: LogStore) -> None:
        store.put("a/b.out", b"0123456789")
        assert store.size("a/b.out") == 10
        assert store.get_range("a/b.out", 0, 100) == b"0123456789"
        assert store.get_range("a/b.out", 3, 4) == b"3456"
        assert store.get_range("a/b.out", 8, 100) == b"89"
        assert store.get_range("a/b.out", 10, 5) == b""
        assert store.get_range("a/b.out", 99, 5) == b""

    def test_a_file_is_stored_and_replaced(self, store: LogStore, tmp_path: Path) -> None:
        file = tmp_path / "large"
        for content in (b"first", b"second" * 5_000_000, b""):
            file.write_bytes(content)
            store.put("x.out", file)
            assert store.size("x.out") == len(content)
            assert store.get_range("x.out", 0, len(content) or 1) == content

    def test_what_is_not_there_reads_as_none(self, store: LogStore) -> None:
        assert store.get_range("nothing", 0, 10) is None
        assert store.size("nothing") is None

    def test_one_object_is_removed_and_none_is_no_error(self, store: LogStore) -> None:
        for key in ("r/a.out", "r/a.out.partial"):
            store.put(key, b"x")
        for _ in range(2):
            store.delete("r/a.out.partial")
        assert [store.size(key) for key in ("r/a.out", "r/a.out.partial")] == [1, None]

    def test_a_prefix_is_removed_and_nothing_beside_it(self, store: LogStore) -> None:
        keys = ["r/1/a.1.out", "r/1/a.1.out.partial", "r/1/b.out", "r/10/a.out"]
        for key in keys:
            store.put(key, b"x")
        store.delete_prefix("r/1/a.1.out.partial")
        assert [store.size(key) for key in keys] == [1, None, 1, 1]
        store.delete_prefix("r/1/")
        store.delete_prefix("r/none/")
        assert [store.size(key) for key in keys] == [None, None, None, 1]


class TestEveryManager:
    def test_a_stream_that_has_ended_is_read_from_the_store(
        self, manager: StoredComputeLogManager, tmp_path: Path
    ) -> None:
        name = StreamName("run-1", "outer.step", 2, LogStream.STDOUT)
        file = tmp_path / "elsewhere" / "stream"
        file.parent.mkdir()
        file.write_bytes(b"one\ntwo\n")
        manager.keep(name, str(file), is_complete=True)
        assert manager.store.size("logs/here/storage/run-1/compute_logs/outer.step.2.out") == 8
        chunk = manager.read("run-1", "outer.step", 2, LogStream.STDOUT)
        assert (chunk.data, chunk.next_offset, chunk.is_complete) == (b"one\ntwo\n", 8, True)
        manager.delete("run-1")
        assert manager.read("run-1", "outer.step", 2, LogStream.STDOUT).data == b""
