"""Making assets of an op or a graph that exists already: which key each input and output has.

Used by ``AssetsDefinition.from_op`` and ``from_graph``, and by the graph decorators; functions become assets in
building.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets.spec import AssetDep, AssetSpec
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.errors import InvalidDefinitionError, did_you_mean, numbered

if TYPE_CHECKING:
    from orchord.definitions.graph import GraphDefinition
    from orchord.definitions.op import OpDefinition


@dataclass(frozen=True)
class NodeOptions:
    """What can be said of assets that are made of a node.

    Attributes:
        keys_by_input_name: the asset that an input reads; default: its name.
        keys_by_output_name: the asset that an output is; default: its name, or the node's for the output ``result``.
        key_prefix: parts before the keys of outputs.
        internal_asset_deps: by output name, the assets that it depends on; default: all inputs.
        resource_defs: resources that come with the assets.
        group_name: the group of all of them.
        group_names_by_output_name: the group of each.
        descriptions_by_output_name: the description of each.
        metadata_by_output_name: the metadata of each.
        tags_by_output_name: the tags of each.
        specs_by_output_name: the whole spec of each; then none of the above of that output.
        can_subset: whether some outputs can be made without the others.
        hooks: hooks that run after its steps.
    """

    keys_by_input_name: Mapping[str, AssetKey] | None = None
    keys_by_output_name: Mapping[str, AssetKey] | None = None
    key_prefix: CoercibleToAssetKeyPrefix | None = None
    internal_asset_deps: Mapping[str, Iterable[AssetKey]] | None = None
    resource_defs: Mapping[str, Any] | None = None
    group_name: str | None = None
    group_names_by_output_name: Mapping[str, str] | None = None
    descriptions_by_output_name: Mapping[str, str] | None = None
    metadata_by_output_name: Mapping[str, Mapping[str, Any]] | None = None
    tags_by_output_name: Mapping[str, Mapping[str, str]] | None = None
    specs_by_output_name: Mapping[str, AssetSpec] | None = None
    can_subset: bool = False
    hooks: Iterable[HookDefinition] = ()


def parts_of_node(node: OpDefinition | GraphDefinition, options: NodeOptions) -> dict[str, Any]:
    """Return the arguments of AssetsDefinition that make assets of a node.

    Raises:
        InvalidDefinitionError: options name inputs or outputs that the node does not have; all are listed.
    """
    _check_names(node, options)
    input_keys = {
        name: AssetKey.from_coercible((options.keys_by_input_name or {}).get(name, name)) for name in node.input_names
    }
    output_keys = {name: _output_key(node, name, options) for name in node.output_names}
    specs = [_spec(node, name, key, input_keys, options) for name, key in output_keys.items()]
    return {
        "node_def": node,
        "keys_by_input_name": input_keys,
        "keys_by_output_name": output_keys,
        "specs": specs,
        "resource_defs": options.resource_defs,
        "can_subset": options.can_subset,
        "hooks": options.hooks,
        "origin": node.origin,
    }


def _output_key(node: OpDefinition | GraphDefinition, name: str, options: NodeOptions) -> AssetKey:
    if options.specs_by_output_name and name in options.specs_by_output_name:
        return options.specs_by_output_name[name].key
    given = (options.keys_by_output_name or {}).get(name)
    key = AssetKey(node.name if name == DEFAULT_OUTPUT else name) if given is None else AssetKey.from_coercible(given)
    return key.with_prefix(prefix_parts(options.key_prefix))


def _spec(
    node: OpDefinition | GraphDefinition,
    name: str,
    key: AssetKey,
    input_keys: Mapping[str, AssetKey],
    options: NodeOptions,
) -> AssetSpec:
    upstream: Iterable[AssetKey] = dict.fromkeys(input_keys.values())
    if options.internal_asset_deps is not None and name in options.internal_asset_deps:
        upstream = sorted(AssetKey.from_coercible(dep) for dep in options.internal_asset_deps[name])
    deps = [AssetDep(dep) for dep in upstream]
    if options.specs_by_output_name and name in options.specs_by_output_name:
        return options.specs_by_output_name[name].replace_attributes(deps=deps)
    description = (options.descriptions_by_output_name or {}).get(name)
    return AssetSpec(
        key,
        deps=deps,
        description=description
        if description is not None
        else node.description
        if len(node.output_names) == 1
        else None,
        metadata=(options.metadata_by_output_name or {}).get(name),
        group_name=(options.group_names_by_output_name or {}).get(name, options.group_name),
        tags=(options.tags_by_output_name or {}).get(name),
    )


def _check_names(node: OpDefinition | GraphDefinition, options: NodeOptions) -> None:
    by_output = (
        "keys_by_output_name",
        "internal_asset_deps",
        "group_names_by_output_name",
        "descriptions_by_output_name",
        "metadata_by_output_name",
        "tags_by_output_name",
        "specs_by_output_name",
    )
    mistakes = []
    for option, kind, known in [
        ("keys_by_input_name", "input", node.input_names),
        *((option, "output", node.output_names) for option in by_output),
    ]:
        for name in getattr(options, option) or {}:
            if name not in known:
                mistakes.append(f"{option} names '{name}', which is no {kind} of it.{did_you_mean(name, known)}")
    if not node.output_names:
        mistakes.append("it has no output, so it makes no asset; return a value")
    if mistakes:
        raise InvalidDefinitionError(numbered(f"The assets of {node.kind} '{node.name}' cannot be right", mistakes))
