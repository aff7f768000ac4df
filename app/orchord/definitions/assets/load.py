"""Collecting what modules define: ``load_assets_from_modules`` and its relatives, and whole Definitions of modules.

Modules are given, or are walked within a package; importing a code location is location.py.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.assets.job import UnresolvedAssetJobDefinition
from orchord.definitions.assets.labels import group_mistakes
from orchord.definitions.assets.spec import AssetSpec
from orchord.definitions.definitions_object import Definitions
from orchord.definitions.executors import ExecutorDefinition
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.schedules import ScheduleDefinition
from orchord.definitions.sensor_definition import SensorDefinition
from orchord.errors import InvalidDefinitionError

LoadedAsset = AssetsDefinition | SourceAsset | AssetSpec

_ASSETS = (AssetsDefinition, SourceAsset, AssetSpec)
_JOBS = (JobDefinition, UnresolvedAssetJobDefinition)


def load_assets_from_modules(
    modules: Iterable[ModuleType],
    group_name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    *,
    source_key_prefix: CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
) -> list[LoadedAsset]:
    """Return the assets that modules hold at their top level, lists of assets included.

    Args:
        modules: where to look.
        group_name: the group that all of them are put into.
        key_prefix: parts put before the keys of assets that are made, wherever they are named.
        source_key_prefix: parts put before the keys of external assets.
        include_specs: whether AssetSpecs are taken too.

    Raises:
        InvalidDefinitionError: an asset is in another group already, or the group's name is not valid.
    """
    mistakes = group_mistakes(group_name, "load_assets_from_modules")
    if mistakes:
        raise InvalidDefinitionError(mistakes[0])
    found = list(_members(modules, _ASSETS if include_specs else (AssetsDefinition, SourceAsset)))
    replacements: dict[AssetKey, AssetKey] = {}
    for asset in found:
        prefix = key_prefix if isinstance(asset, AssetsDefinition) else source_key_prefix
        if prefix is not None:
            keys = asset.keys if isinstance(asset, AssetsDefinition) else {asset.key}
            replacements.update({key: key.with_prefix(prefix_parts(prefix)) for key in keys})
    return [_changed(asset, replacements, group_name) for asset in found]


def load_assets_from_current_module(
    group_name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    *,
    source_key_prefix: CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
) -> list[LoadedAsset]:
    """Return the assets of the module that calls this. See ``load_assets_from_modules``."""
    module = sys.modules[sys._getframe(1).f_globals["__name__"]]
    return load_assets_from_modules(
        [module], group_name, key_prefix, source_key_prefix=source_key_prefix, include_specs=include_specs
    )


def load_assets_from_package_module(
    package_module: ModuleType,
    group_name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    *,
    source_key_prefix: CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
) -> list[LoadedAsset]:
    """Return the assets of a package and of every module in it. See ``load_assets_from_modules``."""
    modules = list(_walk(package_module))
    return load_assets_from_modules(
        modules, group_name, key_prefix, source_key_prefix=source_key_prefix, include_specs=include_specs
    )


def load_assets_from_package_name(
    package_name: str,
    group_name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    *,
    source_key_prefix: CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
) -> list[LoadedAsset]:
    """Return the assets of the package of this name. See ``load_assets_from_modules``."""
    package = importlib.import_module(package_name)
    return load_assets_from_package_module(
        package, group_name, key_prefix, source_key_prefix=source_key_prefix, include_specs=include_specs
    )


def load_definitions_from_modules(
    modules: Iterable[ModuleType],
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: ExecutorDefinition | None = None,
) -> Definitions:
    """Return a Definitions of the assets, jobs, schedules and sensors that modules hold at their top level."""
    found = list(modules)
    return Definitions(
        assets=load_assets_from_modules(found, include_specs=True),
        jobs=list(_members(found, _JOBS)),
        schedules=list(_members(found, (ScheduleDefinition,))),
        sensors=list(_members(found, (SensorDefinition,))),
        resources=resources,
        loggers=loggers,
        executor=executor,
    )


def load_definitions_from_module(
    module: ModuleType,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: ExecutorDefinition | None = None,
) -> Definitions:
    """Return a Definitions of what one module holds. See ``load_definitions_from_modules``."""
    return load_definitions_from_modules([module], resources, loggers, executor)


def load_definitions_from_current_module(
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: ExecutorDefinition | None = None,
) -> Definitions:
    """Return a Definitions of what the module that calls this holds so far."""
    module = sys.modules[sys._getframe(1).f_globals["__name__"]]
    return load_definitions_from_modules([module], resources, loggers, executor)


def load_definitions_from_package_module(
    package_module: ModuleType,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: ExecutorDefinition | None = None,
) -> Definitions:
    """Return a Definitions of what a package and every module in it hold."""
    return load_definitions_from_modules(_walk(package_module), resources, loggers, executor)


def load_definitions_from_package_name(
    package_name: str,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: ExecutorDefinition | None = None,
) -> Definitions:
    """Return a Definitions of what the package of this name, and every module in it, hold."""
    return load_definitions_from_package_module(importlib.import_module(package_name), resources, loggers, executor)


def _members(modules: Iterable[ModuleType], classes: tuple[type[Any], ...]) -> Iterator[Any]:
    """Give the members of these classes in the order in which they are defined, each object once."""
    seen: set[int] = set()
    for module in modules:
        for value in list(vars(module).values()):
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(item, classes) and id(item) not in seen:
                    seen.add(id(item))
                    yield item


def _walk(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.walk_packages(getattr(package, "__path__", []), f"{package.__name__}."):
        if not info.name.endswith(".__main__"):
            yield importlib.import_module(info.name)


def _changed(asset: LoadedAsset, keys: Mapping[AssetKey, AssetKey], group_name: str | None) -> LoadedAsset:
    if isinstance(asset, AssetsDefinition):
        groups = dict.fromkeys(asset.keys, group_name) if group_name is not None else {}
        touched = asset.keys | asset.dependency_keys
        replacements = {key: keys[key] for key in touched if key in keys}
        if not groups and not replacements:
            return asset
        return asset.with_attributes(asset_key_replacements=replacements, group_names_by_key=groups)
    spec = asset if isinstance(asset, AssetSpec) else asset.spec
    changes: dict[str, Any] = {}
    if spec.key in keys:
        changes["key"] = keys[spec.key]
    if group_name is not None and spec.group_name is None:
        changes["group_name"] = group_name
    if not changes:
        return asset
    changed = spec.replace_attributes(**changes)
    if isinstance(asset, AssetSpec):
        return changed
    made = SourceAsset.from_spec(changed, asset.io_manager_key)
    made.resource_defs = asset.resource_defs
    return made
