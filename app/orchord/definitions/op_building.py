"""Merging what an op declares (``ins=``, ``out=``, ``config_schema=``) with what its function's signature says.

Every mistake of one op is reported at once. The result becomes an OpDefinition in op.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchord.definitions.config.annotations import annotation_type
from orchord.definitions.config.config_class import Config
from orchord.definitions.config.schema import ConfigSchema, Field, as_schema
from orchord.definitions.config.types import NoneableType
from orchord.definitions.in_out import NO_VALUE, In, Out
from orchord.definitions.inference import Parameter, Signature, read_signature, tuple_annotations, value_annotation
from orchord.definitions.origin import origin_of
from orchord.definitions.output import DEFAULT_OUTPUT
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.definitions.time_limit import checked_time_limit
from orchord.definitions.types import Nothing
from orchord.errors import InvalidDefinitionError, did_you_mean, numbered


@dataclass(frozen=True)
class OpParts:
    """What an op is made of."""

    name: str
    description: str | None
    signature: Signature
    ins: dict[str, In]
    outs: dict[str, Out]
    config_schema: ConfigSchema | None
    config_cls: type[Any] | None
    required_resource_keys: frozenset[str]
    tags: dict[str, str]
    timeout_seconds: float | None
    origin: str


def read_op(
    function: Callable[..., Any],
    *,
    name: str | None,
    ins: Mapping[str, In],
    out: Out | Mapping[str, Out] | None,
    config_schema: Any,
    required_resource_keys: Iterable[str] | None,
    tags: Mapping[str, Any] | None,
    retry_policy: Any = None,
    timeout_seconds: Any = None,
) -> OpParts:
    """Merge declarations and signature.

    Raises:
        InvalidDefinitionError: the op cannot be right; every mistake is listed.
    """
    if not callable(function):
        raise InvalidDefinitionError(
            f"@op decorates {function!r}, which is no function. Options go by name: @op(name=...), @op(out=...)."
        )
    op_name = name if name is not None else getattr(function, "__name__", type(function).__name__)
    origin = origin_of(function)
    mistakes = name_mistakes("an op", op_name)
    ins = _checked_ins(ins, mistakes)
    signature = read_signature(function, frozenset(ins))
    mistakes += signature.mistakes
    keys = _checked_keys(required_resource_keys, mistakes)
    if retry_policy is not None and not isinstance(retry_policy, RetryPolicy):
        mistakes.append(f"retry_policy is {retry_policy!r}: give a RetryPolicy")
    schema, config_cls = _config(signature.config, config_schema, mistakes)
    known_tags = normalized_tags(tags, f"op '{op_name}'")
    parts = OpParts(
        name=op_name,
        description=inspect.getdoc(function) if inspect.isroutine(function) else None,
        signature=signature,
        ins=merged_ins(signature, ins, mistakes),
        outs=merged_outs(signature, out, mistakes),
        config_schema=schema,
        config_cls=config_cls,
        required_resource_keys=keys | frozenset(signature.resources.values()),
        tags=known_tags,
        timeout_seconds=checked_time_limit(timeout_seconds, known_tags, mistakes),
        origin=origin,
    )
    if mistakes:
        where = f" ({origin})" if origin else ""
        raise InvalidDefinitionError(numbered(f"Op '{op_name}'{where} cannot be right", mistakes))
    return parts


def merged_ins(signature: Signature, declared: Mapping[str, In], mistakes: list[str]) -> dict[str, In]:
    """Merge the function's inputs with those declared: parameters first, then inputs that only order."""
    result: dict[str, In] = {}
    for parameter in signature.inputs:
        found = declared.get(parameter.name, In()).resolved(parameter.annotation, parameter.default)
        if found.is_nothing and parameter.name in declared:
            mistakes.append(
                f"its input '{parameter.name}' is Nothing, so no value arrives for the parameter of that name: "
                "remove the parameter"
            )
        result[parameter.name] = found
    parameters = [parameter.name for parameter in signature.inputs]
    for name, given in declared.items():
        if name in result:
            continue
        mistakes += name_mistakes("an input", name)
        found = given.resolved()
        if not found.is_nothing and not signature.takes_any_keyword:
            hint = did_you_mean(name, parameters)
            mistakes.append(
                f"its input '{name}' is no parameter of the function.{hint} "
                "Add the parameter, or declare In(Nothing) for an order without a value"
            )
        result[name] = found
    return result


