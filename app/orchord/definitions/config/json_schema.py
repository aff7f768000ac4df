"""Config types as JSON Schema (draft 2020-12), for the API, for editors and for the console's forms.

A value that check.py accepts is valid under this schema, and the other way round.
"""

from __future__ import annotations

from typing import Any

from orchord.definitions.config.check import KEY_PATTERNS
from orchord.definitions.config.types import (
    ArrayType,
    ConfigField,
    ConfigType,
    EnumType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
    all_optional,
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_KINDS = {"String": "string", "Int": "integer", "Float": "number", "Bool": "boolean"}
_CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "format": "format",
}
_ENV_REFERENCE: dict[str, Any] = {
    "type": "object",
    "title": "Environment variable",
    "properties": {"env": {"type": "string"}},
    "required": ["env"],
    "additionalProperties": False,
}


def json_schema(type_: ConfigType, title: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema document of a config type."""
    schema: dict[str, Any] = {"$schema": DRAFT}
    if title is not None:
        schema["title"] = title
    return {**schema, **_schema(type_)}


def _schema(type_: ConfigType) -> dict[str, Any]:
    match type_:
        case ScalarType():
            return _scalar(type_)
        case NoneableType(inner=inner):
            return {"anyOf": [_schema(inner), {"type": "null"}]}
        case ArrayType(inner=inner, constraints=constraints):
            return {"type": "array", "items": _schema(inner)} | _counted(constraints, "Items")
        case MapType(key=key, value=value, constraints=constraints):
            schema: dict[str, Any] = {"type": "object", "additionalProperties": _schema(value)}
            return schema | _key_names(key) | _counted(constraints, "Properties")
        case EnumType(values=values, also=also):
            return {"enum": [*values, *also]}
        case SelectorType():
            return _selector(type_)
        case UnionType(options=options):
            return {"anyOf": [_schema(option) for option in options]}
        case ShapeType():
            return _shape(type_)


def _scalar(type_: ScalarType) -> dict[str, Any]:
    if type_.name == "Any":
        return {}
    schema: dict[str, Any] = {"type": _KINDS[type_.name.removesuffix("Source")]}
    schema |= {_CONSTRAINTS[name]: value for name, value in type_.constraints.items() if name in _CONSTRAINTS}
    if type_.name.endswith("Source"):
        return {"anyOf": [schema, _ENV_REFERENCE]}
    return schema


def _key_names(key: ConfigType) -> dict[str, Any]:
    match key:
        case ScalarType(name="Any"):
            return {}
        case ScalarType(name=name) if name.removesuffix("Source") == "String":
            schema = _scalar(ScalarType("String", key.constraints))
            return {"propertyNames": schema} if key.constraints else {}
        case ScalarType(name=name):
            pattern = KEY_PATTERNS.get(name.removesuffix("Source"))
            return {"propertyNames": {"pattern": pattern}} if pattern else {}
        case EnumType():
            return {"propertyNames": _schema(key)}
        case _:
            return {}


def _counted(constraints: dict[str, Any], noun: str) -> dict[str, Any]:
    names = {"min_length": f"min{noun}", "max_length": f"max{noun}"}
    return {names[name]: value for name, value in constraints.items() if name in names}


def _field(field: ConfigField) -> dict[str, Any]:
    schema = _schema(field.type)
    if field.description:
        schema["description"] = field.description
    is_reference = isinstance(field.default, dict) and set(field.default) == {"env"}
    if field.has_default and (not field.is_secret or field.default is None or is_reference):
        schema["default"] = field.default
    if field.is_secret:
        schema["writeOnly"] = True
    return schema


def _shape(type_: ShapeType) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _field(field) for name, field in type_.fields.items()},
        "additionalProperties": type_.permissive,
    }
    required = [name for name, field in type_.fields.items() if field.is_required]
    if required:
        schema["required"] = required
    if type_.name:
        schema["title"] = type_.name
    if type_.description:
        schema["description"] = type_.description
    return schema


def _selector(type_: SelectorType) -> dict[str, Any]:
    options: list[dict[str, Any]] = [
        {
            "type": "object",
            "properties": {name: _field(field)},
            "required": [] if all_optional(type_) else [name],
            "additionalProperties": False,
        }
        for name, field in type_.fields.items()
    ]
    if type_.discriminator is not None:
        options += [_flat_option(type_.discriminator, name, field) for name, field in type_.fields.items()]
    schema: dict[str, Any] = {"anyOf": options} if options else {"not": {}}
    if type_.description:
        schema["description"] = type_.description
    return schema


def _flat_option(discriminator: str, name: str, field: ConfigField) -> dict[str, Any]:
    inner = field.type
    shape = inner if isinstance(inner, ShapeType) else ShapeType("", {})
    properties = {key: _field(item) for key, item in shape.fields.items()}
    required = [key for key, item in shape.fields.items() if item.is_required]
    return {
        "type": "object",
        "properties": {**properties, discriminator: {"const": name}},
        "required": [discriminator, *required],
        "additionalProperties": shape.permissive,
    }
