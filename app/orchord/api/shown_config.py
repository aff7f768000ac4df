"""Run config as it may be shown: the values of secret fields are masked, by the config type of the job.

What environment variables hold never reaches a server: such values stand in config as ``{"env": NAME}`` and are shown.
Masking the texts that steps write is execution/masking.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.definitions.config.types import (
    ArrayType,
    ConfigField,
    ConfigType,
    MapType,
    NoneableType,
    SelectorType,
    ShapeType,
    UnionType,
)
from orchord.execution.masking import MASK


def has_secrets(type_: ConfigType) -> bool:
    """Whether a value of this type can hold a secret."""
    match type_:
        case ShapeType(fields=fields) | SelectorType(fields=fields):
            return any(field.is_secret or has_secrets(field.type) for field in fields.values())
        case NoneableType(inner=inner) | ArrayType(inner=inner) | MapType(value=inner):
            return has_secrets(inner)
        case UnionType(options=options):
            return any(has_secrets(option) for option in options)
    return False


def without_secrets(type_: ConfigType, value: Any) -> Any:
    """Return a config value in which every value of a secret field is masked; what does not fit the type stays."""
    match type_:
        case NoneableType(inner=inner):
            return without_secrets(inner, value)
        case ArrayType(inner=inner) if isinstance(value, list | tuple):
            return [without_secrets(inner, item) for item in value]
        case MapType(value=inner) if isinstance(value, Mapping):
            return {key: without_secrets(inner, item) for key, item in value.items()}
        case UnionType(options=options):
            for option in options:
                value = without_secrets(option, value)
        case SelectorType(fields=fields, discriminator=str(tag)) if isinstance(value, Mapping) and tag in value:
            chosen = fields.get(str(value[tag]))
            rest = {key: item for key, item in value.items() if key != tag}
            shown = {} if chosen is None else _shown(chosen, rest)
            return {tag: value[tag], **(shown if isinstance(shown, Mapping) else {})}
        case ShapeType(fields=fields) | SelectorType(fields=fields) if isinstance(value, Mapping):
            return {key: _shown(fields[key], item) if key in fields else item for key, item in value.items()}
    return value


def _shown(field: ConfigField, value: Any) -> Any:
    if not field.is_secret:
        return without_secrets(field.type, value)
    is_reference = isinstance(value, Mapping) and set(value) == {"env"}
    return value if value is None or is_reference else MASK
