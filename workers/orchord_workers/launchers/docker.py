"""DockerRunLauncher: a run that is one unit of work has a Docker container of its own.

A launcher worker starts and watches it (`orchord launcher`); this class only says where it goes, and with what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.spi import InstanceConfigError, OrchordInstance, Place
from orchord_workers.launcher import CeleryRunLauncher


class DockerRunLauncher(CeleryRunLauncher):
    """Sends runs to launcher workers, which give each a container.

    Config keys: ``image`` (default: that of the run's code location), ``registry`` (url, username, password),
    ``env_vars`` (NAME=value, or NAME for the launcher worker's own), ``network``, ``networks``, ``container_kwargs``
    (of docker's ``containers.create``). Executors of the same platform take them as the weakest layer.
    """

    config_keys = frozenset({"image", "registry", "env_vars", "network", "networks", "container_kwargs"})
    place = Place.DOCKER

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        super().__init__(instance, config)
        mistakes = mistakes_of(config)
        if mistakes:
            raise InstanceConfigError("run_launcher DockerRunLauncher cannot be configured", mistakes)


def mistakes_of(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a config whose keys are known, each with its fix."""
    kinds = {"registry": "a mapping", "container_kwargs": "a mapping", "env_vars": "a list", "networks": "a list"}
    types = {"a mapping": Mapping, "a list": list, "text": str}
    mistakes = [
        f"{key}: found {type(value).__name__}, expected {kinds.get(key, 'text')}."
        for key, value in config.items()
        if value is not None and not isinstance(value, types[kinds.get(key, "text")])
    ]
    registry = config.get("registry")
    if isinstance(registry, Mapping):
        unknown = sorted(set(registry) - {"url", "username", "password"})
        mistakes += [f"registry: unknown key '{key}'. Known: url, username, password." for key in unknown]
        if not registry.get("url"):
            mistakes.append("registry: the key 'url' is missing.")
    if config.get("network") and config.get("networks"):
        mistakes.append("network and networks are both given. Keep networks.")
    return mistakes
