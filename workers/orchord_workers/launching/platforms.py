"""Which class speaks to which platform, loaded when a launcher worker is started for it.

A platform's class takes one argument: the config of the instance's run launcher of that platform, or an empty one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from orchord.spi import OrchordInstance, Place
from orchord_workers.containers.platform import Platform

CLASSES: Mapping[Place, str] = {
    Place.DOCKER: "orchord_workers.containers.docker:DockerPlatform",
    Place.KUBERNETES: "orchord_workers.containers.kubernetes:KubernetesPlatform",
    Place.ECS: "orchord_workers.containers.ecs:EcsPlatform",
}


def make_platform(instance: OrchordInstance, place: Place) -> Platform:
    """Make the platform of a place, by the config of the instance's launcher for it.

    Raises:
        ImportError: its client library is not installed; the message names the pip line.
        PlatformError: its address, or how to sign in there, cannot be had.
    """
    module, _, name = CLASSES[place].partition(":")
    platform: Platform = getattr(importlib.import_module(module), name)(config_of(instance, place))
    return platform


def config_of(instance: OrchordInstance, place: Place) -> Mapping[str, Any]:
    """Return the config of the first run launcher of a place; empty when there is none."""
    for name in ("", *instance.config.run_launchers):
        launcher = instance.launchers.named(name)
        if launcher.place is place:
            return launcher.config
    return {}


def places_of(instance: OrchordInstance) -> tuple[Place, ...]:
    """Return the places that the instance's launchers start containers at; Docker when none of them does."""
    named = [instance.launchers.named(name).place for name in ("", *instance.config.run_launchers)]
    found = tuple(dict.fromkeys(place for place in named if place.is_container))
    return found or (Place.DOCKER,)