def merged_outs(signature: Signature, declared: Any, mistakes: list[str]) -> dict[str, Out]:
    """Merge the return annotation with the outputs declared."""
    if declared is None or isinstance(declared, Out):
        return {DEFAULT_OUTPUT: (declared or Out()).resolved(value_annotation(signature.returns))}
    if not isinstance(declared, Mapping):
        mistakes.append(f"out= is {declared!r}: give an Out, or a dict of them by name")
        return {}
    wrong = {name: value for name, value in declared.items() if not isinstance(value, Out)}
    for name, value in wrong.items():
        mistakes.append(f"the output '{name}' is declared by {value!r}: give an Out, such as Out({_named(value)})")
    for name in declared:
        mistakes += name_mistakes("an output", name)
    if len(declared) == 1:
        annotations: list[Any] | None = [value_annotation(signature.returns)]
    else:
        annotations = tuple_annotations(signature.returns, len(declared))
    if annotations is None:
        mistakes.append(
            f"it declares {len(declared)} outputs ({', '.join(declared)}), and its return annotation is "
            f"{signature.returns}: make it a tuple of {len(declared)}"
        )
        annotations = [NO_VALUE] * len(declared)
    pairs = zip(declared.items(), annotations, strict=True)
    return {name: value.resolved(annotation) for (name, value), annotation in pairs if name not in wrong}


def _checked_ins(ins: Any, mistakes: list[str]) -> dict[str, In]:
    if not isinstance(ins, Mapping):
        mistakes.append(f"ins= is {ins!r}: give a dict of In by name")
        return {}
    result: dict[str, In] = {}
    for name, value in ins.items():
        if not isinstance(value, In):
            hint = "In(Nothing)" if value is Nothing else f"In({_named(value)})"
            mistakes.append(f"the input '{name}' is declared by {value!r}: give an In, such as {hint}")
            value = In()
        elif value.dagster_type is Nothing and value.has_default_value:
            mistakes.append(f"the input '{name}' is Nothing and has a default value: a value never arrives")
        result[name] = value
    return result


def _config(
    parameter: Parameter | None, config_schema: Any, mistakes: list[str]
) -> tuple[ConfigSchema | None, type[Any] | None]:
    if parameter is None:
        return _schema(config_schema, mistakes), None
    if config_schema is not None:
        mistakes.append("it has both config_schema= and a parameter 'config': keep one of them")
        return None, None
    annotation = parameter.annotation
    config_cls = annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None
    schema = as_schema(config_cls) if config_cls is not None else ConfigSchema(annotation_type(annotation))
    if parameter.default is NO_VALUE:
        return schema, config_cls
    default = parameter.default.to_config_dict() if isinstance(parameter.default, Config) else parameter.default
    if default is None:
        schema = ConfigSchema(NoneableType(schema.config_type))
    return Field(schema, default_value=default), config_cls


def _schema(config_schema: Any, mistakes: list[str]) -> ConfigSchema | None:
    if config_schema is None:
        return None
    try:
        return as_schema(config_schema)
    except InvalidDefinitionError as error:
        mistakes.append(str(error))
        return None


def _checked_keys(keys: Any, mistakes: list[str]) -> frozenset[str]:
    if isinstance(keys, str):
        mistakes.append(f"required_resource_keys is the text {keys!r}: give a set, such as {{{keys!r}}}")
        return frozenset()
    found = frozenset(keys or ())
    strange = [key for key in found if not isinstance(key, str)]
    mistakes += [f"required_resource_keys holds {key!r}, which is not text" for key in strange]
    return found


def _named(value: Any) -> str:
    return str(getattr(value, "__name__", value))
