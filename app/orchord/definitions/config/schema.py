"""What users write as ``config_schema``: Field, Shape, Array, Selector, Enum and the rest, and ``to_config_type``.

Each object holds its config type as data (types.py) and knows how to turn a checked value into what user code sees
(an Enum's ``python_value``). Config classes are model.py; Python annotations become types in annotations.py.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from orchord.definitions.config.annotations import annotation_type, is_config_class
from orchord.definitions.config.check import check_config
from orchord.definitions.config.env import env_references, holds_env_var
from orchord.definitions.config.types import (
    ANY,
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
from orchord.errors import InvalidDefinitionError, numbered

FIELD_NO_DEFAULT_PROVIDED: Any = type("FIELD_NO_DEFAULT_PROVIDED", (), {"__repr__": lambda self: "no default"})()
_SCALAR_CLASSES: dict[Any, str] = {str: "String", int: "Int", float: "Float", bool: "Bool"}


class ConfigSchema:
    """A schema: its type as data, and how a checked value becomes what user code sees."""

    def __init__(self, config_type: ConfigType) -> None:
        self.config_type = config_type

    @property
    def converts(self) -> bool:
        """Whether ``to_python`` changes anything."""
        return False

    def to_python(self, value: Any) -> Any:
        """Turn a checked value into what user code sees."""
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config_type!r})"


class _Container(ConfigSchema):
    def __init__(self, config_type: ConfigType, inner: Sequence[ConfigSchema]) -> None:
        super().__init__(config_type)
        self._converts = any(item.converts for item in inner)

    @property
    def converts(self) -> bool:
        return self._converts


class Noneable(_Container):
    """None, or a value of the inner schema."""

    def __init__(self, inner_type: Any) -> None:
        self.inner = as_schema(inner_type)
        super().__init__(NoneableType(self.inner.config_type), [self.inner])

    def to_python(self, value: Any) -> Any:
        return None if value is None else self.inner.to_python(value)


class Array(_Container):
    """A list of values of the inner schema."""

    def __init__(self, inner_type: Any) -> None:
        self.inner = as_schema(inner_type)
        super().__init__(ArrayType(self.inner.config_type), [self.inner])

    def to_python(self, value: Any) -> Any:
        return [self.inner.to_python(item) for item in value] if self.converts else value


class Map(_Container):
    """A dict of any keys of one scalar type, with values of one schema."""

    def __init__(self, key_type: Any, inner_type: Any, key_label_name: str | None = None) -> None:
        self.key, self.inner = as_schema(key_type), as_schema(inner_type)
        self.key_label_name = key_label_name
        if not isinstance(self.key.config_type, (ScalarType, EnumType)):
            raise InvalidDefinitionError(f"A Map's key is {key_type!r}; it must be a scalar such as str or int.")
        super().__init__(MapType(self.key.config_type, self.inner.config_type), [self.inner])

    def to_python(self, value: Any) -> Any:
        return {key: self.inner.to_python(item) for key, item in value.items()} if self.converts else value


class Shape(_Container):
    """A dict of known fields. Other keys are mistakes."""

    _permissive = False

    def __init__(
        self,
        fields: Mapping[str, Any] | None = None,
        description: str | None = None,
        field_aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = _as_fields(fields or {}, type(self).__name__)
        self.field_aliases = dict(field_aliases or {})
        as_data = {self.field_aliases.get(name, name): field.as_data() for name, field in self.fields.items()}
        super().__init__(
            ShapeType("", as_data, permissive=self._permissive, description=description),
            list(self.fields.values()),
        )

    @property
    def converts(self) -> bool:
        return self._converts or bool(self.field_aliases)

    def to_python(self, value: Any) -> Any:
        if not self.converts:
            return value
        names = {alias: name for name, alias in self.field_aliases.items()}
        return {
            names.get(key, key): self.fields[names.get(key, key)].to_python(item)
            if names.get(key, key) in self.fields
            else item
            for key, item in value.items()
        }


class Permissive(Shape):
    """A dict whose known fields are checked and whose other keys are let through."""

    _permissive = True


class Selector(_Container):
    """A dict with exactly one of the fields."""

    def __init__(self, fields: Mapping[str, Any], description: str | None = None) -> None:
        self.fields = _as_fields(fields, "Selector")
        if not self.fields:
            raise InvalidDefinitionError("A Selector has no fields, so no value could fit it. Give it at least one.")
        as_data = {name: field.as_data() for name, field in self.fields.items()}
        super().__init__(SelectorType(as_data, description=description), list(self.fields.values()))

    def to_python(self, value: Any) -> Any:
        return {key: self.fields[key].to_python(item) for key, item in value.items()} if self.converts else value


class EnumValue:
    """One value of an Enum: what config says, and what user code sees (``python_value``; the same unless given)."""

    def __init__(self, config_value: str, python_value: Any = None, description: str | None = None) -> None:
        self.config_value = config_value
        self.python_value = config_value if python_value is None else python_value
        self.description = description


class Enum(ConfigSchema):
    """One of a few names. User code sees each one's ``python_value``."""

    def __init__(self, name: str, enum_values: Sequence[EnumValue]) -> None:
        self.name = name
        self.enum_values = tuple(enum_values)
        if not self.enum_values:
            raise InvalidDefinitionError(f"Enum '{name}' has no values, so none could fit it. Give it at least one.")
        self._python_values = {item.config_value: item.python_value for item in self.enum_values}
        super().__init__(EnumType(name, tuple(self._python_values)))

    @classmethod
    def from_python_enum(cls, enum: type[enum.Enum], name: str | None = None) -> Enum:
        """Make one from a Python enum's member names; user code sees the members."""
        return cls(name or enum.__name__, [EnumValue(member.name, member) for member in enum])

    @classmethod
    def from_python_enum_direct_values(cls, enum: type[enum.Enum], name: str | None = None) -> Enum:
        """Make one from a Python enum's member names; user code sees the members' values."""
        return cls(name or enum.__name__, [EnumValue(member.name, member.value) for member in enum])

    @property
    def converts(self) -> bool:
        return any(key != value for key, value in self._python_values.items())

    def to_python(self, value: Any) -> Any:
        return self._python_values.get(value, value) if isinstance(value, str) else value


