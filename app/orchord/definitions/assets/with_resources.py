"""``with_resources``: assets that bring their own resources, for those who do not give them to Definitions.

Which resources a job as a whole lacks is job_resources.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.job_resources import node_resource_keys
from orchord.definitions.resources.configurable import as_resource_definition
from orchord.definitions.resources.definition import ResourceDefinition
from orchord.definitions.resources.opening import resource_needs
from orchord.definitions.selected_config import closed_over
from orchord.errors import InvalidDefinitionError, did_you_mean, numbered

T = TypeVar("T", bound=AssetsDefinition | SourceAsset)


def with_resources(
    definitions: Iterable[T],
    resource_defs: Mapping[str, Any],
    resource_config_by_key: Mapping[str, Any] | None = None,
) -> list[T]:
    """Return copies of assets that bring the resources which they need.

    Args:
        definitions: assets and source assets.
        resource_defs: objects or definitions, by key. Those that an asset does not need are left out.
        resource_config_by_key: config for resources, as in run config: ``{key: {"config": ...}}``.

    Raises:
        InvalidDefinitionError: resources are missing, or an asset brings another one under the same key already; all
            of them are named.
        InvalidConfigError: config does not fit a resource.
    """
    resources = {key: as_resource_definition(value) for key, value in resource_defs.items()}
    mistakes = []
    for key, entry in (resource_config_by_key or {}).items():
        if key not in resources:
            hint = did_you_mean(key, resources)
            mistakes.append(f"there is config for the resource '{key}', which is not given.{hint}")
        elif not isinstance(entry, Mapping) or set(entry) != {"config"}:
            mistakes.append(f"the config of the resource '{key}' is {entry!r}: give {{\"config\": ...}}")
        else:
            resources[key] = resources[key].configured(entry["config"])
    made = [_bound(definition, resources, mistakes) for definition in definitions]
    if mistakes:
        raise InvalidDefinitionError(numbered("Resources cannot be bound", mistakes))
    return made


def _bound(definition: Any, resources: Mapping[str, ResourceDefinition], mistakes: list[str]) -> Any:
    if not isinstance(definition, (AssetsDefinition, SourceAsset)):
        mistakes.append(f"{definition!r} is no asset: give what @asset and its relatives make, or a SourceAsset")
        return definition
    own = definition.resource_defs
    if isinstance(definition, AssetsDefinition):
        hooks = (hook.required_resource_keys for hook in definition.hooks)
        direct = node_resource_keys(definition.node_def).union(*hooks)
    else:
        direct = frozenset({definition.io_manager_key})
    everything = {**resources, **own}
    needed = closed_over(resource_needs(everything), direct)
    for key in sorted(needed - set(everything) - {DEFAULT_IO_MANAGER_KEY}):
        hint = did_you_mean(key, resources)
        mistakes.append(f"{definition!r} needs the resource '{key}', which is not given.{hint}")
    for key in sorted(set(own) & set(resources)):
        if own[key].identity is not resources[key].identity:
            mistakes.append(f"{definition!r} brings another resource '{key}' already: give one of them another key")
    made = copy.copy(definition)
    made.resource_defs = {**own, **{key: value for key, value in resources.items() if key in needed}}
    return made
