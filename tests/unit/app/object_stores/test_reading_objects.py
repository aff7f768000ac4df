"""Reading a large object over a connection that breaks, or while somebody replaces the object."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Iterator

import pytest

import orchord as o
from orchord.object_stores.bucket import Bucket, ReplacedError
from orchord.object_stores.reading import ObjectReader
from orchord.object_stores.s3 import s3_settings

SIZE = 24 << 20


class CuttingProxy:
    """Passes TCP on to a server, and cuts the next connections once they have answered so many bytes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts: list[int] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pass_on, args=(source, target, is_answer))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        passed = 0
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                passed += len(data)
                if is_answer and self.cuts and passed > self.cuts[0]:
                    self.cuts.pop(0)
                    break
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        for one in self._open:
            one.close()


@pytest.fixture
def proxy(s3_bucket) -> Iterator[CuttingProxy]:
    """A proxy before the server of the bucket."""
    made = CuttingProxy(int(s3_bucket.server.url.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
def bucket(s3_bucket, proxy: CuttingProxy) -> Iterator[Bucket]:
    """The bucket, through the proxy."""
    made = Bucket(
        s3_settings(
            s3_bucket.name,
            endpoint_url=f"http://127.0.0.1:{proxy.port}",
            access_key_id=s3_bucket.server.access_key,
            secret_access_key=s3_bucket.server.secret_key,
            max_attempts=1,
        )
    )
    yield made
    made.close()


def test_a_broken_connection_is_taken_up_where_it_broke(bucket: Bucket, proxy: CuttingProxy) -> None:
    content = os.urandom(SIZE)
    bucket.put("large", content)
    proxy.cuts = [5 << 20, 9 << 20]
    with io.BufferedReader(ObjectReader(bucket, "large")) as file:
        assert file.read() == content
    assert proxy.cuts == []


def test_what_was_replaced_meanwhile_is_not_read_on(bucket: Bucket, proxy: CuttingProxy, s3_bucket) -> None:
    bucket.put("large", b"a" * SIZE)
    proxy.cuts = [5 << 20]
    with ObjectReader(bucket, "large") as reader:
        reader.read(1)
        with s3_bucket.client() as client:
            client.put_object(Bucket=s3_bucket.name, Key="large", Body=b"b" * SIZE)
        with pytest.raises(ReplacedError, match="was replaced while it was read"):
            reader.readall()


def test_an_io_manager_reads_a_value_that_was_replaced_meanwhile_from_its_beginning(
    s3_bucket, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = s3_bucket.server
    s3 = o.S3Resource(
        endpoint_url=f"http://127.0.0.1:{proxy.port}",
        # The library takes reads up again by itself, if it may.
        max_attempts=1,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    manager = o.PickledObjectS3IOManager(s3_bucket.name, s3)
    made = o.build_output_context(step_key="make", name="result", run_id="run-1")
    manager.handle_output(made, b"a" * SIZE)
    proxy.cuts = [5 << 20]
    versions: list[str | None] = []
    get = manager.bucket.get

    def replace_before_reading_on(key: str, *, offset: int = 0, version: str | None = None):
        if offset:
            manager.handle_output(o.build_output_context(step_key="make", name="result", run_id="run-1"), b"b" * SIZE)
            versions.append(version)
        return get(key, offset=offset, version=version)

    monkeypatch.setattr(manager.bucket, "get", replace_before_reading_on)
    assert manager.load_input(o.build_input_context(name="value", upstream_output=made)) == b"b" * SIZE
    assert len(versions) == 1
    manager.bucket.close()


def test_a_writer_that_fails_leaves_no_parts_behind(seaweedfs_bucket) -> None:
    server = seaweedfs_bucket.server
    bucket = Bucket(
        s3_settings(
            seaweedfs_bucket.name,
            endpoint_url=server.url,
            access_key_id=server.access_key,
            secret_access_key=server.secret_key,
        )
    )
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(bucket)
    assert seaweedfs_bucket.unfinished_uploads() == 0
    assert seaweedfs_bucket.object_keys() == []
    bucket.close()


def _write_and_fail(bucket: Bucket) -> None:
    with bucket.writing("key") as writer:
        for _ in range(6):
            writer.write(bytes(8 << 20))
        raise ZeroDivisionError
