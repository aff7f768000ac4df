"""What the signature of a user's function says: its context, config, resources, inputs and result.

Reads functions only; declarations that stand beside the signature (``ins=``, ``out=``) are merged with it in op.py.
Annotations are resolved in type_hints.py; those that cannot be count as absent.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from orchord.definitions.in_out import NO_VALUE
from orchord.definitions.output import Output
from orchord.definitions.resources.param import is_resource_annotation
from orchord.definitions.type_hints import plain_function, type_hints

CONTEXT_NAMES = frozenset({"context", "_context", "_", "__"})
CONTEXT_CLASS_NAMES = frozenset(
    {
        "OpExecutionContext",
        "AssetExecutionContext",
        "AssetCheckExecutionContext",
        "SolidExecutionContext",
        "DirectOpExecutionContext",
        "HookContext",
    }
)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function. ``annotation`` and ``default`` are NO_VALUE when absent."""

    name: str
    annotation: Any = NO_VALUE
    default: Any = NO_VALUE


@dataclass(frozen=True)
class Signature:
    """A function's signature, sorted by what each parameter is for.

    ``returns`` is NO_VALUE without an annotation, and for generators, whose annotation says nothing of a value.
    """

    context_name: str | None
    config: Parameter | None
    resources: Mapping[str, str]
    inputs: tuple[Parameter, ...]
    takes_any_keyword: bool
    returns: Any
    mistakes: tuple[str, ...] = ()


def read_signature(function: Callable[..., Any], declared_inputs: frozenset[str] = frozenset()) -> Signature:
    """Read a function's signature.

    Args:
        function: the user's function, a callable object, or a wrapper made with functools.
        declared_inputs: parameters that are inputs whatever they look like.
    """
    parameters = list(inspect.signature(function).parameters.values())
    hints = type_hints(function)
    context_name = _context_name(parameters, hints)
    if context_name is not None:
        parameters = parameters[1:]
    config: Parameter | None = None
    resources: dict[str, str] = {}
    inputs: list[Parameter] = []
    mistakes: list[str] = []
    takes_any_keyword = False
    for raw in parameters:
        parameter = Parameter(raw.name, hints.get(raw.name, NO_VALUE), _default(raw))
        if raw.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any_keyword = True
        elif raw.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            stars = "*" if raw.kind is inspect.Parameter.VAR_POSITIONAL else ""
            mistakes.append(f"its parameter '{stars}{raw.name}' cannot be given by name: make it an ordinary parameter")
        elif raw.name in declared_inputs:
            inputs.append(parameter)
        elif parameter.annotation is not NO_VALUE and is_resource_annotation(parameter.annotation):
            resources[raw.name] = raw.name
        elif raw.name == "config" and parameter.annotation is not NO_VALUE:
            config = parameter
        else:
            inputs.append(parameter)
    returns = NO_VALUE if _is_generator(function) else hints.get("return", NO_VALUE)
    return Signature(context_name, config, resources, tuple(inputs), takes_any_keyword, returns, tuple(mistakes))


def value_annotation(annotation: Any) -> Any:
    """Return what a return annotation says of the value: ``Output[int]`` is int, a bare ``Output`` says nothing."""
    if annotation is Output:
        return NO_VALUE
    if get_origin(annotation) is Output:
        (inner,) = get_args(annotation)
        return inner
    return annotation


def tuple_annotations(annotation: Any, count: int) -> list[Any] | None:
    """Return what a return annotation says of each of several outputs.

    Returns:
        One annotation per output (NO_VALUE where nothing is said), or None when the annotation is a tuple of another
        length.
    """
    members = get_args(annotation)
    if get_origin(annotation) is not tuple or not members:
        return [NO_VALUE] * count
    if len(members) == 2 and members[1] is Ellipsis:
        return [value_annotation(members[0])] * count
    if len(members) != count:
        return None
    return [value_annotation(member) for member in members]


def _context_name(parameters: list[inspect.Parameter], hints: Mapping[str, Any]) -> str | None:
    if not parameters or parameters[0].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        return None
    first = parameters[0].name
    return first if first in CONTEXT_NAMES or _is_context_annotation(hints.get(first)) else None


def _is_context_annotation(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] in CONTEXT_CLASS_NAMES
    return isinstance(annotation, type) and any(base.__name__ in CONTEXT_CLASS_NAMES for base in annotation.__mro__)


def _default(parameter: inspect.Parameter) -> Any:
    return NO_VALUE if parameter.default is inspect.Parameter.empty else parameter.default


def _is_generator(function: Callable[..., Any]) -> bool:
    plain = plain_function(function)
    return inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain)