class ScalarUnion(ConfigSchema):
    """A scalar, or a value of a schema that is no scalar."""

    def __init__(self, scalar_type: Any, non_scalar_schema: Any) -> None:
        self.scalar, self.other = as_schema(scalar_type), as_schema(non_scalar_schema)
        if not isinstance(self.scalar.config_type, ScalarType):
            raise InvalidDefinitionError(f"A ScalarUnion's scalar_type is {scalar_type!r}; it must be a scalar.")
        super().__init__(UnionType((self.scalar.config_type, self.other.config_type)))

    @property
    def converts(self) -> bool:
        return self.other.converts

    def to_python(self, value: Any) -> Any:
        return self.other.to_python(value) if isinstance(value, (dict, list)) else value


class Field(ConfigSchema):
    """A schema with a default, a description, and whether it must be given.

    Args:
        config: Any schema: ``str``, ``{"a": int}``, ``[str]``, ``Selector(...)``, …
        default_value: Used when no value is given. It is checked against the schema here.
        is_required: Required unless there is a default, the schema takes None, or every field of it may be left out.
        description: Shown wherever the schema is shown.
    """

    def __init__(
        self,
        config: Any,
        default_value: Any = FIELD_NO_DEFAULT_PROVIDED,
        is_required: bool | None = None,
        description: str | None = None,
        is_secret: bool = False,
    ) -> None:
        self.schema = as_schema(config)
        super().__init__(self.schema.config_type)
        self.description = description
        self.is_secret = is_secret
        self.default_provided = default_value is not FIELD_NO_DEFAULT_PROVIDED
        if self.default_provided and is_required:
            raise InvalidDefinitionError(
                f"A Field has default_value={default_value!r} and is_required=True. Leave one of them out."
            )
        if not self.default_provided and is_required is None:
            # As in the field's own rules: what may be empty, or None, need not be given.
            if all_optional(self.config_type):
                default_value, self.default_provided = {}, True
            elif isinstance(self.config_type, NoneableType):
                default_value, self.default_provided = None, True
        self.is_required = not self.default_provided if is_required is None else is_required
        self.default_value = self._checked_default(default_value) if self.default_provided else None

    @property
    def converts(self) -> bool:
        return self.schema.converts

    def to_python(self, value: Any) -> Any:
        return self.schema.to_python(value)

    def as_data(self) -> ConfigField:
        """Return the field as data."""
        return ConfigField(
            type=self.config_type,
            is_required=self.is_required,
            has_default=self.default_provided,
            default=self.default_value,
            description=self.description,
            is_secret=self.is_secret,
        )

    def _checked_default(self, default: Any) -> Any:
        if isinstance(default, enum.Enum):
            default = default.name
        references = env_references(default)
        sources = _with_sources(self.config_type) if holds_env_var(default) else self.config_type
        result = check_config(sources, references, "default_value")
        if result.mistakes:
            raise InvalidDefinitionError(numbered("A Field's default_value does not fit its schema", result.mistakes))
        self.config_type = sources
        return references if isinstance(references, dict) else result.value


