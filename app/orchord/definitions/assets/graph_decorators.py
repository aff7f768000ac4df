"""``@graph_asset`` and ``@graph_multi_asset``: assets that several ops make together.

The graph is traced as ``@graph`` does it; assets of one function are in decorators.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey, CoercibleToAssetKeyPrefix
from orchord.definitions.assets.building import sentences_of
from orchord.definitions.assets.decorators import Decorator, key_of
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.from_node import NodeOptions, parts_of_node
from orchord.definitions.assets.spec import AssetIn, AssetOut, AssetSpec, spec_mistakes
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import GraphOut
from orchord.definitions.origin import origin_of
from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.errors import InvalidDefinitionError, did_you_mean, numbered


@overload
def graph_asset(compose_fn: Callable[..., Any]) -> AssetsDefinition: ...
@overload
def graph_asset(
    compose_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    config: Any = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    group_name: str | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    code_version: str | None = None,
    key: CoercibleToAssetKey | None = None,
) -> Decorator: ...
def graph_asset(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    config: Any = None,
    key_prefix: CoercibleToAssetKeyPrefix | None = None,
    group_name: str | None = None,
    hooks: Iterable[HookDefinition] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    code_version: str | None = None,
    key: CoercibleToAssetKey | None = None,
) -> AssetsDefinition | Decorator:
    """Make an asset of a function that calls ops with each other's outputs; what it returns is the asset.

    Args:
        compose_fn: the function, when used without parentheses. Its parameters are upstream assets.
        name: the last part of the key; the function's name when left out.
        description: what the asset is, in words; the docstring when left out.
        ins: for parameters whose asset has another key.
        config: a ConfigMapping that makes the ops' config from a simpler one, or that config itself.
        key_prefix: the parts of the key before the name.
        group_name: the group that it is shown in.
        hooks: hooks that run after each of its steps.
        metadata: labelled values.
        tags: labels to select and filter by.
        owners: e-mail addresses and ``team:<name>``.
        kinds: what it is made with, at most 10.
        resource_defs: resources that come with it, by key.
        code_version: a text that changes when the code changes its meaning.
        key: the whole key, instead of name and key_prefix.

    Raises:
        InvalidDefinitionError: the definition cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> AssetsDefinition:
        mistakes: list[str] = []
        asset_key = key_of(function, name, key_prefix, key, mistakes)
        mistakes += spec_mistakes("it", tags=tags, kinds=kinds, owners=owners, group_name=group_name)
        what = f"Graph asset '{asset_key.to_user_string()}'"
        graph = _traced(function, asset_key.to_python_identifier(), ins, None, config, mistakes, what)
        if graph is not None and graph.output_names != (DEFAULT_OUTPUT,):
            mistakes.append("it returns no single output: return what the last op gives")
        if mistakes or graph is None:
            raise _error(what, function, mistakes)
        text = description if description is not None else inspect.getdoc(function)
        spec = AssetSpec(
            asset_key,
            description=text,
            metadata=metadata,
            group_name=group_name,
            code_version=code_version,
            owners=owners,
            tags=tags,
            kinds=kinds,
        )
        options = NodeOptions(
            keys_by_input_name=_input_keys(graph, ins),
            specs_by_output_name={DEFAULT_OUTPUT: spec},
            resource_defs=resource_defs,
            hooks=hooks or (),
        )
        return AssetsDefinition(**parts_of_node(graph, options))

    return define if compose_fn is None else define(compose_fn)


def graph_multi_asset(
    *,
    outs: Mapping[str, AssetOut],
    name: str | None = None,
    ins: Mapping[str, AssetIn] | None = None,
    config: Any = None,
    resource_defs: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    can_subset: bool = False,
    hooks: Iterable[HookDefinition] | None = None,
) -> Decorator:
    """Make several assets of a function that calls ops with each other's outputs.

    The function returns a dict of outputs by the names in ``outs``, or a tuple in their order.

    Args:
        outs: an AssetOut for each output's name.
        name: the graph's name; the function's when left out.
        ins: for parameters whose asset has another key.
        config: a ConfigMapping that makes the ops' config from a simpler one, or that config itself.
        resource_defs: resources that come with them, by key.
        group_name: the group of all that name none.
        can_subset: whether some can be made without the others.
        hooks: hooks that run after each of the steps.

    Raises:
        InvalidDefinitionError: the definition cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> AssetsDefinition:
        graph_name = name or function.__name__
        what = f"Graph multi-asset '{graph_name}'"
        mistakes: list[str] = []
        graph_outs = {out_name: GraphOut(out.description) for out_name, out in outs.items()}
        graph = _traced(function, graph_name, ins, graph_outs, config, mistakes, what)
        specs: dict[str, AssetSpec] = {}
        for out_name, out in outs.items():
            try:
                specs[out_name] = out.to_spec(out_name, (), group_name)
            except InvalidDefinitionError as error:
                mistakes += [f"the output '{out_name}': {sentence}" for sentence in sentences_of(error)]
        if mistakes or graph is None:
            raise _error(what, function, mistakes)
        options = NodeOptions(
            keys_by_input_name=_input_keys(graph, ins),
            specs_by_output_name=specs,
            resource_defs=resource_defs,
            can_subset=can_subset,
            hooks=hooks or (),
        )
        return AssetsDefinition(**parts_of_node(graph, options))

    return define


def _traced(
    function: Callable[..., Any],
    name: str,
    ins: Mapping[str, AssetIn] | None,
    outs: Mapping[str, GraphOut] | None,
    config: Any,
    mistakes: list[str],
    what: str,
) -> GraphDefinition | None:
    if not callable(function):
        raise InvalidDefinitionError(f"{what} decorates {function!r}, which is no function. Options go by name.")
    parameters = list(inspect.signature(function).parameters)
    for input_name in ins or {}:
        if input_name not in parameters:
            hint = did_you_mean(input_name, parameters)
            mistakes.append(f"ins= names '{input_name}', which is no parameter of the function.{hint}")
    try:
        return GraphDefinition.from_function(function, name=name, out=outs, config=config)
    except InvalidDefinitionError as error:
        mistakes += sentences_of(error)
        return None


def _input_keys(graph: GraphDefinition, ins: Mapping[str, AssetIn] | None) -> dict[str, AssetKey]:
    return {name: (ins or {}).get(name, AssetIn()).key_for(name) for name in graph.input_names}


def _error(what: str, function: Callable[..., Any], mistakes: list[str]) -> InvalidDefinitionError:
    origin = origin_of(function)
    return InvalidDefinitionError(numbered(f"{what}{f' ({origin})' if origin else ''} cannot be right", mistakes))
