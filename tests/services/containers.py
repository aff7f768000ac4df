"""Fixtures of what starts containers: a Docker Engine, the product's image, a cluster, and services that they reach.

The servers themselves are started in tests/conftest.py; object stores and emulators have modules of their own here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import ipaddress
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

ROOT = Path(__file__).parents[2]
USER_CODE = ROOT / "tests" / "e2e"
BASE_IMAGE = "python:3.11-slim"
IMAGE_NAME = "orchord-test"
DOCKERFILE = "compose/Dockerfile"
SOURCES = ("app", "workers", "beat", "web")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", DOCKERFILE, "compose/requirements.py", ".dockerignore")
# Built by one process at a time; the others find the image.
LOCK = Path("/tmp/orchord-test-image.lock")

Lacks = Callable[[str, str], NoReturn]


@dataclass(frozen=True)
class ServicesForContainers:
    """Where a database and a broker of one test are: the same addresses serve this machine and its containers."""

    database: str
    broker: str
    address: str


def _call_engine() -> None:
    """Raise OSError where nobody listens: Docker's own client would leave the socket open."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://"):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.connect(host.removeprefix("unix://"))


def _bridge_of(client: docker.DockerClient) -> str:
    configured = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # An engine that found the bridge standing does not tell its address; it is the first of the subnet.
    return str(configured.get("Gateway") or next(ipaddress.ip_network(configured["Subnet"]).hosts()))


@pytest.fixture(scope="session")
def docker_trouble() -> str | None:
    """Why Docker cannot be used, or None."""
    try:
        _call_engine()
        with contextlib.closing(docker.from_env(timeout=10)) as client:
            client.ping()
    except (DockerException, OSError) as error:
        return f"no Docker Engine answers ({error}); install docker.io, start dockerd"
    return None


@pytest.fixture(scope="session")
def bridge_address(docker_trouble: str | None) -> str | None:
    """The address of this machine that containers reach; None without Docker."""
    if docker_trouble is not None:
        return None
    with contextlib.closing(docker.from_env(timeout=10)) as client:
        return _bridge_of(client)


@pytest.fixture
def docker_engine(docker_trouble: str | None, lacks: Lacks) -> Iterator[docker.DockerClient]:
    """A client of the Docker Engine, closed at the test's end."""
    if docker_trouble is not None:
        lacks("docker", docker_trouble)
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="session")
def product_image(docker_trouble: str | None, lacks: Lacks) -> str:
    """The name of an image with the product as it stands in the tree, and the end-to-end tests' code at its own path.

    It is built once for each state of the tree.
    """
    if docker_trouble is not None:
        lacks("docker", docker_trouble)
    with contextlib.closing(docker.from_env(timeout=900)) as client, LOCK.open("w") as lock:
        try:
            client.images.get(BASE_IMAGE)
        except ImageNotFound:
            lacks("docker", f"the image {BASE_IMAGE} is not there; load it, or make one by mmdebstrap as .ci/run does")
        fcntl.flock(lock, fcntl.LOCK_EX)
        product = f"{IMAGE_NAME}:{_state_of([ROOT / name for name in (*SOURCES, *FILES)])}"
        _built(client, product, path=str(ROOT), dockerfile=DOCKERFILE, buildargs={"EXTRAS": ""})
        with_code = f"{product}-{_state_of([USER_CODE])}"
        _built(client, with_code, fileobj=_code_context(product), custom_context=True)
        return with_code


@pytest.fixture
def services_for_containers(
    postgres_url: str, valkey_url: str, bridge_address: str | None, docker_trouble: str | None, lacks: Lacks
) -> ServicesForContainers:
    """A database and a broker of this test that containers reach, by addresses that serve here too."""
    if bridge_address is None:
        lacks("docker", str(docker_trouble))
    return ServicesForContainers(
        postgres_url.replace("127.0.0.1", bridge_address),
        valkey_url.replace("127.0.0.1", bridge_address),
        bridge_address,
    )


@pytest.fixture(scope="session")
def kubernetes(kubeconfig_path: str | None, lacks: Lacks) -> str:
    """The path of a kubeconfig whose cluster answers, and runs images of this machine's Docker Engine."""
    if kubeconfig_path is None:
        lacks("kubernetes", "ORCHORD_TEST_KUBECONFIG does not say where a kubeconfig is")
    if not Path(kubeconfig_path).is_file():
        lacks("kubernetes", f"{kubeconfig_path} is no file")
    client = pytest.importorskip("kubernetes.client")
    from_file = pytest.importorskip("kubernetes.config").new_client_from_config
    try:
        with from_file(kubeconfig_path) as api:
            client.VersionApi(api).get_code(_request_timeout=10)
    except Exception as error:  # noqa: BLE001 - whatever it is, the cluster cannot be used
        lacks("kubernetes", f"the cluster of {kubeconfig_path} does not answer: {error}")
    return kubeconfig_path


def _state_of(places: list[Path]) -> str:
    """A hash of what files hold: the same tree has the same image."""
    found = hashlib.sha256()
    for place in places:
        files = sorted(place.rglob("*")) if place.is_dir() else [place] * place.is_file()
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                found.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def _built(client: docker.DockerClient, tag: str, **options: Any) -> None:
    with contextlib.suppress(ImageNotFound):
        client.images.get(tag)
        return
    try:
        client.images.build(tag=tag, rm=True, forcerm=True, **options)
    except BuildError as error:
        lines = "".join(str(line.get("stream", "")) for line in error.build_log)
        pytest.fail(f"{tag} cannot be built: {error}\n{lines[-4000:]}", pytrace=False)
    except APIError as error:
        pytest.fail(f"{tag} cannot be built: {error}", pytrace=False)


def _code_context(base: str) -> io.BytesIO:
    """A build context with the end-to-end tests' code, to lie in the image where it lies here."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        text = f'FROM {base}\nCOPY ["code", "{USER_CODE}/"]\n'.encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        for file in sorted(USER_CODE.glob("*.py")):
            archive.add(file, f"code/{file.name}")
    context.seek(0)
    return context
