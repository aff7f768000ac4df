"""EcsRunLauncher: a run that is one unit of work has a task of its own in Amazon ECS.

A launcher worker starts and watches it (`orchord launcher --place ecs`); this class only says where it goes, and with
what. How ECS is spoken to is containers/ecs.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchord.spi import InstanceConfigError, OrchordInstance, Place, did_you_mean
from orchord_workers.launcher import CeleryRunLauncher

_TEXT, _LIST, _MAPPING, _BOOL = "text", "a list", "a mapping", "true or false"
_KINDS: Mapping[str, tuple[str, ...]] = {
    "boto_config": (_MAPPING,),
    "container_name": (_TEXT,),
    "env_vars": (_LIST,),
    "include_sidecars": (_BOOL,),
    "propagate_tags": (_MAPPING,),
    "run_ecs_tags": (_LIST,),
    "run_resources": (_MAPPING,),
    "run_task_kwargs": (_MAPPING,),
    "secrets": (_LIST,),
    "secrets_tag": (_TEXT,),
    "task_definition": (_TEXT, _MAPPING),
    "task_definition_prefix": (_TEXT,),
    "use_current_ecs_task_config": (_BOOL,),
}
_TYPES: Mapping[str, type] = {_TEXT: str, _LIST: list, _MAPPING: Mapping, _BOOL: bool}
_TASK_DEFINITION_KEYS = (
    "env",
    "execution_role_arn",
    "linux_parameters",
    "log_group",
    "mount_points",
    "repository_credentials",
    "requires_compatibilities",
    "runtime_platform",
    "sidecar_containers",
    "task_role_arn",
    "volumes",
)
_BOTO_KEYS = ("endpoint_url", "region_name", "use_ssl", "verify")
_LONGEST_PREFIX = 16
# They often hold what tags of ECS may not, and can be longer than these.
_NEVER_PROPAGATED = frozenset({"dagster/op_selection", "dagster/solid_selection", "orchord/op_selection"})


class EcsRunLauncher(CeleryRunLauncher):
    """Sends runs to launcher workers, which give each an ECS task.

    Config keys: those of Dagster's launcher, and ``boto_config`` (``region_name``, ``endpoint_url``, ``use_ssl``,
    ``verify``; keys to AWS come from where boto3 finds them, never from here). Tags of a run: ``ecs/cpu``,
    ``ecs/memory``, ``ecs/ephemeral_storage``, and in JSON ``ecs/task_overrides``, ``ecs/container_overrides``,
    ``ecs/run_task_kwargs``.
    """

    config_keys = frozenset(_KINDS)
    place = Place.ECS

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        super().__init__(instance, config)
        mistakes = list(mistakes_of(config))
        if mistakes:
            raise InstanceConfigError("run_launcher EcsRunLauncher cannot be configured", mistakes)


def mistakes_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a config whose keys are known, each with its fix."""
    right = dict(config)
    for key, value in config.items():
        kinds = _KINDS[key]
        # A reference to a variable is read by the launcher worker, and is text there.
        if value is None or (_TEXT in kinds and _is_reference(value)):
            del right[key]
        elif not isinstance(value, tuple(_TYPES[kind] for kind in kinds)):
            del right[key]
            yield f"{key}: found {type(value).__name__}, expected {' or '.join(kinds)}."
    yield from _unknown("task_definition", right.get("task_definition"), _TASK_DEFINITION_KEYS)
    yield from _unknown("propagate_tags", right.get("propagate_tags"), ("allow_list",))
    yield from _unknown("boto_config", right.get("boto_config"), _BOTO_KEYS)
    fixes = {"taskDefinition": "Use task_definition.", "overrides": "Use run_resources, env_vars, or tags of the run."}
    for key, fix in fixes.items():
        if key in right.get("run_task_kwargs", {}):
            yield f"run_task_kwargs: the key '{key}' is set by the launcher itself. {fix}"
    prefix = right.get("task_definition_prefix", "")
    if len(prefix) > _LONGEST_PREFIX:
        yield f"task_definition_prefix: found {prefix!r}, which is longer than {_LONGEST_PREFIX} letters."
    never = sorted(_NEVER_PROPAGATED & set(right.get("propagate_tags", {}).get("allow_list") or ()))
    if never:
        yield f"propagate_tags: {', '.join(never)} cannot be tags of ECS. Leave them out."
    for index, tag in enumerate(right.get("run_ecs_tags", ())):
        if not isinstance(tag, Mapping) or "key" not in tag or set(tag) - {"key", "value"}:
            yield f"run_ecs_tags[{index}]: found {tag!r}, expected a mapping with key and value."
        elif str(tag["key"]).startswith("orchord/"):
            yield f"run_ecs_tags[{index}]: the tag '{tag['key']}' is Orchord's own. Choose another name."
    for index, secret in enumerate(right.get("secrets", ())):
        if not isinstance(secret, str) and not (isinstance(secret, Mapping) and set(secret) == {"name", "valueFrom"}):
            yield f"secrets[{index}]: found {type(secret).__name__}, expected name and valueFrom, or a secret's ARN."


def _is_reference(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"env"}


def _unknown(path: str, value: Any, known: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in sorted(set(value) - set(known)):
            yield f"{path}: unknown key '{key}'.{did_you_mean(str(key), known)}"
