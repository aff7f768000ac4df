"""Fixtures of BigQuery: an emulator (bqemulator, over DuckDB) that the real client speaks to over HTTP.

It answers as BigQuery's REST API does; its faults that tests must get around are got around here.
"""

from __future__ import annotations

import importlib.util
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from orchord.embedded.processes import free_port

PROJECT = "orchord-test"
_datasets = itertools.count(1)

# Installed once from a package, as the emulator would fetch it from the internet.
_INSTALL_EXTENSION = "from duckdb_extensions import import_extension; import_extension('spatial')"
# The emulator takes no part of the type that Google's client gives to the data of an upload.
CONTENT_TYPE = ("google.cloud.bigquery.client", "_GENERIC_CONTENT_TYPE", "application/octet-stream")


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory, lacks: Callable[[str, str], NoReturn]) -> Iterator[str]:
    """The URL of an emulator of this session."""
    for package in ("bqemulator", "duckdb_extensions", "google.cloud.bigquery"):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
            lacks("bigquery", f"{package} is not installed; pip install 'orchord[test-services,bigquery]'")
    subprocess.run([sys.executable, "-c", _INSTALL_EXTENSION], check=True, capture_output=True, timeout=60)
    port = free_port()
    command = [str(Path(sys.executable).with_name("bqemulator")), "start", "--project", PROJECT]
    command += ["--rest-port", str(port), "--grpc-port", "0", "--log-level", "error"]
    log_path = tmp_path_factory.mktemp("bigquery") / "server.log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"bqemulator did not start: {log_path.read_text()[-1000:]}", pytrace=False)
            threading.Event().wait(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture
def bigquery_endpoint(bigquery_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the emulator, to which this process's client can upload."""
    module, name, value = CONTENT_TYPE
    monkeypatch.setattr(f"{module}.{name}", value)
    return bigquery_server


@pytest.fixture
def bigquery_dataset() -> str:
    """The name of this test's own dataset."""
    return f"lake_{next(_datasets)}"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
