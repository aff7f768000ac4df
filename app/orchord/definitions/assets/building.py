"""From a function to assets: how ``@asset`` and ``@multi_asset`` read parameters, and make an op of the body.

Every mistake of one definition is reported at once, with the user's file and line. The decorators themselves are in
decorators.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args, get_origin

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.results import MaterializeResult, ObserveResult
from orchord.definitions.assets.spec import AssetDep, AssetIn, AssetSpec, CoercibleToAssetDep, Unset, deps_from
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.in_out import NO_VALUE, In, Out
from orchord.definitions.inference import read_signature, value_annotation
from orchord.definitions.op import OpDefinition
from orchord.definitions.origin import origin_of
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.types import Nothing
from orchord.errors import InvalidDefinitionError, did_you_mean, numbered


@dataclass
class OpOptions:
    """What a decorator was told about the op, handed through as it is."""

    name: str
    description: str | None = None
    ins: Mapping[str, AssetIn] | None = None
    deps: Iterable[CoercibleToAssetDep] | None = None
    config_schema: Any = None
    required_resource_keys: Iterable[str] | None = None
    resource_defs: Mapping[str, Any] | None = None
    hooks: Iterable[HookDefinition] | None = None
    op_tags: Mapping[str, Any] | None = None
    retry_policy: RetryPolicy | None = None
    code_version: str | None = None
    pool: str | None = None
    timeout_seconds: float | None = None


@dataclass
class MadeOutput:
    """One output of the op: how it is stored, and how its spec is made once all dependencies are known."""

    out: Out
    spec_from: Callable[[tuple[AssetDep, ...]], AssetSpec]
    upstream: tuple[AssetKey, ...] | None = None


@dataclass
class Inputs:
    """The inputs of the op, the assets that they read, and metadata of those edges."""

    ins: dict[str, In] = field(default_factory=dict)
    keys: dict[str, AssetKey] = field(default_factory=dict)
    deps: dict[AssetKey, AssetDep] = field(default_factory=dict)


def assets_from_function(
    function: Callable[..., Any],
    options: OpOptions,
    outputs: Mapping[str, MadeOutput],
    *,
    what: str,
    extra_deps: Iterable[AssetDep] = (),
    can_subset: bool = False,
    mistakes: list[str],
) -> AssetsDefinition:
    """Make an AssetsDefinition of a function.

    Args:
        function: the body.
        options: what is said of the op.
        outputs: the outputs, by name.
        what: how messages call the definition, such as ``Asset 'orders'``.
        extra_deps: further upstream assets, which specs name.
        can_subset: whether the body can make some outputs without the others.
        mistakes: what is wrong already; everything further is added, and raised together.

    Raises:
        InvalidDefinitionError: the definition cannot be right; every mistake is listed.
    """
    origin = origin_of(function)
    inputs = _inputs(function, options, extra_deps, mistakes)
    specs: list[AssetSpec] = []
    keys: dict[str, AssetKey] = {}
    for name, output in outputs.items():
        deps = (
            inputs.deps
            if output.upstream is None
            else {key: inputs.deps.get(key) or AssetDep(key) for key in output.upstream}
        )
        spec = _attempt(partial(output.spec_from, tuple(deps.values())), mistakes)
        if spec is not None:
            specs.append(spec)
            keys[name] = spec.key
    own = set(keys.values())
    mistakes += _self_dependencies(specs)
    op = _attempt(lambda: _op(function, options, inputs, outputs, own), mistakes)
    if mistakes or op is None:
        raise InvalidDefinitionError(numbered(f"{what}{f' ({origin})' if origin else ''} cannot be right", mistakes))
    return AssetsDefinition(
        node_def=op,
        keys_by_input_name={name: inputs.keys[name] for name in op.ins},
        keys_by_output_name=keys,
        specs=specs,
        resource_defs=options.resource_defs,
        can_subset=can_subset,
        hooks=options.hooks or (),
        origin=origin,
    )


def output_type(function: Callable[..., Any], declared: Any) -> Any:
    """Return the type of an asset's only output: what was declared, else what the return annotation says.

    ``-> None`` makes it Nothing: no IO manager is called. ``-> MaterializeResult[T]`` says T of its value, if any.
    """
    if not isinstance(declared, Unset):
        return declared
    annotation = value_annotation(read_signature(function).returns)
    if annotation is type(None) or annotation is None:
        return Nothing
    if annotation in (MaterializeResult, ObserveResult):
        return Any
    if get_origin(annotation) is MaterializeResult:
        return get_args(annotation)[0]
    return annotation


def _inputs(
    function: Callable[..., Any], options: OpOptions, extra_deps: Iterable[AssetDep], mistakes: list[str]
) -> Inputs:
    """Read parameters, ``ins=`` and ``deps=``: one input each, of type Nothing for what is not loaded."""
    made = Inputs()
    given: dict[str, Any] = dict(options.ins or {})
    for name, value in given.items():
        if not isinstance(value, AssetIn):
            mistakes.append(f"ins= has {value!r} for '{name}': give an AssetIn, such as AssetIn(key={name!r})")
            given[name] = AssetIn()
    signature = read_signature(function, frozenset(given))
    parameters = [parameter.name for parameter in signature.inputs]
    for name in [*parameters, *(name for name in given if name not in parameters)]:
        asset_in = given.get(name, AssetIn())
        is_nothing = asset_in.dagster_type is Nothing
        if name not in parameters and not is_nothing and not signature.takes_any_keyword:
            hint = did_you_mean(name, parameters)
            mistakes.append(f"ins= names '{name}', which is no parameter of the function.{hint} Add it, or use deps=")
            continue
        _add_input(made, name, asset_in)
    loaded = {key: name for name, key in made.keys.items()}
    listed = _attempt(lambda: deps_from(options.deps, "It"), mistakes) or ()
    for dep in listed:
        if dep.asset_key in loaded:
            mistakes.append(
                f"deps= lists '{dep.asset_key.to_user_string()}', which the parameter '{loaded[dep.asset_key]}' loads"
                " already: keep one of them"
            )
    for dep in (*listed, *extra_deps):
        if dep.asset_key not in made.deps:
            name = _free_name(dep.asset_key, made.ins)
            made.ins[name] = In(Nothing, asset_key=dep.asset_key)
            made.keys[name] = dep.asset_key
        made.deps.setdefault(dep.asset_key, dep)
    return made


def _add_input(made: Inputs, name: str, asset_in: AssetIn) -> None:
    key = asset_in.key_for(name)
    made.ins[name] = In(
        dagster_type=NO_VALUE if isinstance(asset_in.dagster_type, Unset) else asset_in.dagster_type,
        metadata=asset_in.metadata,
        asset_key=key,
        input_manager_key=asset_in.input_manager_key,
    )
    made.keys[name] = key
    made.deps.setdefault(key, AssetDep(key, metadata=asset_in.metadata))


def _free_name(key: AssetKey, taken: Mapping[str, In]) -> str:
    """Return a name for an input that only orders; two keys may have the same letters and digits."""
    name = base = key.to_python_identifier()
    number = 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _self_dependencies(specs: list[AssetSpec]) -> list[str]:
    return [
        f"'{spec.key.to_user_string()}' depends on itself: rename the parameter, or give it another asset by"
        " ins={...: AssetIn(key=...)}"
        for spec in specs
        if any(dep.asset_key == spec.key for dep in spec.deps)
    ]


def _op(
    function: Callable[..., Any],
    options: OpOptions,
    inputs: Inputs,
    outputs: Mapping[str, MadeOutput],
    own: set[AssetKey],
) -> OpDefinition:
    ordering_only_itself = [
        name for name, key in inputs.keys.items() if key in own and inputs.ins[name].dagster_type is Nothing
    ]
    return OpDefinition(
        function,
        name=options.name,
        description=options.description,
        ins={name: value for name, value in inputs.ins.items() if name not in ordering_only_itself},
        out={name: output.out for name, output in outputs.items()},
        config_schema=options.config_schema,
        required_resource_keys=options.required_resource_keys,
        tags=options.op_tags,
        retry_policy=options.retry_policy,
        code_version=options.code_version,
        pool=options.pool,
        timeout_seconds=options.timeout_seconds,
        hooks=options.hooks or (),
    )


def _attempt(make: Callable[[], Any], mistakes: list[str]) -> Any:
    """Return what a function makes, or None with its mistakes noted, each by itself."""
    try:
        return make()
    except InvalidDefinitionError as error:
        mistakes += sentences_of(error)
        return None


def sentences_of(error: InvalidDefinitionError) -> list[str]:
    """Take an error of one definition apart into its mistakes, to list them under another headline."""
    text = str(error)
    headline, colon, rest = text.partition(" cannot be right")
    if not colon or "\n" in headline:
        return [text]
    if rest.startswith(": "):
        return [rest[2:]]
    return [line for line in re.split(r"\n  \d+\. ", rest)[1:] if line]
