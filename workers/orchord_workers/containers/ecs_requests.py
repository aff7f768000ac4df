"""What is asked of ECS for one container: the task definition that it needs, and the arguments of RunTask. Pure.

Settings come from ecs_settings.py; what the launcher worker's own task says, from ecs_current.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchord_workers.containers.ecs_settings import EcsSettings
from orchord_workers.containers.ecs_state import NAME_TAG, tags_of
from orchord_workers.containers.platform import (
    JOB_LABEL,
    LOCATION_LABEL,
    OWNER_LABEL,
    ContainerSpec,
    PlatformError,
)

FINGERPRINT_TAG = "orchord/fingerprint"
# ECS takes no more, in characters of JSON.
LONGEST_OVERRIDES = 8192
_NOT_IN_FAMILIES = re.compile(r"[^A-Za-z0-9_-]+")
_DEFAULT_RESOURCES = {"cpu": "256", "memory": "512"}
_DEFAULT_WINDOWS_RESOURCES = {"cpu": "1024", "memory": "2048"}
# Of the launcher worker's own definition: what a definition for another container may have too.
_COPIED = (
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "ephemeralStorage",
    "runtimePlatform",
    "proxyConfiguration",
)


def family_of(settings: EcsSettings, labels: Mapping[str, str]) -> str:
    """Return the name of the task definitions for a job: the same for all its runs."""
    names = (labels.get(LOCATION_LABEL, ""), labels.get(JOB_LABEL, ""))
    slugs = [_NOT_IN_FAMILIES.sub("-", name).strip("-")[:55] for name in names]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return "_".join([settings.prefix, *(slug for slug in slugs if slug), digest])


def new_definition(
    settings: EcsSettings,
    family: str,
    image: str,
    *,
    environment: Mapping[str, str],
    secrets: Sequence[Mapping[str, str]],
    region: str,
) -> dict[str, Any]:
    """Return the task definition that settings describe, as RegisterTaskDefinition takes it."""
    given: Mapping[str, Any] = settings.task_definition if isinstance(settings.task_definition, Mapping) else {}
    platform = given.get("runtime_platform") or {}
    is_linux = platform.get("operatingSystemFamily") in (None, "LINUX")
    resources = {**(_DEFAULT_RESOURCES if is_linux else _DEFAULT_WINDOWS_RESOURCES), **settings.resources}
    sidecars = list(given.get("sidecar_containers") or ())
    container: dict[str, Any] = {"name": settings.container_name, "image": image, "essential": True}
    if not sidecars and str(resources["memory"]).isdecimal():
        # With a limit of its own, it is told that it was memory when the container is killed for it.
        container["memory"] = int(resources["memory"])
    if given.get("log_group"):
        options = {"awslogs-group": given["log_group"], "awslogs-region": region, "awslogs-stream-prefix": family}
        container["logConfiguration"] = {"logDriver": "awslogs", "options": options}
    credentials = given.get("repository_credentials")
    container |= _given(
        environment=[{"name": name, "value": value} for name, value in sorted(environment.items())],
        secrets=list(secrets),
        mountPoints=given.get("mount_points"),
        repositoryCredentials={"credentialsParameter": credentials} if credentials else None,
        linuxParameters=given.get("linux_parameters"),
    )
    launch_type = settings.run_task_kwargs.get("launchType")
    return {
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": given.get("requires_compatibilities") or ([launch_type] if launch_type else []),
        "containerDefinitions": [container, *sidecars],
        "cpu": str(resources["cpu"]),
        "memory": str(resources["memory"]),
        **_given(
            executionRoleArn=given.get("execution_role_arn"),
            taskRoleArn=given.get("task_role_arn"),
            runtimePlatform=platform,
            ephemeralStorage=_storage(resources.get("ephemeral_storage")),
            volumes=given.get("volumes"),
        ),
    }


def definition_like(
    current: Mapping[str, Any],
    own_container: str,
    settings: EcsSettings,
    family: str,
    image: str,
    *,
    environment: Mapping[str, str],
    secrets: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Return a task definition like the launcher worker's own, with another image in the place of its container."""
    containers = {one["name"]: one for one in current["containerDefinitions"]}
    own = containers.pop(own_container, {})
    # An entry point and a command would stand before what is to run; a health check is that of another program.
    kept = {key: value for key, value in own.items() if key not in ("healthCheck", "entryPoint", "command")}
    kept |= {"name": settings.container_name, "image": image, "essential": True}
    # A name that stands twice has no sure value.
    variables = {one["name"]: one["value"] for one in kept.get("environment", ())} | dict(sorted(environment.items()))
    kept["environment"] = [{"name": name, "value": value} for name, value in variables.items()]
    if secrets:
        kept["secrets"] = list(secrets)
    if not settings.include_sidecars:
        kept.pop("dependsOn", None)
    made = {key: current[key] for key in _COPIED if current.get(key)}
    made |= {"family": family}
    made |= {"containerDefinitions": [*(containers.values() if settings.include_sidecars else ()), kept]}
    sizes = {key: str(settings.resources[key]) for key in ("cpu", "memory") if settings.resources.get(key)}
    return made | sizes | _given(ephemeralStorage=_storage(settings.resources.get("ephemeral_storage")))


