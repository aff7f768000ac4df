"""What an ECS task is to be like: the layers of settings brought together, in the keys of EcsRunLauncher. Pure.

Making requests of it is ecs_requests.py; what the launcher's own config may hold is launchers/ecs.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchord_workers.containers.platform import PlatformError

DEFAULT_CONTAINER_NAME = "run"
DEFAULT_PREFIX = "run"
# Secrets with this tag are given to tasks where the config names no other: Dagster's name, and ours.
DEFAULT_SECRETS_TAGS = ("dagster", "orchord")

_LISTS = ("env_vars", "secrets", "run_ecs_tags")
_MAPPINGS = ("run_task_kwargs", "run_resources", "propagate_tags")
# Tags of a run, each in JSON: what they hold is laid over the request itself.
_JSON_TAGS = ("ecs/task_overrides", "ecs/container_overrides", "ecs/run_task_kwargs")
_RESOURCE_TAGS = {"ecs/cpu": "cpu", "ecs/memory": "memory", "ecs/ephemeral_storage": "ephemeral_storage"}


@dataclass(frozen=True)
class EcsSettings:
    """The settings of one task.

    Attributes:
        task_definition: the name or ARN of one that is there, or what a new one is to be like, in Dagster's keys;
            None: as that of the task in which the launcher worker runs.
        container_name: the container of the task definition that runs Orchord.
        secrets: ``{name, valueFrom}``, or ARNs of secrets whose keys all become variables.
        secrets_tags: secrets with one of these tags are given too.
        secrets_tags_are_given: whether the config names them; else it is no mistake that they may not be listed.
        env_vars: ``NAME=value``, or ``NAME`` of a variable of the launcher worker.
        include_sidecars: whether a task has the other containers of the launcher worker's task, too.
        use_current_ecs_task_config: whether cluster and network are those of the launcher worker's task, if it is one.
        run_task_kwargs: further arguments of RunTask.
        resources: ``cpu``, ``memory`` (as ECS writes them) and ``ephemeral_storage`` (GiB).
        ecs_tags: further tags of the task, as ``{key, value}``.
        propagated_tags: the run's tags that the task bears too.
        prefix: what the names of task definitions begin with.
        task_overrides: laid over the overrides of RunTask.
        container_overrides: laid over the overrides of the container.
    """

    task_definition: str | Mapping[str, Any] | None = None
    container_name: str = DEFAULT_CONTAINER_NAME
    secrets: Sequence[Any] = ()
    secrets_tags: Sequence[str] = DEFAULT_SECRETS_TAGS
    secrets_tags_are_given: bool = False
    env_vars: Sequence[str] = ()
    include_sidecars: bool = False
    use_current_ecs_task_config: bool = True
    run_task_kwargs: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    ecs_tags: Sequence[Mapping[str, Any]] = ()
    propagated_tags: Mapping[str, str] = field(default_factory=dict)
    prefix: str = DEFAULT_PREFIX
    task_overrides: Mapping[str, Any] = field(default_factory=dict)
    container_overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> str | None:
        """The cluster, where the settings name one."""
        found = self.run_task_kwargs.get("cluster")
        return None if found is None else str(found)


def settings_of(layers: Sequence[Mapping[str, Any]], run_tags: Mapping[str, str] | None = None) -> EcsSettings:
    """Return the settings that layers make together, the strongest last.

    Raises:
        PlatformError: a tag is no JSON.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            merged[key] = _together(key, merged.get(key), value)
    resources = dict(merged.get("run_resources") or {})
    resources |= {name: merged[tag] for tag, name in _RESOURCE_TAGS.items() if merged.get(tag)}
    task, container, kwargs = (_json(tag, merged.get(tag)) for tag in _JSON_TAGS)
    allowed = (merged.get("propagate_tags") or {}).get("allow_list") or ()
    given = "secrets_tag" in merged
    named = [merged["secrets_tag"]] if merged.get("secrets_tag") else []
    return EcsSettings(
        task_definition=merged.get("task_definition"),
        container_name=merged.get("container_name") or DEFAULT_CONTAINER_NAME,
        secrets=merged.get("secrets") or (),
        secrets_tags=named if given else DEFAULT_SECRETS_TAGS,
        secrets_tags_are_given=given,
        env_vars=merged.get("env_vars") or (),
        include_sidecars=bool(merged.get("include_sidecars", False)),
        use_current_ecs_task_config=merged.get("use_current_ecs_task_config") is not False,
        run_task_kwargs={**(merged.get("run_task_kwargs") or {}), **kwargs},
        resources={key: value for key, value in resources.items() if value is not None},
        ecs_tags=merged.get("run_ecs_tags") or (),
        propagated_tags=_propagated(allowed, run_tags or {}),
        prefix=merged.get("task_definition_prefix") or DEFAULT_PREFIX,
        task_overrides=task,
        container_overrides=container,
    )


def with_variables(config: Mapping[str, Any], read: Callable[[str], str | None]) -> dict[str, Any]:
    """Return a config in which each ``{env: NAME}`` is what ``read`` says of the variable.

    Raises:
        PlatformError: variables are not set; all of them are named.
    """
    missing: list[str] = []

    def resolved(value: Any) -> Any:
        if isinstance(value, Mapping):
            if set(value) == {"env"} and isinstance(value["env"], str):
                found = read(value["env"])
                if found is None:
                    missing.append(value["env"])
                return found
            return {key: resolved(item) for key, item in value.items()}
        return [resolved(item) for item in value] if isinstance(value, list | tuple) else value

    made = {key: resolved(value) for key, value in config.items()}
    if missing:
        names = ", ".join(sorted(set(missing)))
        raise PlatformError(f"run_launcher refers to variables that the launcher worker does not have: {names}.")
    return made


def _propagated(allowed: Sequence[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the run's tags that are listed, by the names that they have in the list: runs keep Dagster's as ours."""
    named = {
        key: (key, key.replace("dagster/", "orchord/", 1) if key.startswith("dagster/") else key) for key in allowed
    }
    return {key: tags[name] for key, names in named.items() for name in names if name in tags}


def _together(key: str, weaker: Any, stronger: Any) -> Any:
    if key in _LISTS and weaker:
        return [*weaker, *(stronger or ())]
    if key in _MAPPINGS and isinstance(weaker, Mapping) and isinstance(stronger, Mapping):
        return {**weaker, **stronger}
    if key == "task_definition" and isinstance(weaker, Mapping) and isinstance(stronger, Mapping):
        return {**weaker, **stronger}
    return stronger


def _json(tag: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except ValueError as error:
            raise PlatformError(f"The tag {tag} is no JSON: {error}. Give a mapping, as text in JSON.") from error
    if not isinstance(found, Mapping):
        raise PlatformError(f"The tag {tag} is {value!r}. Give a mapping, as text in JSON.")
    return found