class _Scalar(ConfigSchema):
    def __init__(self, name: str) -> None:
        super().__init__(ScalarType(name))


StringSource: ConfigSchema = _Scalar("StringSource")
"""A string, or ``{"env": NAME}``."""
IntSource: ConfigSchema = _Scalar("IntSource")
"""An integer, or ``{"env": NAME}``."""
BoolSource: ConfigSchema = _Scalar("BoolSource")
"""A boolean, or ``{"env": NAME}``."""


def as_schema(thing: Any) -> ConfigSchema:
    """Return whatever a user wrote as a schema.

    Raises:
        InvalidDefinitionError: it is nothing that can be a schema.
    """
    if isinstance(thing, ConfigSchema):
        return thing
    if isinstance(thing, type) and thing in _SCALAR_CLASSES:
        return _Scalar(_SCALAR_CLASSES[thing])
    if thing is Any or thing is None:
        return ConfigSchema(ANY)
    if isinstance(thing, dict):
        if len(thing) == 1 and not isinstance(next(iter(thing)), str):
            key, value = next(iter(thing.items()))
            return Map(key, value)
        return Shape(thing)
    if isinstance(thing, list):
        if len(thing) != 1:
            raise InvalidDefinitionError(
                f"A list in a config schema is {thing!r}; it must hold one schema, as in [str]."
            )
        return Array(thing[0])
    if thing is list:
        return Array(ANY_SCHEMA)
    if thing is dict:
        return Permissive()
    if isinstance(thing, ConfigType):
        return ConfigSchema(thing)
    if is_config_class(thing):
        return ConfigSchema(annotation_type(thing))
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return Enum.from_python_enum(thing)
    held = getattr(thing, "config_type", None)
    if isinstance(held, ConfigType):
        return ConfigSchema(held)
    if getattr(thing, "__origin__", None) is not None or type(thing).__module__ in ("types", "typing"):
        return ConfigSchema(annotation_type(thing))
    raise InvalidDefinitionError(
        f"A config schema is {thing!r} ({type(thing).__name__}). Write a type such as str, a dict of fields, a Config "
        "class, or Field, Shape, Array, Map, Selector, Enum, Noneable."
    )


ANY_SCHEMA = ConfigSchema(ANY)


def to_config_type(thing: Any) -> ConfigType:
    """Return whatever a user wrote as ``config_schema`` as a type, as data.

    Raises:
        InvalidDefinitionError: it is nothing that can be a schema.
    """
    return as_schema(thing).config_type


def _as_fields(fields: Mapping[Any, Any], owner: str) -> dict[str, Field]:
    made: dict[str, Field] = {}
    mistakes: list[str] = []
    for name, thing in fields.items():
        if not isinstance(name, str):
            mistakes.append(f"field name {name!r} is no string.")
            continue
        try:
            made[name] = thing if isinstance(thing, Field) else Field(thing)
        except InvalidDefinitionError as error:
            mistakes.append(f"{name}: {error}")
    if mistakes:
        raise InvalidDefinitionError(numbered(f"The fields of a {owner} have mistakes", mistakes))
    return made


def _with_sources(type_: ConfigType) -> ConfigType:
    """A scalar whose default is an EnvVar becomes the ``…Source`` of its name."""
    if isinstance(type_, ScalarType) and type_.name in _SCALAR_CLASSES.values():
        return ScalarType(type_.name + "Source", type_.constraints)
    if isinstance(type_, NoneableType):
        return NoneableType(_with_sources(type_.inner))
    if isinstance(type_, ArrayType):
        return ArrayType(_with_sources(type_.inner), type_.constraints)
    return type_
