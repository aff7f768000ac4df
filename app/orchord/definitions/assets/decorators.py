"""``@asset`` and ``@multi_asset``: functions whose return values are assets.

How parameters become inputs is in building.py; assets that are made by several ops are in graph_decorators.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, overload

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey, CoercibleToAssetKeyPrefix, prefix_parts
from orchord.definitions.assets.building import MadeOutput, OpOptions, assets_from_function, output_type
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.spec import (
    UNSET,
    AssetDep,
    AssetIn,
    AssetOut,
    AssetSpec,
    CoercibleToAssetDep,
    Unset,
    spec_mistakes,
)
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import NO_VALUE, Out
from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.types import Nothing
from orchord.errors import InvalidDefinitionError, did_you_mean

Decorator = Callable[[Callable[..., Any]], AssetsDefinition]


@overload
def asset(compute_fn: Callable[..., Any]) -> AssetsDefinition: ...
@overload
def asset(
    compute_fn: None = None,
    *,
    name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    deps: Iterable[CoercibleToAssetDep] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    dagster_type: Any = UNSET,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    key: CoercibleToAssetKey | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    timeout_seconds: float | None = None,
) -> Decorator: ...
def asset(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    deps: Iterable[CoercibleToAssetDep] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    dagster_type: Any = UNSET,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    key: CoercibleToAssetKey | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    timeout_seconds: float | None = None,
) -> AssetsDefinition | Decorator:
    """Make an asset of a function. Use it with or without parentheses.

    Parameters are upstream assets of the same names, and are loaded by their IO managers; the return value is stored
    by this asset's IO manager, unless it is a MaterializeResult without a value, or the function is annotated
    ``-> None``. A first parameter ``context`` takes the context, ``config: SomeConfig`` the config, parameters
    annotated with a resource class that resource.

    Args:
        compute_fn: the function, when used without parentheses.
        name: the last part of the key; the function's name when left out.
        key_prefix: the parts before it.
        ins: for parameters whose asset has another key, or is loaded in another way.
        deps: assets that it comes after, without loading them.
        metadata: labelled values.
        tags: labels to select and filter by.
        description: what it is, in words; the docstring when left out.
        config_schema: what its config must look like.
        required_resource_keys: resources that ``context.resources`` must have.
        resource_defs: resources that come with it, by key.
        hooks: hooks that run after its step.
        io_manager_def: the IO manager itself, instead of a key of one.
        io_manager_key: the resource that stores it.
        dagster_type: the type that the value is checked against.
        op_tags: tags of the op.
        group_name: the group that it is shown in.
        output_required: False lets the body leave it out; what depends on it is then skipped.
        retry_policy: how often a failed step is tried again.
        code_version: a text that changes when the code changes its meaning.
        key: the whole key, instead of name and key_prefix.
        owners: e-mail addresses and ``team:<name>``.
        kinds: what it is made with, at most 10.
        pool: the pool whose slots limit how many such steps run at once.
        timeout_seconds: how long an attempt at the step may take, as for ``@op``.

    Raises:
        InvalidDefinitionError: the definition cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> AssetsDefinition:
        mistakes: list[str] = []
        asset_key = key_of(function, name, key_prefix, key, mistakes)
        mistakes += spec_mistakes("it", tags=tags, kinds=kinds, owners=owners, group_name=group_name)
        io_key, resources = _io_manager(asset_key, io_manager_key, io_manager_def, resource_defs, mistakes)
        labels_are_valid = not mistakes
        options = OpOptions(
            name=asset_key.to_python_identifier(),
            description=description,
            ins=ins,
            deps=deps,
            config_schema=config_schema,
            required_resource_keys=[*(required_resource_keys or ()), *(resource_defs or ())],
            resource_defs=resources,
            hooks=hooks,
            op_tags=op_tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
            timeout_seconds=timeout_seconds,
        )
        out = Out(
            dagster_type=output_type(function, dagster_type),
            is_required=output_required,
            io_manager_key=io_key,
            metadata=metadata,
            code_version=code_version,
        )

        def spec(all_deps: tuple[AssetDep, ...]) -> AssetSpec:
            return AssetSpec(
                asset_key,
                deps=all_deps,
                description=description if description is not None else _docstring(function),
                metadata=metadata,
                skippable=not output_required,
                group_name=group_name if labels_are_valid else None,
                code_version=code_version,
                owners=owners if labels_are_valid else None,
                tags=tags if labels_are_valid else None,
                kinds=kinds if labels_are_valid else None,
            )

        return assets_from_function(
            function,
            options,
            {DEFAULT_OUTPUT: MadeOutput(out, spec)},
            what=f"Asset '{asset_key.to_user_string()}'",
            mistakes=mistakes,
        )

    if compute_fn is None:
        return define
    if not callable(compute_fn):
        raise InvalidDefinitionError(
            f"@asset decorates {compute_fn!r}, which is no function. Options go by name: @asset(name=...)."
        )
    return define(compute_fn)


