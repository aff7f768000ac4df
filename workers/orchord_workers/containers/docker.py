"""Containers of a Docker Engine: the platform port over its API, with one stream of events for all of them.

What settings mean is docker_settings.py; the address of the engine is the environment's (``DOCKER_HOST``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import docker.auth
import docker.errors

from orchord_workers.containers.docker_kills import Kills
from orchord_workers.containers.docker_settings import HOME_VARIABLES, DockerSettings, docker_settings
from orchord_workers.containers.docker_states import KEPT_LABEL, Unstarted, state_of, state_of_event
from orchord_workers.containers.platform import (
    OWNER_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    Platform,
    PlatformError,
)

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60
RECONNECT_SECONDS = 1.0
# Where an instance file is laid into an image that says nothing of one.
HOME_IN_CONTAINER = "/opt/orchord"
_WATCHED = ["die", "destroy", "start"]


class DockerPlatform(Platform):
    """One engine.

    Args:
        config: of the run launcher; how the engine is reached is not in it.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._made: docker.DockerClient | None = None
        self._making = threading.Lock()
        self._kills = Kills(self._kill)
        self._unstarted = Unstarted()
        self._images_with_home: dict[str, bool] = {}
        self._stream: Any = None
        self._stream_lock = threading.Lock()
        self._is_closed = False

    @property
    def _client(self) -> Any:
        """The client, made when the engine first answers: it agrees with it on a version."""
        with self._making:
            if self._made is None:
                try:
                    self._made = docker.from_env(timeout=TIMEOUT_SECONDS)
                except docker.errors.DockerException as error:
                    text = f"The Docker Engine cannot be reached: {error} Start it, or correct DOCKER_HOST."
                    raise PlatformError(text, is_passing=True) from error
            return self._made

    @property
    def _api(self) -> Any:
        return self._client.api

    def start(self, spec: ContainerSpec) -> None:
        """Create a container and start it, unless one of its name is there.

        Raises:
            PlatformError: it is not started.
        """
        settings = docker_settings(spec.layers)
        image = spec.image or settings.image
        if not image:
            raise PlatformError(
                "no image is named. Give `image` in the config of the executor or run launcher, the tag orchord/image, "
                "or ORCHORD_CURRENT_IMAGE where the location's workers run."
            )
        with engine_errors(f"start container {spec.name} of image {image}"):
            try:
                self._create(spec, settings, image)
            except docker.errors.ImageNotFound:
                self._pull(image, settings)
                self._create(spec, settings, image)

    def stop(self, name: str, grace_seconds: float) -> None:
        """Send SIGTERM, and SIGKILL after the grace time, which nobody waits for here."""
        with engine_errors(f"stop container {name}"), unless_absent():
            self._api.kill(name, "SIGTERM" if grace_seconds > 0 else "SIGKILL")
            if grace_seconds > 0:
                self._kills.later(name, grace_seconds)

    def remove(self, name: str) -> None:
        """Remove a container, and its anonymous volumes."""
        with engine_errors(f"remove container {name}"), unless_absent():
            self._api.remove_container(name, v=True, force=True)

    def list(self, owner: str) -> list[ContainerState]:
        """Return an owner's containers, ended ones among them."""
        with engine_errors("list containers"):
            rows = self._api.containers(all=True, filters={"label": [f"{OWNER_LABEL}={owner}"]})
            states = []
            for row in rows:
                name, labels = row["Names"][0].lstrip("/"), row.get("Labels") or {}
                if row["State"] in ("exited", "dead"):
                    with unless_absent():
                        states.append(state_of(self._api.inspect_container(name)))
                else:
                    is_made = row["State"] == "created"
                    phase = Phase.PENDING if is_made else Phase.RUNNING
                    kept = KEPT_LABEL in labels
                    states.append(ContainerState(name, labels, phase, is_kept=kept, is_unstarted=is_made))
            return self._unstarted.judged(states)

    def watch(self, owner: str, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        """Follow the engine's events; compare with its list whenever the connection is new."""
        seen: dict[str, ContainerState] = {}

        def tell(state: ContainerState) -> None:
            if state.phase is Phase.GONE:
                seen.pop(state.name, None)
            else:
                seen[state.name] = state
            on_change(state)

        pause = RECONNECT_SECONDS
        while not stopped.is_set() and not self._is_closed:
            try:
                with self._events(owner) as events:
                    # Opened before the list is read: what happens in between is told twice rather than never.
                    there = {state.name: state for state in self.list(owner)}
                    for name in [name for name in seen if name not in there]:
                        tell(ContainerState(name, seen[name].labels, Phase.GONE))
                    for state in there.values():
                        tell(state)
                    pause = RECONNECT_SECONDS
                    for event in events:
                        self._tell_of(event, tell)
            except (PlatformError, docker.errors.DockerException, OSError) as error:
                if not stopped.is_set() and not self._is_closed:
                    logger.warning("The events of the Docker Engine are lost for now: %s", error)
            except Exception:  # boundary: our own faults, and whatever the client raises on a closed stream
                if not stopped.is_set() and not self._is_closed:
                    logger.exception("The events of the Docker Engine are lost for now")
            stopped.wait(pause)
            pause = min(pause * 2, 15.0)

    def tail(self, name: str, lines: int) -> str:
        """Return the last lines of stdout and stderr."""
        raw: bytes = b""
        with engine_errors(f"read the log of {name}"), unless_absent():
            raw = self._api.logs(name, stdout=True, stderr=True, tail=lines)
        return raw.decode(errors="replace")

    def close(self) -> None:
        """Close all connections; ``watch`` ends soon."""
        self._is_closed = True
        with self._stream_lock:
            if self._stream is not None:
                with contextlib.suppress(Exception):
                    self._stream.close()
        self._kills.close()
        if self._made is not None:
            self._made.close()

    def _create(self, spec: ContainerSpec, settings: DockerSettings, image: str) -> None:
        options = dict(settings.options)
        lays_file = spec.instance_file is not None and not settings.names_home and not self._has_home(image)
        environment = {**settings.environment, **spec.environment}
        if lays_file:
            environment[HOME_VARIABLES[0]] = HOME_IN_CONTAINER
        labels = {**_as_labels(options.pop("labels", None)), **spec.labels}
        if settings.is_kept:
            labels[KEPT_LABEL] = "1"
        first_network = settings.networks[0] if settings.networks else None
        try:
            self._client.containers.create(
                image,
                [*spec.command],
                name=spec.name,
                environment=environment,
                labels=labels,
                **({"network": first_network} if first_network else {}),
                **options,
            )
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            # Somebody began this start before. What has run is not run again.
            if self._api.inspect_container(spec.name)["State"]["Status"] != "created":
                return
        except TypeError as error:
            raise PlatformError(f"container_kwargs holds what docker does not know: {error}") from error
        try:
            for name in settings.networks[1:]:
                self._join(name, spec.name)
            if lays_file:
                self._lay_file(spec)
            self._api.start(spec.name)
        except BaseException:
            # Else it would stand in the way of the next try. One that runs already is left alone.
            with contextlib.suppress(docker.errors.APIError, OSError):
                if self._api.inspect_container(spec.name)["State"]["Status"] == "created":
                    self._api.remove_container(spec.name, v=True)
            raise

    def _join(self, network: str, name: str) -> None:
        try:
            self._api.connect_container_to_network(name, network)
        except docker.errors.APIError as error:
            if "already exists" not in str(error):
                raise

    def _lay_file(self, spec: ContainerSpec) -> None:
        packed = io.BytesIO()
        content = (spec.instance_file or "").encode()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            folder = tarfile.TarInfo(HOME_IN_CONTAINER.lstrip("/"))
            # Whatever user the image runs as.
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(folder)
            file = tarfile.TarInfo(f"{HOME_IN_CONTAINER.lstrip('/')}/orchord.yaml")
            file.size, file.mode = len(content), 0o644
            archive.addfile(file, io.BytesIO(content))
        self._api.put_archive(spec.name, "/", packed.getvalue())

    def _has_home(self, image: str) -> bool:
        """Return whether an image says itself where the instance lives."""
        known = self._images_with_home.get(image)
        if known is None:
            variables = (self._api.inspect_image(image).get("Config") or {}).get("Env") or []
            known = any(line.partition("=")[0] in HOME_VARIABLES for line in variables)
            self._images_with_home[image] = known
        return known

    def _pull(self, image: str, settings: DockerSettings) -> None:
        signed = signing_in(image, settings.registry or {})
        repository, _, tag = image.partition("@") if "@" in image else image.rpartition(":")
        if not repository or "/" in tag:
            repository, tag = image, "latest"
        logger.info("Pulling image %s", image)
        try:
            self._api.pull(repository, tag=tag, auth_config=signed or None)
        except (docker.errors.NotFound, docker.errors.ImageNotFound) as error:
            raise PlatformError(f"image {image} is neither here nor in its registry: {said_by(error)}") from error
        except docker.errors.APIError as error:
            raise PlatformError(f"image {image} is not here, and cannot be pulled: {said_by(error)}") from error

    @contextlib.contextmanager
    def _events(self, owner: str) -> Iterator[Any]:
        filters = {"type": ["container"], "label": [f"{OWNER_LABEL}={owner}"], "event": _WATCHED}
        stream = self._api.events(filters=filters, decode=True)
        with self._stream_lock:
            self._stream = stream
        try:
            yield stream
        finally:
            with self._stream_lock:
                self._stream = None
            with contextlib.suppress(Exception):
                stream.close()

    def _tell_of(self, event: Mapping[str, Any], tell: Callable[[ContainerState], None]) -> None:
        state = state_of_event(event)
        if state.phase is Phase.ENDED:
            self._kills.forget(state.name)
            # The event has the exit code; only the container knows of memory, if it is still there.
            with unless_absent():
                state = state_of(self._api.inspect_container(state.name))
        tell(state)

    def _kill(self, name: str) -> None:
        with engine_errors(f"kill container {name}"), unless_absent():
            self._api.kill(name, "SIGKILL")


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn what the client raises into the port's error."""
    try:
        yield
    except docker.errors.APIError as error:
        # Refusals are final; what the engine itself failed at may go well the next time.
        is_passing = error.status_code in (429, 500, 502, 503, 504)
        raise PlatformError(f"Docker refused to {doing}: {said_by(error)}", is_passing=is_passing) from error
    except docker.errors.DockerException as error:
        raise PlatformError(f"Docker's client could not {doing}: {error}") from error
    except OSError as error:
        # The client's own errors of connections and time-outs are of this family.
        raise PlatformError(f"The Docker Engine cannot be reached to {doing}: {error}", is_passing=True) from error


@contextlib.contextmanager
def unless_absent() -> Iterator[None]:
    """Leave out what is to be done with a container that is not there, or that does not run."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in (404, 409):
            raise


def signing_in(image: str, registry: Mapping[str, str]) -> dict[str, str]:
    """Return what to sign in with for an image: nobody but the registry that it was given for is told of it."""
    given = docker.auth.resolve_index_name(docker.auth.convert_to_hostname(registry.get("url") or ""))
    if docker.auth.resolve_repository_name(image)[0] != given:
        return {}
    return {key: registry[key] for key in ("username", "password") if registry.get(key)}


def said_by(error: docker.errors.APIError) -> str:
    """Return the engine's own words."""
    return str(error.explanation or error).strip()


def _as_labels(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return {str(name): "" for name in given or ()}
