"""Task definitions: the one that a container needs is found, or registered once for all that need the same.

What is in one is ecs_requests.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from orchord.spi import environment_value
from orchord_workers.containers.ecs_current import CurrentTask
from orchord_workers.containers.ecs_requests import (
    FINGERPRINT_TAG,
    definition_like,
    family_of,
    fingerprint_of,
    new_definition,
)
from orchord_workers.containers.ecs_secrets import secrets_of
from orchord_workers.containers.ecs_settings import EcsSettings
from orchord_workers.containers.platform import ContainerSpec, PlatformError


class TaskDefinitions:
    """The task definitions of one launcher worker. Safe for threads.

    Args:
        client_of: returns boto3's client of a service.
    """

    def __init__(self, client_of: Callable[[str], Any]) -> None:
        self._client_of = client_of
        self._lock = threading.Lock()
        self._arns: dict[str, str] = {}

    def definition(
        self, spec: ContainerSpec, settings: EcsSettings, current: CurrentTask | None
    ) -> tuple[str, Mapping[str, str]]:
        """Return the task definition for a container, and the variables that it does not have already.

        Raises:
            PlatformError: no image is named, or a variable is not set.
        """
        environment = _variables(settings)
        if isinstance(settings.task_definition, str):
            return settings.task_definition, environment
        if spec.image is None:
            raise PlatformError(
                "No image is named. Name one by the run's tag orchord/image or for the code location "
                "(ORCHORD_CURRENT_IMAGE), or name a task definition by task_definition."
            )
        ecs = self._client_of("ecs")
        family = family_of(settings, spec.labels)
        secrets = secrets_of(settings, lambda: self._client_of("secretsmanager"))
        if current is None or settings.task_definition is not None:
            wanted = new_definition(
                settings, family, spec.image, environment=environment, secrets=secrets, region=ecs.meta.region_name
            )
        else:
            own = ecs.describe_task_definition(taskDefinition=current.description["taskDefinitionArn"])
            wanted = definition_like(
                own["taskDefinition"],
                current.container_name,
                settings,
                family,
                spec.image,
                environment=environment,
                secrets=secrets,
            )
        return self._registered(family, wanted), {}

    def _registered(self, family: str, wanted: Mapping[str, Any]) -> str:
        """Return the ARN of a task definition that is there, or of one that is made."""
        fingerprint = fingerprint_of(wanted)
        with self._lock:
            if fingerprint in self._arns:
                return self._arns[fingerprint]
        ecs = self._client_of("ecs")
        try:
            found = ecs.describe_task_definition(taskDefinition=family, include=["TAGS"])
        except ecs.exceptions.ClientException:
            found = {}
        tags = {tag["key"]: tag["value"] for tag in found.get("tags") or ()}
        if tags.get(FINGERPRINT_TAG) == fingerprint:
            arn = str(found["taskDefinition"]["taskDefinitionArn"])
        else:
            made = ecs.register_task_definition(**wanted, tags=[{"key": FINGERPRINT_TAG, "value": fingerprint}])
            arn = str(made["taskDefinition"]["taskDefinitionArn"])
        with self._lock:
            self._arns[fingerprint] = arn
        return arn


def _variables(settings: EcsSettings) -> dict[str, str]:
    found: dict[str, str] = {}
    missing: list[str] = []
    for entry in settings.env_vars:
        name, given, value = str(entry).partition("=")
        read = value if given else environment_value(name)
        if read is None:
            missing.append(name)
        else:
            found[name] = read
    if missing:
        raise PlatformError(
            f"env_vars names variables that the launcher worker does not have: {', '.join(missing)}. "
            "Set them there, or write NAME=value."
        )
    return found
