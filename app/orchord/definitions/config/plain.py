"""Python values as config data: models to dicts, enums to names, EnvVars to ``{"env": NAME}``.

The other way, from config data to what user code sees, is python_values.py.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from orchord.definitions.config.check import check_config
from orchord.definitions.config.env import EnvVar, IntEnvVar
from orchord.definitions.config.types import (
    ANY,
    ArrayType,
    ConfigType,
    EnumType,
    MapType,
    NoneableType,
    SelectorType,
    ShapeType,
    UnionType,
)


class NotPlain(Exception):
    """A value cannot be written as config: it is secret, or no data."""


def plain_value(type_: ConfigType, value: Any) -> Any:
    """Return a Python value as config data of a type.

    Raises:
        NotPlain: it holds a secret, or something that is no data.
    """
    if isinstance(value, (EnvVar, IntEnvVar)):
        return {"env": value.env_var_name}
    if value is None:
        return None
    match type_:
        case NoneableType(inner=inner):
            return plain_value(inner, value)
        case SelectorType(discriminator=str() as discriminator) if isinstance(value, BaseModel):
            tag = _attribute(value, discriminator)
            tag = str(tag.value if isinstance(tag, enum.Enum) else tag)
            return {tag: plain_value(type_.fields[tag].type, value)} if tag in type_.fields else _any(value)
        case ShapeType() if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
            return _shape(type_, value)
        case ShapeType() | SelectorType() if isinstance(value, Mapping):
            fields = type_.fields
            return {key: plain_value(fields[key].type if key in fields else ANY, item) for key, item in value.items()}
        case ArrayType(inner=inner) if isinstance(value, (list, tuple, set, frozenset)):
            return [plain_value(inner, item) for item in value]
        case MapType(value=inner) if isinstance(value, Mapping):
            return {_any(key): plain_value(inner, item) for key, item in value.items()}
        case EnumType() if isinstance(value, enum.Enum):
            return value.name if value.name in type_.values else value.value
        case UnionType(options=options):
            return _fitting(options, value)
        case _:
            return _any(value)


def plain_model(model: BaseModel, type_: ShapeType) -> dict[str, Any]:
    """Return a model as config data, without what cannot be so written, and without None where that is the default."""
    written = _shape(type_, model, leave_out=True)
    fields = type_.fields
    return {
        key: value
        for key, value in written.items()
        if value is not None or key not in fields or not fields[key].has_default or fields[key].default is not None
    }


def _shape(type_: ShapeType, value: Any, leave_out: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in type_.fields.items():
        try:
            found[key] = plain_value(field.type, _attribute(value, key))
        except NotPlain:
            if not leave_out:
                raise
    for key, item in (getattr(value, "model_extra", None) or {}).items():
        found[key] = _any(item)
    return found


def _attribute(value: Any, key: str) -> Any:
    """Return what a model holds for a config key, which is the field's alias or its name."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name, field in fields.items():
            if key in (field.validation_alias, field.alias):
                return getattr(value, name)
    return getattr(value, key)


def _fitting(options: tuple[ConfigType, ...], value: Any) -> Any:
    for option in options:
        # A model must be written by its own shape, not by the first shape that lets its keys through.
        if isinstance(value, BaseModel) and isinstance(option, ShapeType) and option.name != type(value).__name__:
            continue
        try:
            plain = plain_value(option, value)
        except (NotPlain, AttributeError):
            continue
        if check_config(option, plain).success:
            return plain
    return _any(value)


def _any(value: Any) -> Any:
    if isinstance(value, (EnvVar, IntEnvVar)):
        return {"env": value.env_var_name}
    if isinstance(value, (str, bool, int)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotPlain("JSON has no such number")
        return value
    if isinstance(value, (SecretStr, SecretBytes)):
        raise NotPlain("a secret")
    if isinstance(value, Mapping):
        return {_any(key): _any(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_any(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, BaseModel):
        return {name: _any(getattr(value, name)) for name in type(value).model_fields}
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as error:
        raise NotPlain(type(value).__name__) from error
