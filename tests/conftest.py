"""What every test stands on: a clean environment, real services on demand, and a check that nothing is left behind.

Services start at most once a session, each test gets its own database or an emptied server. A service that is
missing skips the tests that need it, with the reason; those named in ``ORCHORD_TEST_REQUIRE`` fail instead.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import pytest
import redis

from orchord.embedded.postgres import server_binaries, start_postgres
from orchord.embedded.processes import free_port
from orchord.embedded.valkey import server_binary, start_valkey
from orchord.errors import BrokerUnavailableError, StorageUnavailableError

pytest_plugins = ["services.bigquery", "services.containers", "services.ecs", "services.object_stores"]

# Those of services/ among them; what each needs is told by the fixture that misses it.
SERVICES = ("azure", "bigquery", "docker", "ecs", "gcs", "kubernetes", "postgres", "rabbitmq", "s3", "valkey")
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
OWN_PREFIXES = ("ORCHORD_", "DAGSTER_")
GRACE_SECONDS = 15.0

# Whole clusters are not started by tests; they are told where one is.
KUBECONFIG_VARIABLE = "ORCHORD_TEST_KUBECONFIG"

_required_services: frozenset[str] = frozenset()
_kubeconfig: str | None = None
_database_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Read ``ORCHORD_TEST_REQUIRE``, then take the product's variables out of the environment for good."""
    global _required_services, _kubeconfig
    for_workers = getattr(config, "workerinput", None)
    if for_workers is not None:
        # One of several processes of pytest-xdist: the one that started it has read the variables.
        _required_services = frozenset(for_workers["required_services"])
        _kubeconfig = for_workers["kubeconfig"]
        return
    named = {name.strip() for name in os.environ.get("ORCHORD_TEST_REQUIRE", "").split(",") if name.strip()}
    unknown = named - set(SERVICES)
    if unknown:
        raise pytest.UsageError(f"ORCHORD_TEST_REQUIRE names {sorted(unknown)}; known are {', '.join(SERVICES)}")
    _required_services = frozenset(named)
    _kubeconfig = os.environ.get(KUBECONFIG_VARIABLE)
    for name in own_variables():
        del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a further process of pytest-xdist which services are required."""
    node.workerinput["required_services"] = sorted(_required_services)
    node.workerinput["kubeconfig"] = _kubeconfig


def own_variables() -> list[str]:
    """Return the names of the product's variables that are set now."""
    return [name for name in os.environ if name.startswith(OWN_PREFIXES)]


def lacking(service: str, reason: str) -> NoReturn:
    """Skip the test that needs ``service``, or fail it where the service is required."""
    if service in _required_services:
        pytest.fail(f"{service} is required by ORCHORD_TEST_REQUIRE, and missing: {reason}", pytrace=False)
    pytest.skip(f"needs {service}: {reason}")


@pytest.fixture(scope="session")
def lacks() -> Callable[[str, str], NoReturn]:
    """Skips the test that needs a service, or fails it where the service is required: for fixtures in services/."""
    return lacking


@pytest.fixture(scope="session")
def kubeconfig_path() -> str | None:
    """Where ``ORCHORD_TEST_KUBECONFIG`` says that a cluster for tests is told of."""
    return _kubeconfig


def wait_until(condition: Callable[[], bool], seconds: float = GRACE_SECONDS) -> bool:
    """Return whether ``condition`` came true in time. Polls with a growing pause of 1 to 50 ms."""
    pause, deadline = 0.001, time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(pause)
        pause = min(pause * 2, 0.05)
    return True


# --- nothing left behind -------------------------------------------------------------------------------------------


def open_connections() -> dict[int, str]:
    """Return this process's open sockets and SQLite files, by file descriptor."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = entry.readlink()
            is_socket = stat.S_ISSOCK(entry.stat().st_mode)
        except OSError:
            continue
        if is_socket or ".db" in target.name or ".sqlite" in target.name:
            found[int(entry.name)] = str(target)
    return found


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """Fail a test that leaves the product's variables behind (use ``monkeypatch``)."""
    yield
    left = own_variables()
    for name in left:
        del os.environ[name]
    if left:
        pytest.fail(f"the test left environment variables behind: {', '.join(sorted(left))}", pytrace=False)


