"""Reads the instance file's sections into the values of sections.py; what is wrong is added to a list of mistakes.

One rule for all: keys are checked by name with the nearest one told, values by type and bounds. Text that comes from
an environment variable may stand for a number or a switch. A key without a value is as good as not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from orchord.errors import did_you_mean

S = TypeVar("S", bound=msgspec.Struct)


def read_section(path: str, value: Any, cls: type[S], mistakes: list[str], **read: Any) -> S:
    """Return a section as its value.

    Args:
        path: where the section stands, for messages.
        value: what the file says there; None: nothing.
        cls: what it becomes.
        mistakes: what is wrong is added here.
        **read: keys that the caller has read already: they are known, and taken from here.
    """
    found = mapping_of(path, value, mistakes)
    fields = {field.name: field for field in msgspec.structs.fields(cls)}
    given: dict[str, Any] = dict(read)
    for key, item in found.items():
        if key in read:
            continue
        if key not in fields:
            mistakes.append(f"{path}: unknown key '{key}'.{did_you_mean(str(key), fields)}")
            continue
        if item is None or item == "":  # the latter as an empty environment variable says it
            continue
        try:
            given[key] = _converted(item, fields[key].type)
        except msgspec.ValidationError:
            mistakes.append(f"{path}.{key}: found {shown_value(item)}, expected {expected(fields[key].type)}.")
    # A value whose parts are wrong is not used: its section's defaults stand in until the mistakes are told.
    return cls(**given)


def mapping_of(path: str, value: Any, mistakes: list[str]) -> Mapping[str, Any]:
    """Return what a section holds; an empty mapping when that is nothing, or no mapping."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    mistakes.append(f"{path}: found {shown_value(value)}, expected a mapping.")
    return {}


def expected(kind: Any) -> str:
    """Return the words for what a key takes."""
    words = _described(msgspec.inspect.type_info(kind))
    return " or ".join(words)


def shown_value(value: Any) -> str:
    """Return a value as a message shows it, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _converted(value: Any, kind: Any) -> Any:
    info = msgspec.inspect.type_info(kind)
    plain = info.type if isinstance(info, msgspec.inspect.Metadata) else info
    if isinstance(value, bool) and not isinstance(plain, msgspec.inspect.BoolType):
        # To Python, True is the number 1; to whoever wrote the file it is not.
        raise msgspec.ValidationError("a switch where none is meant")
    return msgspec.convert(value, kind, strict=not isinstance(value, str))


def _described(info: msgspec.inspect.Type) -> list[str]:
    if isinstance(info, msgspec.inspect.UnionType):
        return [word for part in info.types for word in _described(part)]
    if isinstance(info, msgspec.inspect.NoneType):
        return []
    if isinstance(info, msgspec.inspect.LiteralType):
        return [repr(item) for item in info.values]
    if isinstance(info, msgspec.inspect.Metadata):
        return [str((info.extra_json_schema or {}).get("description", "another value"))]
    if isinstance(info, msgspec.inspect.VarTupleType):
        return ["a list of " + " or ".join(_described(info.item_type))]
    if isinstance(info, msgspec.inspect.StrType):
        return ["text"]
    return [type(info).__name__.removesuffix("Type").lower()]
