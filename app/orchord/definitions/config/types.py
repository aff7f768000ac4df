"""Config types as data: what a config value must look like, without any user code.

Snapshots hold these, so that a server can check a run's config and show its schema. Users' own schema objects are in
schema.py; checking a value is check.py; JSON Schema is json_schema.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

SCALAR_NAMES = (
    "String",
    "Int",
    "Float",
    "Bool",
    "Any",
    "StringSource",
    "IntSource",
    "FloatSource",
    "BoolSource",
)
"""Every name of a scalar. A ``…Source`` is the scalar itself or ``{"env": NAME}``."""


class ConfigField(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of a shape or selector. ``default`` is JSON-able; ``is_secret`` keeps values out of every text."""

    type: ConfigType
    is_required: bool = True
    has_default: bool = False
    default: Any = None
    description: str | None = None
    is_secret: bool = False


class ScalarType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="scalar"):
    """One plain value.

    ``constraints`` holds any of ge, gt, le, lt, multiple_of (numbers), min_length, max_length, pattern (strings) and
    format (shown, not checked).
    """

    name: str
    constraints: dict[str, Any] = {}


class NoneableType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="noneable"):
    """None, or a value of the inner type."""

    inner: ConfigType


class ArrayType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="array"):
    """A list. ``constraints`` holds any of min_length and max_length."""

    inner: ConfigType
    constraints: dict[str, Any] = {}


class MapType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="map"):
    """A dict of any keys of one type. ``constraints`` holds any of min_length and max_length."""

    key: ConfigType
    value: ConfigType
    constraints: dict[str, Any] = {}


class EnumType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="enum"):
    """One of a few plain values. ``also`` holds other spellings that are accepted, such as a Python enum's values."""

    name: str
    values: tuple[Any, ...]
    also: tuple[Any, ...] = ()


class ShapeType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="shape"):
    """A dict of known fields; ``permissive`` lets others through unchecked."""

    name: str
    fields: dict[str, ConfigField]
    permissive: bool = False
    description: str | None = None


class SelectorType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="selector"):
    """A dict with exactly one of the fields.

    With a ``discriminator`` the flat form is accepted too: ``{discriminator: "cat", **fields}`` means
    ``{"cat": fields}``.
    """

    fields: dict[str, ConfigField]
    discriminator: str | None = None
    description: str | None = None


class UnionType(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="union"):
    """A value of any of the options."""

    options: tuple[ConfigType, ...]


ConfigType = ScalarType | NoneableType | ArrayType | MapType | EnumType | ShapeType | SelectorType | UnionType

ANY = ScalarType("Any")


def describe(type_: ConfigType) -> str:
    """Word a type for an error text, such as ``Int >= 1`` or ``a list of String``."""
    match type_:
        case ScalarType(name=name, constraints=constraints):
            return " ".join([name.removesuffix("Source"), *_constraint_words(constraints)])
        case NoneableType(inner=inner):
            return f"{describe(inner)} or None"
        case ArrayType(inner=inner):
            return f"a list of {describe(inner)}"
        case MapType(key=key, value=value):
            return f"a dict of {describe(key)} to {describe(value)}"
        case EnumType(values=values):
            return "one of " + _shortened([repr(value) for value in values])
        case SelectorType(fields=fields):
            return "a dict with exactly one of " + _shortened([repr(name) for name in fields])
        case UnionType(options=options):
            return " or ".join(describe(option) for option in options)
        case ShapeType(fields=fields, permissive=permissive):
            required = [repr(name) for name, field in fields.items() if field.is_required]
            if required:
                return "a dict with " + _shortened(required)
            return "a dict" if permissive or not fields else "a dict of " + _shortened([repr(name) for name in fields])


def all_optional(type_: ConfigType) -> bool:
    """Whether ``{}`` alone satisfies a type.

    So it is for a shape each of whose fields may be left out, and for a selector whose only field has a default.
    """
    match type_:
        case ShapeType(fields=fields):
            return not any(field.is_required for field in fields.values())
        case SelectorType(fields=fields):
            return len(fields) == 1 and all(field.has_default for field in fields.values())
        case _:
            return False


def _constraint_words(constraints: dict[str, Any]) -> list[str]:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    words = [f"{signs[key]} {constraints[key]}" for key in signs if key in constraints]
    if "multiple_of" in constraints:
        words.append(f"in steps of {constraints['multiple_of']}")
    if "min_length" in constraints:
        words.append(f"of at least {constraints['min_length']} characters")
    if "max_length" in constraints:
        words.append(f"of at most {constraints['max_length']} characters")
    if "pattern" in constraints:
        words.append(f"matching {constraints['pattern']!r}")
    return words


def _shortened(words: list[str]) -> str:
    shown = words[:8]
    more = f" and {len(words) - len(shown)} more" if len(words) > len(shown) else ""
    return ", ".join(shown) + more