@pytest.fixture(autouse=True)
def _nothing_left_behind(_clean_environment: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves threads or connections behind, once they had time to end."""
    if not Path("/proc/self/fd").is_dir():
        yield
        return
    threads_before, connections_before = set(threading.enumerate()), set(open_connections().items())
    yield

    def threads_left() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread not in threads_before and thread.is_alive()}

    def connections_left() -> set[tuple[int, str]]:
        return set(open_connections().items()) - connections_before

    if not threads_left() and not connections_left():
        return
    gc.collect()
    wait_until(lambda: not threads_left() and not connections_left())
    mistakes = [f"thread {thread.name!r}" for thread in threads_left()]
    mistakes += [f"connection fd {number} -> {target}" for number, target in sorted(connections_left())]
    if mistakes:
        pytest.fail(f"the test left behind: {'; '.join(mistakes)}", pytrace=False)


# --- Postgres ------------------------------------------------------------------------------------------------------


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=5)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.fixture(scope="session")
def postgres_server(bridge_address: str | None) -> Iterator[str]:
    """The URL of a Postgres server of this session (database ``postgres``), with superuser rights.

    Where Docker runs, containers reach it by the bridge's address.
    """
    try:
        server_binaries()
    except StorageUnavailableError as missing:
        lacking("postgres", str(missing))
    with start_postgres(also_on=[bridge_address] if bridge_address else []) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a database on which all migrations have run."""
    from orchord.storage import Storage

    _execute(postgres_server, "CREATE DATABASE orchord_template")
    storage = Storage.open(_database_url(postgres_server, "orchord_template"))
    try:
        storage.migrate()
    finally:
        storage.dispose()
    return "orchord_template"


def _database_url(server_url: str, database: str) -> str:
    return f"{server_url.rsplit('/', 1)[0]}/{database}"


@contextlib.contextmanager
def _database(server_url: str, template: str) -> Iterator[str]:
    """Create a database from a template; at the end, fail when connections to it are left, and drop it."""
    name = f"test_{next(_database_numbers)}"
    _execute(server_url, f'CREATE DATABASE {name} TEMPLATE "{template}"')

    def clients() -> list[tuple[object, ...]]:
        return _execute(
            server_url, f"SELECT pid, application_name, state, query FROM pg_stat_activity WHERE datname = '{name}'"
        )

    try:
        yield _database_url(server_url, name)
        wait_until(lambda: not clients())
        left = clients()
    finally:
        _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")
    if left:
        pytest.fail(f"connections to Postgres were left open: {left}", pytrace=False)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of this test's own, migrated database."""
    with _database(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of this test's own database, without any table."""
    with _database(postgres_server, "template1") as url:
        yield url


# --- Valkey --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def valkey_server(bridge_address: str | None) -> Iterator[str]:
    """The URL of a Valkey server of this session. Where Docker runs, containers reach it by the bridge's address."""
    try:
        server_binary()
    except BrokerUnavailableError as missing:
        lacking("valkey", str(missing))
    with start_valkey(also_on=[bridge_address] if bridge_address else []) as url:
        yield url


@pytest.fixture
def valkey_url(valkey_server: str) -> Iterator[str]:
    """The URL of the session's Valkey server, emptied; at the end, fail when connections to it are left."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
        before = {entry["id"] for entry in client.client_list()}

        def left() -> list[str]:
            new = [entry for entry in client.client_list() if entry["id"] not in before]
            return [f"{entry['addr']} lib={entry.get('lib-name')} cmd={entry['cmd']}" for entry in new]

        yield valkey_server
        if not wait_until(lambda: not left()):
            pytest.fail(f"connections to Valkey were left open: {left()}", pytrace=False)


# --- RabbitMQ ------------------------------------------------------------------------------------------------------


class RabbitMQ:
    """Debian's RabbitMQ server in a folder of its own, run as the user ``rabbitmq`` when we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.epmd_port = free_port()
        self.node = f"orchord{self.port}@localhost"
        self._process: subprocess.Popen[bytes] | None = None

    def _as_rabbitmq(self, command: str) -> list[str]:
        if os.geteuid() == 0:
            return ["su", "rabbitmq", "-s", "/bin/sh", "-c", command]
        return ["/bin/sh", "-c", command]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }

    def _run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._as_rabbitmq(command), env=self._environment(), cwd="/", check=True, capture_output=True, timeout=60
        )

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "rabbitmq", "rabbitmq")
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._as_rabbitmq(f"exec {RABBITMQ_SERVER}"),
                env=self._environment(),
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not wait_until(self._answers, seconds=60):
            pytest.fail(f"RabbitMQ did not start: {(self.folder / 'server.log').read_text()[-1000:]}", pytrace=False)

    def _answers(self) -> bool:
        # The listener opens last, when all else of the server stands.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def add_virtual_host(self, name: str) -> str:
        """Add an empty virtual host that guest may use; return its URL."""
        control = f"rabbitmqctl -q -n {self.node}"
        self._run(f"{control} add_vhost {name} && {control} set_permissions -p {name} guest '.*' '.*' '.*'")
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """Stop the server, and the port mapper that it left behind."""
        with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            self._run(f"rabbitmqctl -q -n {self.node} stop")
        if self._process is not None:
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("epmd -kill")


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A RabbitMQ server of this session."""
    if not RABBITMQ_SERVER.exists():
        lacking("rabbitmq", f"{RABBITMQ_SERVER} is not there; apt-get install rabbitmq-server")
    folder = Path("/tmp") / f"orchord-rabbitmq-{os.getpid()}"
    folder.mkdir(mode=0o755)
    server = RabbitMQ(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitMQ) -> str:
    """The URL of this test's own virtual host."""
    return rabbitmq_server.add_virtual_host(f"test_{next(_database_numbers)}")
