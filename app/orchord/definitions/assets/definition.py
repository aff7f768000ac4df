"""AssetsDefinition: an op or a graph, and the assets that its outputs are.

What is known of each asset is its AssetSpec (spec.py); the decorators that make definitions are in decorators.py and
graph_decorators.py, assets that nothing makes in external.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets.external import SourceAsset
from orchord.definitions.assets.from_node import NodeOptions, parts_of_node
from orchord.definitions.assets.labels import DEFAULT_GROUP_NAME
from orchord.definitions.assets.spec import AssetDep, AssetSpec
from orchord.definitions.composition import current_composition
from orchord.definitions.engine import engine
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.op import OpDefinition
from orchord.definitions.resources.configurable import as_resource_definition
from orchord.errors import AssetNotFoundError, InvalidDefinitionError, InvalidInvocationError, did_you_mean, numbered

if TYPE_CHECKING:
    from orchord.definitions.graph import GraphDefinition


@dataclass(frozen=True)
class _Changes:
    """What ``with_attributes`` changes, by key."""

    keys: Mapping[AssetKey, AssetKey]
    groups: Mapping[AssetKey, str]
    tags: Mapping[AssetKey, Mapping[str, str]]
    metadata: Mapping[AssetKey, Mapping[str, Any]]

    def apply(self, spec: AssetSpec) -> AssetSpec:
        """Return the spec with its changes."""
        changes: dict[str, Any] = {}
        if spec.key in self.keys:
            changes["key"] = self.keys[spec.key]
        if any(dep.asset_key in self.keys for dep in spec.deps):
            changes["deps"] = tuple(
                AssetDep(self.keys.get(dep.asset_key, dep.asset_key), metadata=dep.metadata) for dep in spec.deps
            )
        if spec.key in self.groups:
            changes["group_name"] = self.groups[spec.key]
        if spec.key in self.metadata:
            changes["metadata"] = {**spec.metadata, **self.metadata[spec.key]}
        if spec.key in self.tags:
            changes["tags"] = {**spec.plain_tags, **self.tags[spec.key]}
        return spec.replace_attributes(**changes) if changes else spec


class AssetsDefinition:
    """One or several assets, and the op or graph that makes them.

    Attributes:
        node_def: the op or graph. Its name is the step's key in asset jobs.
        keys_by_input_name: the asset that each input reads, or (for inputs of type Nothing) merely comes after.
        keys_by_output_name: the asset that each output is.
        specs_by_key: what is known of each asset, in the order of the outputs.
        resource_defs: resources that come with the definition, by key.
        can_subset: whether the body can make some of the assets without the others.
        hooks: hooks that run after its steps.
        origin: the user's file and line.
    """

    def __init__(
        self,
        *,
        node_def: OpDefinition | GraphDefinition,
        keys_by_input_name: Mapping[str, AssetKey],
        keys_by_output_name: Mapping[str, AssetKey],
        specs: Iterable[AssetSpec],
        resource_defs: Mapping[str, Any] | None = None,
        can_subset: bool = False,
        hooks: Iterable[HookDefinition] = (),
        origin: str = "",
    ) -> None:
        self.node_def = node_def
        self.keys_by_input_name = dict(keys_by_input_name)
        self.keys_by_output_name = dict(keys_by_output_name)
        self.specs_by_key: dict[AssetKey, AssetSpec] = {spec.key: spec for spec in specs}
        self.resource_defs = {key: as_resource_definition(value) for key, value in (resource_defs or {}).items()}
        self.can_subset = can_subset
        self.hooks = frozenset(hooks)
        self.origin = origin
        self.__name__ = node_def.name
        self.__doc__ = getattr(node_def, "__doc__", None)

    def __repr__(self) -> str:
        names = ", ".join(key.to_user_string() for key in self.specs_by_key)
        return f"<AssetsDefinition {names}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Use the op in the graph that is being put together, or call the body directly when there is none."""
        if current_composition() is not None:
            return self.node_def(*args, **kwargs)
        return engine().invoke(self, args, kwargs)

    @property
    def keys(self) -> frozenset[AssetKey]:
        """The assets that it makes."""
        return frozenset(self.specs_by_key)

    @property
    def key(self) -> AssetKey:
        """The asset that it makes, when it makes one.

        Raises:
            InvalidInvocationError: it makes several.
        """
        if len(self.specs_by_key) != 1:
            names = ", ".join(key.to_user_string() for key in self.specs_by_key)
            raise InvalidInvocationError(
                f"'{self.node_def.name}' makes {len(self.specs_by_key)} assets ({names}), so it has no single key."
                " Use its keys."
            )
        return next(iter(self.specs_by_key))

    @property
    def specs(self) -> tuple[AssetSpec, ...]:
        """What is known of each asset."""
        return tuple(self.specs_by_key.values())

    @property
    def op(self) -> OpDefinition:
        """The op that makes the assets.

        Raises:
            InvalidInvocationError: a graph makes them.
        """
        if not isinstance(self.node_def, OpDefinition):
            raise InvalidInvocationError(f"'{self.node_def.name}' is made by a graph. Use its node_def.")
        return self.node_def

    @property
    def dependency_keys(self) -> frozenset[AssetKey]:
        """The assets that it reads or comes after, its own left out."""
        return frozenset(self.keys_by_input_name.values()) - self.keys

    @property
    def asset_deps(self) -> dict[AssetKey, frozenset[AssetKey]]:
        """For each asset, those that it depends on."""
        return {spec.key: frozenset(dep.asset_key for dep in spec.deps) for spec in self.specs}

    @property
    def group_names_by_key(self) -> dict[AssetKey, str]:
        """The group of each asset."""
        return {spec.key: spec.group for spec in self.specs}

    @property
    def metadata_by_key(self) -> dict[AssetKey, Mapping[str, Any]]:
        """The metadata of each asset's definition."""
        return {spec.key: spec.metadata for spec in self.specs}

    @property
    def tags_by_key(self) -> dict[AssetKey, Mapping[str, str]]:
        """The tags of each asset."""
        return {spec.key: spec.tags for spec in self.specs}

    @property
    def descriptions_by_key(self) -> dict[AssetKey, str]:
        """The description of each asset that has one."""
        return {spec.key: spec.description for spec in self.specs if spec.description is not None}

    def get_asset_spec(self, key: CoercibleToAssetKey | None = None) -> AssetSpec:
        """Return what is known of an asset; without a key, of the only one.

        Raises:
            AssetNotFoundError: it makes no such asset.
        """
        wanted = self.key if key is None else AssetKey.from_coercible(key)
        if wanted not in self.specs_by_key:
            hint = did_you_mean(wanted.to_user_string(), (known.to_user_string() for known in self.specs_by_key))
            raise AssetNotFoundError(f"'{self.node_def.name}' makes no asset '{wanted.to_user_string()}'.{hint}")
        return self.specs_by_key[wanted]

    def io_manager_key_of(self, key: AssetKey) -> str:
        """Return the resource that stores an asset."""
        name = next(name for name, made in self.keys_by_output_name.items() if made == key)
        return io_manager_key_of_output(self.node_def, name)

    def with_attributes(
        self,
        *,
        asset_key_replacements: Mapping[AssetKey, AssetKey] | None = None,
        group_names_by_key: Mapping[AssetKey, str] | None = None,
        tags_by_key: Mapping[AssetKey, Mapping[str, str]] | None = None,
        metadata_by_key: Mapping[AssetKey, Mapping[str, Any]] | None = None,
    ) -> AssetsDefinition:
        """Return a copy whose assets have other keys, groups, tags or metadata. The op's name stays.

        Raises:
            InvalidDefinitionError: an asset has another group already.
        """
        groups = group_names_by_key or {}
        taken = [
            f"{spec.key.to_user_string()} is in the group '{spec.group_name}', and would go to '{groups[spec.key]}'"
            for spec in self.specs
            if spec.key in groups and spec.group not in (DEFAULT_GROUP_NAME, groups[spec.key])
        ]
        if taken:
            raise InvalidDefinitionError(numbered("Assets cannot change their group", taken))
        keys = asset_key_replacements or {}
        changes = _Changes(keys, groups, tags_by_key or {}, metadata_by_key or {})
        made = self._copied({spec.key: changes.apply(spec) for spec in self.specs})
        made.keys_by_input_name = {name: keys.get(key, key) for name, key in self.keys_by_input_name.items()}
        return made

    def map_asset_specs(self, change: Callable[[AssetSpec], AssetSpec]) -> AssetsDefinition:
        """Return a copy in which each spec is what the function makes of it. Keys and deps must stay.

        Raises:
            InvalidDefinitionError: the function changed a key or deps.
        """
        changed = {spec.key: change(spec) for spec in self.specs}
        for key, spec in changed.items():
            if spec.key != key or spec.deps != self.specs_by_key[key].deps:
                raise InvalidDefinitionError(
                    f"map_asset_specs changed the key or deps of {key.to_user_string()}. Use with_attributes for keys."
                )
        return self._copied(changed)

    def with_prefix(self, prefix: CoercibleToAssetKeyPrefix) -> AssetsDefinition:
        """Return a copy in which the keys of its own assets have further parts in front."""
        parts = prefix_parts(prefix)
        return self.with_attributes(asset_key_replacements={key: key.with_prefix(parts) for key in self.keys})

    def with_resources(self, resource_defs: Mapping[str, Any]) -> AssetsDefinition:
        """Return a copy that brings these resources too."""
        made = copy.copy(self)
        added = {key: as_resource_definition(value) for key, value in resource_defs.items()}
        made.resource_defs = {**self.resource_defs, **added}
        return made

    def to_source_asset(self, key: CoercibleToAssetKey | None = None) -> SourceAsset:
        """Return the asset as an external one, for a location that reads it and does not make it."""
        spec = self.get_asset_spec(key)
        return SourceAsset.from_spec(spec, io_manager_key=self.io_manager_key_of(spec.key))

    @classmethod
    def from_op(cls, op_def: OpDefinition, **options: Any) -> AssetsDefinition:
        """Return an op's outputs as assets. See ``NodeOptions`` in from_node.py for the options."""
        return cls(**parts_of_node(op_def, NodeOptions(**options)))

    @classmethod
    def from_graph(cls, graph_def: GraphDefinition, **options: Any) -> AssetsDefinition:
        """Return a graph's outputs as assets. See ``NodeOptions`` in from_node.py for the options."""
        return cls(**parts_of_node(graph_def, NodeOptions(**options)))

    def _copied(self, specs: Mapping[AssetKey, AssetSpec]) -> AssetsDefinition:
        """Return a copy with other specs, given by the present keys."""
        made = copy.copy(self)
        made.specs_by_key = {spec.key: spec for spec in specs.values()}
        made.keys_by_output_name = {name: specs[key].key for name, key in self.keys_by_output_name.items()}
        return made


def io_manager_key_of_output(node_def: OpDefinition | GraphDefinition, output_name: str) -> str:
    """Return the resource that stores an output; of a graph: of the op inside it that gives the output."""
    definition: Any = node_def
    while not isinstance(definition, OpDefinition):
        mapping = definition.output_mapping(output_name)
        definition = definition.nodes[mapping.mapped_node_name].definition
        output_name = mapping.mapped_node_output_name
    return definition.outs[output_name].io_manager_key or DEFAULT_IO_MANAGER_KEY