def multi_asset(
    *,
    outs: Mapping[str, AssetOut] | None = None,
    name: str | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    deps: Iterable[CoercibleToAssetDep] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    internal_asset_deps: Mapping[str, Iterable[CoercibleToAssetKey]] | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    op_tags: Mapping[str, Any] | None = None,
    can_subset: bool = False,
    resource_defs: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    specs: Sequence[AssetSpec] | None = None,
    pool: str | None = None,
    timeout_seconds: float | None = None,
) -> Decorator:
    """Make several assets of one function, given by ``outs`` or by ``specs``.

    With ``outs`` the function returns a tuple of values in that order, or yields ``Output(value, output_name=...)``.
    With ``specs`` it returns or yields a ``MaterializeResult(asset_key=...)`` for each.

    Args:
        outs: an AssetOut for each output's name.
        name: the op's name; the function's when left out.
        ins: for parameters whose asset has another key, or is loaded in another way.
        deps: assets that all come after, without loading them; with ``specs``, give deps there.
        description: of the op.
        config_schema: what the op's config must look like.
        required_resource_keys: resources that ``context.resources`` must have.
        internal_asset_deps: by output's name, the assets that it depends on, other outputs included. Default: all
            inputs.
        hooks: hooks that run after the step.
        op_tags: tags of the op.
        can_subset: the body can make some without the others; it asks ``context.selected_asset_keys``.
        resource_defs: resources that come with it, by key.
        group_name: the group of all that name none.
        retry_policy: how often a failed step is tried again.
        code_version: the version of the code, for all that name none.
        specs: an AssetSpec for each asset, instead of ``outs``.
        pool: the pool whose slots limit how many such steps run at once.
        timeout_seconds: how long an attempt at the step may take, as for ``@op``.

    Raises:
        InvalidDefinitionError: the definition cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> AssetsDefinition:
        op_name = name or function.__name__
        mistakes: list[str] = []
        if (specs is None) == (outs is None):
            mistakes.append("it needs either outs= or specs=, and not both")
        if specs is not None and deps is not None:
            mistakes.append("it has deps= and specs=: give each AssetSpec its own deps=")
        for out_name in internal_asset_deps or ():
            if out_name not in (outs or {}):
                hint = did_you_mean(out_name, outs or ())
                mistakes.append(f"internal_asset_deps names '{out_name}', which is none of outs=.{hint}")
        if specs is not None:
            outputs = _outputs_of_specs(specs, group_name, code_version, can_subset, mistakes)
        else:
            outputs = _outputs_of_outs(outs or {}, internal_asset_deps, group_name, code_version, can_subset, mistakes)
        known = [spec for spec in specs or () if isinstance(spec, AssetSpec)]
        own = {spec.key for spec in known}
        extra = [dep for spec in known for dep in spec.deps if dep.asset_key not in own]
        options = OpOptions(
            name=op_name,
            description=description,
            ins=ins,
            deps=deps,
            config_schema=config_schema,
            required_resource_keys=[*(required_resource_keys or ()), *(resource_defs or ())],
            resource_defs=resource_defs,
            hooks=hooks,
            op_tags=op_tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
            timeout_seconds=timeout_seconds,
        )
        what = f"Multi-asset '{op_name}'"
        return assets_from_function(
            function, options, outputs, what=what, extra_deps=extra, can_subset=can_subset, mistakes=mistakes
        )

    return define


def _outputs_of_specs(
    specs: Sequence[Any],
    group_name: str | None,
    code_version: str | None,
    can_subset: bool,
    mistakes: list[str],
) -> dict[str, MadeOutput]:
    outputs: dict[str, MadeOutput] = {}
    known = [spec for spec in specs if isinstance(spec, AssetSpec)]
    for spec in specs:
        if not isinstance(spec, AssetSpec):
            mistakes.append(f"specs= holds {spec!r}: give AssetSpecs")
            continue
        name = spec.key.to_python_identifier()
        if name in outputs:
            mistakes.append(f"specs= holds '{spec.key.to_user_string()}' twice, or a key that reads the same as a name")
        full = spec.replace_attributes(
            group_name=spec.group_name or group_name, code_version=spec.code_version or code_version
        )
        # Such assets are stored by the body itself, unless it gives MaterializeResult a value.
        out = Out(Nothing, spec.description, not (can_subset or spec.skippable), None, spec.metadata, full.code_version)
        # The spec says its own deps; parameters are deps of all.
        outputs[name] = MadeOutput(out, partial(_with_loaded, full, known))
    return outputs


def _with_loaded(spec: AssetSpec, specs: Sequence[AssetSpec], deps: tuple[AssetDep, ...]) -> AssetSpec:
    """Return a spec with the parameters' assets added to its deps; those that other specs name are not its own."""
    named = {dep.asset_key for other in specs for dep in other.deps}
    own = {dep.asset_key for dep in spec.deps}
    loaded = [dep for dep in deps if dep.asset_key not in named and dep.asset_key not in own]
    return spec.replace_attributes(deps=[*spec.deps, *loaded]) if loaded else spec