def fingerprint_of(definition: Mapping[str, Any]) -> str:
    """Return what tells whether a task definition that is there is just this one."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True, default=str).encode()).hexdigest()[:32]


def run_task_arguments(
    spec: ContainerSpec,
    settings: EcsSettings,
    task_definition: str,
    *,
    environment: Mapping[str, str],
    of_current_task: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments of RunTask for a container.

    Args:
        spec: what is to run.
        settings: its settings.
        task_definition: the name or ARN of the task definition.
        environment: variables that the task definition does not have.
        of_current_task: cluster and network of the launcher worker's own task, if it is one.

    Raises:
        PlatformError: the overrides are longer than ECS takes.
    """
    sizes = {key: str(settings.resources[key]) for key in ("cpu", "memory") if settings.resources.get(key)}
    container = {
        "name": settings.container_name,
        "command": list(spec.command),
        "environment": [{"name": name, "value": value} for name, value in {**environment, **spec.environment}.items()],
        **{key: int(value) for key, value in sizes.items()},
        **settings.container_overrides,
    }
    overrides = {
        "containerOverrides": [container],
        **sizes,
        **_given(ephemeralStorage=_storage(settings.resources.get("ephemeral_storage"))),
        **settings.task_overrides,
    }
    length = len(json.dumps(overrides))
    if length > LONGEST_OVERRIDES:
        raise PlatformError(
            f"The task's overrides are {length} characters long, and ECS takes {LONGEST_OVERRIDES}. "
            "Move variables from env_vars into the task definition."
        )
    arguments = {**of_current_task, **settings.run_task_kwargs}
    tags = [
        *tags_of({NAME_TAG: spec.name, **spec.labels}),
        *({"key": str(tag["key"]), "value": str(tag.get("value") or "")} for tag in settings.ecs_tags),
        *tags_of(settings.propagated_tags),
        *arguments.pop("tags", ()),
    ]
    if arguments.get("capacityProviderStrategy"):
        arguments.pop("launchType", None)
    if arguments.get("networkConfiguration", ...) is None:
        del arguments["networkConfiguration"]
    return {
        **arguments,
        "taskDefinition": task_definition,
        "overrides": overrides,
        "tags": tags,
        "count": 1,
        "startedBy": started_by(spec.labels.get(OWNER_LABEL, "")),
        # The same token again starts nothing: ECS answers with the task that is there.
        "clientToken": hashlib.sha256(f"{spec.labels.get(OWNER_LABEL, '')}\n{spec.name}".encode()).hexdigest()[:64],
    }


def started_by(owner: str) -> str:
    """Return what ECS lists an instance's tasks by. At most 36 characters are sure to be taken."""
    return _NOT_IN_FAMILIES.sub("-", f"orchord-{owner}")[:36]


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _storage(gibibytes: Any) -> dict[str, int] | None:
    return {"sizeInGiB": int(gibibytes)} if gibibytes else None
