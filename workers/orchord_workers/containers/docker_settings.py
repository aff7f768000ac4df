"""Settings of Docker containers: Dagster's keys in layers, checked, and turned into what the engine's client takes.

Speaking to the engine is docker.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchord.spi import environment_value
from orchord_workers.containers.layers import merged
from orchord_workers.containers.platform import PlatformError

KEYS = ("image", "registry", "env_vars", "network", "networks", "container_kwargs")
# What Orchord decides, or what would take the container out of its hands.
_NOT_TO_BE_SET = ("command", "detach", "labels_prefix", "name", "remove", "stream")
HOME_VARIABLES = ("ORCHORD_HOME", "DAGSTER_HOME")


@dataclass(frozen=True)
class DockerSettings:
    """What the layers say together.

    Attributes:
        image: the image, if they name one.
        registry: url, username and password of a registry to pull from.
        environment: variables.
        networks: networks to join, the first when the container is made.
        options: keyword arguments of docker's ``containers.create``.
        is_kept: the container stays when it has ended: ``auto_remove`` is false on purpose.
    """

    image: str | None
    registry: Mapping[str, str] | None
    environment: Mapping[str, str]
    networks: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    is_kept: bool = False

    @property
    def names_home(self) -> bool:
        """Whether the settings say where the instance lives."""
        return any(name in self.environment for name in HOME_VARIABLES)


def docker_settings(layers: Sequence[Mapping[str, Any]]) -> DockerSettings:
    """Return what layers say together, the strongest last.

    Raises:
        PlatformError: with every mistake.
    """
    mistakes: list[str] = []
    said = merged([{key: layer[key] for key in KEYS if key in layer} for layer in layers])
    options = said.get("container_kwargs") or {}
    if not isinstance(options, Mapping):
        mistakes.append(f"container_kwargs: found {options!r}, expected a mapping.")
        options = {}
    options = dict(options)
    mistakes += [f"container_kwargs.{key}: Orchord sets it. Leave it out." for key in _NOT_TO_BE_SET if key in options]
    environment = _variables(said.get("env_vars") or (), mistakes)
    environment |= _own_environment(options.pop("environment", None), mistakes)
    auto_remove = options.pop("auto_remove", None)
    networks = [said.get("network"), *(said.get("networks") or ())]
    if mistakes:
        raise PlatformError("The settings for Docker have mistakes: " + " ".join(mistakes))
    return DockerSettings(
        image=said.get("image"),
        registry=said.get("registry"),
        environment=environment,
        networks=tuple(dict.fromkeys(str(name) for name in networks if name)),
        options=options,
        is_kept=auto_remove is False,
    )


def _variables(given: Sequence[Any], mistakes: list[str]) -> dict[str, str]:
    """Read NAME=value, or NAME for the launcher worker's own value."""
    found: dict[str, str] = {}
    for item in given:
        name, equals, value = str(item).partition("=")
        own = value if equals else environment_value(name)
        if own is None:
            mistakes.append(
                f"env_vars: {name} is not set where the launcher worker runs. Set it, or give {name}=value."
            )
        else:
            found[name] = own
    return found


def _own_environment(given: Any, mistakes: list[str]) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    return _variables(given, mistakes)