def _outputs_of_outs(
    outs: Mapping[str, Any],
    internal_asset_deps: Mapping[str, Iterable[CoercibleToAssetKey]] | None,
    group_name: str | None,
    code_version: str | None,
    can_subset: bool,
    mistakes: list[str],
) -> dict[str, MadeOutput]:
    outputs: dict[str, MadeOutput] = {}
    for name, given in outs.items():
        asset_out = AssetOut.from_spec(given) if isinstance(given, AssetSpec) else given
        if not isinstance(asset_out, AssetOut):
            mistakes.append(f"outs= has {given!r} for '{name}': give an AssetOut")
            continue
        upstream = None
        if internal_asset_deps and name in internal_asset_deps:
            upstream = tuple(sorted({AssetKey.from_coercible(key) for key in internal_asset_deps[name]}))
        out = Out(
            dagster_type=NO_VALUE if isinstance(asset_out.dagster_type, Unset) else asset_out.dagster_type,
            description=asset_out.description,
            is_required=asset_out.is_required and not can_subset,
            io_manager_key=asset_out.io_manager_key,
            metadata=asset_out.metadata,
            code_version=asset_out.code_version or code_version,
        )
        spec_from = partial(asset_out.to_spec, name, group_name=group_name, code_version=code_version)
        outputs[name] = MadeOutput(out, spec_from, upstream)
    return outputs


def key_of(
    function: Callable[..., Any],
    name: str | None,
    key_prefix: CoercibleToAssetKeyPrefix | None,
    key: CoercibleToAssetKey | None,
    mistakes: list[str],
) -> AssetKey:
    """Return the key that name, key_prefix or key give."""
    if key is not None:
        if name is not None or key_prefix is not None:
            mistakes.append("it has key= beside name= or key_prefix=: give the one or the other")
        made = AssetKey.from_coercible(key)
    else:
        last = name if name is not None else getattr(function, "__name__", type(function).__name__)
        made = AssetKey((*prefix_parts(key_prefix), last))
    for part in made.path:
        if "/" in part:
            mistakes.append(f"the part {part!r} of its key has a '/': give the parts as a list, {part.split('/')!r}")
    return made


def _io_manager(
    key: AssetKey,
    io_manager_key: str | None,
    io_manager_def: Any,
    resource_defs: Mapping[str, Any] | None,
    mistakes: list[str],
) -> tuple[str | None, dict[str, Any]]:
    resources = dict(resource_defs or {})
    if io_manager_def is None:
        return io_manager_key, resources
    if io_manager_key is not None:
        mistakes.append("it has both io_manager_key= and io_manager_def=: give one of them")
    own_key = key.to_python_identifier("io_manager")
    resources[own_key] = io_manager_def
    return own_key, resources


def _docstring(function: Callable[..., Any]) -> str | None:
    return inspect.getdoc(function) if inspect.isroutine(function) else None
