"""The connection to a cluster: credentials, calls at a bounded rate, and refusals as PlatformError with the fix.

The client library is loaded when the first call is made. Objects are the API's own JSON: its models cost more than
the calls. What the calls are for is kubernetes.py.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchord_workers.containers.platform import PlatformError

logger = logging.getLogger(__name__)

IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
CALLS_PER_SECOND = 30.0
BURST = 60
CALL_TIMEOUT_SECONDS = (5.0, 30.0)
# The server ends a watch after this time, and a connection that says nothing for longer is dead.
WATCH_SECONDS = 50
WATCH_READ_SECONDS = 60.0
PASSING_STATUSES = frozenset({0, 401, 408, 425, 429, 500, 502, 503, 504})


@functools.cache
def client_library() -> Any:
    """Return the package ``kubernetes``.

    Raises:
        PlatformError: it is not installed.
    """
    try:
        importlib.import_module("kubernetes.config")
        importlib.import_module("kubernetes.client")
        return importlib.import_module("kubernetes")
    except ImportError as error:
        raise PlatformError(
            f"Kubernetes needs a package that is not installed ({error.name}). Run: pip install 'orchord[k8s]'"
        ) from error


class Gone(PlatformError):
    """The resource version is too old: everything must be listed again."""


class Refused(PlatformError):
    """The API's answer is an error. ``status`` is HTTP's; 0: there was no answer."""

    def __init__(self, message: str, status: int, *, is_passing: bool) -> None:
        super().__init__(message, is_passing=is_passing)
        self.status = status


class Cluster:
    """One cluster, by one identity. Safe for threads.

    Args:
        config: a launcher's config: ``load_incluster_config``, ``kubeconfig_file``, ``k8s_api_ssl_ca_cert_file``.
            Without the first two: in a pod, the pod's service account; else the file that KUBECONFIG names.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._api: Any = None
        self._pace = Pace(CALLS_PER_SECOND, BURST)

    def jobs(self) -> Any:
        """Return the API of Jobs."""
        return client_library().client.BatchV1Api(self._connected())

    def core(self) -> Any:
        """Return the API of pods, events and ConfigMaps."""
        return client_library().client.CoreV1Api(self._connected())

    def call(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
        """Make one call, when its turn has come, and return the API's JSON.

        Args:
            what: what is tried, for the error: "create the Job x".

        Raises:
            Refused: with the API's words.
        """
        body = self.call_raw(what, function, *arguments, **options)
        found: dict[str, Any] = json.loads(body) if body else {}
        return found

    def call_raw(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
        """Make one call, and return the body of the answer.

        Raises:
            Refused: with the API's words.
        """
        self._pace.wait()
        with refusals_told(what):
            response = function(*arguments, _preload_content=False, _request_timeout=CALL_TIMEOUT_SECONDS, **options)
            try:
                body: bytes = response.data
                return body
            finally:
                response.release_conn()

    def follow(
        self, what: str, stream: WatchStream, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the changes of a watch until the server ends it.

        Raises:
            Gone: the resource version is too old.
            Refused: the connection is lost, or was not to be had.
        """
        self._pace.wait()
        with refusals_told(what):
            response = function(
                *arguments,
                watch=True,
                allow_watch_bookmarks=True,
                timeout_seconds=WATCH_SECONDS,
                _preload_content=False,
                _request_timeout=(CALL_TIMEOUT_SECONDS[0], WATCH_READ_SECONDS),
                **options,
            )
            try:
                for line in stream.lines(response):
                    change: dict[str, Any] = json.loads(line)
                    if change["type"] == "ERROR":
                        status = change["object"]
                        if status.get("code") == 410:
                            raise Gone(status.get("message", ""), is_passing=True)
                        raise Refused(f"Cannot {what}: {status.get('message')}", status.get("code", 0), is_passing=True)
                    yield change
            finally:
                response.close()

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            if self._api is not None:
                self._api.close()
            self._api = None

    def host(self) -> str:
        """Return the address of the API server."""
        return str(self._connected().configuration.host)

    def _connected(self) -> Any:
        with self._lock:
            if self._api is None:
                self._api = client_library().client.ApiClient(self._configuration())
            return self._api

    def _configuration(self) -> Any:
        library = client_library()
        configuration = library.client.Configuration()
        file = self._config.get("kubeconfig_file")
        is_inside = self._config.get("load_incluster_config")
        if is_inside is None:
            is_inside = not file and IN_CLUSTER_TOKEN.exists()
        try:
            if is_inside:
                library.config.load_incluster_config(client_configuration=configuration)
            else:
                library.config.load_kube_config(config_file=file, client_configuration=configuration)
        except (library.config.ConfigException, OSError) as error:
            raise PlatformError(
                f"The cluster cannot be reached: {error}. Inside a cluster set load_incluster_config: true; outside "
                "set load_incluster_config: false and kubeconfig_file, or the variable KUBECONFIG."
            ) from error
        configuration.ssl_ca_cert = self._config.get("k8s_api_ssl_ca_cert_file") or configuration.ssl_ca_cert
        # Repeats are this module's callers' matter: they know what may be done twice.
        configuration.retries = False
        if not configuration.verify_ssl:
            logger.warning("The certificate of %s is not checked, as the kubeconfig says", configuration.host)
            warnings.filterwarnings("ignore", message="Unverified HTTPS request is being made to host")
        return configuration


class WatchStream:
    """The lines of one watch at a time, which another thread may cut short."""

    def __init__(self) -> None:
        self._response: Any = None
        self._is_cut = False
        self._lock = threading.Lock()

    def lines(self, response: Any) -> Iterator[bytes]:
        """Yield the lines of an answer."""
        with self._lock:
            if self._is_cut:
                return
            self._response = response
        rest = b""
        for chunk in response.stream(amt=None, decode_content=False):
            *complete, rest = (rest + chunk).split(b"\n")
            yield from filter(None, complete)

    def cut(self) -> None:
        """End the stream, also where a thread waits for its next line."""
        with self._lock:
            self._is_cut = True
            connection = getattr(self._response, "connection", None)
        found = getattr(connection, "sock", None)
        if isinstance(found, socket.socket):
            # The plain socket's: TLS is not closed in an orderly way while another thread reads from it.
            try:
                socket.socket.shutdown(found, socket.SHUT_RDWR)
            except OSError:
                logger.debug("The watch's connection was closed already")


class Pace:
    """Lets calls pass at a rate, after a first burst."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = time.monotonic()
        self._lock = threading.Lock()
        self._never = threading.Event()

    def wait(self) -> None:
        """Wait for the next call's turn."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second) - 1
            self._at = now
            seconds = max(0.0, -self._tokens / self._per_second)
        if seconds:
            self._never.wait(seconds)


@contextmanager
def refusals_told(what: str) -> Iterator[None]:
    """Translate what the client library raises: a PlatformError that says what was tried and what was answered."""
    library = client_library()
    urllib3 = importlib.import_module("urllib3")
    try:
        yield
    except library.client.ApiException as error:
        if error.status == 410:
            raise Gone(str(error.reason), is_passing=True) from error
        status, words = error.status or 0, _words(error)
        # A quota is freed again by what ends.
        is_passing = status in PASSING_STATUSES or (status == 403 and "quota" in words)
        fix = ""
        if status == 403 and not is_passing:
            fix = " Allow it to the launcher's service account (a Role and a RoleBinding)."
        raise Refused(f"Cannot {what}: {words}{fix}", status, is_passing=is_passing) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
        # ValueError and AttributeError: what reading from a connection raises that another thread has closed.
        raise Refused(f"Cannot {what}: {type(error).__name__}: {error}", 0, is_passing=True) from error


def _words(error: Any) -> str:
    body = error.body
    try:
        found = json.loads(body)["message"]
    except (TypeError, ValueError, KeyError):
        found = f"{error.status} {error.reason}"
    # The parser's errors quote the manifest, which may hold secrets.
    return str(found).partition(", error found in #")[0]
