"""Python annotations and pydantic models as config types, with their defaults and constraints as data.

Config classes and op parameters come through here. What a checked value becomes in user code is python_values.py.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import re
import types
import typing
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchord.definitions.config.plain import NotPlain, plain_value
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

_SCALARS: dict[Any, str] = {str: "StringSource", int: "IntSource", float: "FloatSource", bool: "BoolSource"}
_NUMBER_WORDS = ("ge", "gt", "le", "lt", "multiple_of")
_LENGTH_WORDS = ("min_length", "max_length")
_LIST_ORIGINS = (list, set, frozenset, collections.abc.Sequence, collections.abc.Set, collections.abc.Iterable)
_DICT_ORIGINS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_FACTORIES_OF_PLAIN_VALUES = (list, dict, set, tuple, str, int, float, bool)
_STRING_CHANGES = ("strip_whitespace", "to_lower", "to_upper")


def is_config_class(thing: Any) -> bool:
    """Whether a thing is a pydantic model class, such as a subclass of Config."""
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def annotation_type(annotation: Any, metadata: Iterable[Any] = ()) -> ConfigType:
    """Return what values of an annotation look like as config.

    An annotation that config cannot describe becomes ``Any``: pydantic checks it where user code runs.
    """
    return _Reader().read(annotation, tuple(metadata))


def model_type(model: type[BaseModel], skip: Iterable[str] = ()) -> ShapeType:
    """Return a pydantic model as a shape, without the fields named in ``skip``."""
    return _Reader().model(model, frozenset(skip))


def discriminated_options(options: Iterable[Any], discriminator: str) -> dict[str, tuple[Any, type[BaseModel]]]:
    """Return the options of a discriminated union by the text of each tag: the tag itself and the model."""
    found: dict[str, tuple[Any, type[BaseModel]]] = {}
    for option in options:
        field = option.model_fields.get(discriminator)
        if field is not None:
            for tag in get_args(field.annotation):
                found[str(tag.value if isinstance(tag, enum.Enum) else tag)] = (tag, option)
    return found


def discriminator_of(metadata: Iterable[Any]) -> str | None:
    """Return the discriminator that a union's metadata names, or None."""
    for item in metadata:
        name = getattr(item, "discriminator", None)
        if isinstance(name, str):
            return name
    return None


def unwrapped(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """Take Annotated, NewType, type aliases and type variables off; return what is left, and metadata."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata = (*more, *metadata)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or Any
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation, metadata


def is_union(annotation: Any) -> bool:
    """Whether an annotation is a union in either spelling."""
    return get_origin(annotation) in (Union, types.UnionType)


class _Reader:
    """Reads one annotation. A model inside itself becomes Any at its second level, or the type would have no end."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    def read(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> ConfigType:
        annotation, metadata = unwrapped(annotation, metadata)
        constraints = _constraints(metadata)
        if annotation in (SecretStr, SecretBytes):
            return ScalarType("StringSource", _only(constraints, _LENGTH_WORDS))
        if isinstance(annotation, type) and annotation in _SCALARS:
            words = (*_LENGTH_WORDS, "pattern") if annotation is str else _NUMBER_WORDS
            return ScalarType(_SCALARS[annotation], _only(constraints, words))
        if annotation is Any or annotation is object:
            return ANY
        if annotation is None or annotation is type(None):
            return NoneableType(EnumType("None", (None,)))
        if is_union(annotation):
            return self.union(get_args(annotation), metadata)
        if get_origin(annotation) is Literal:
            return _literal(get_args(annotation))
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            return _enum(annotation)
        if is_config_class(annotation):
            return self.nested(annotation, lambda: self.model(annotation, frozenset()))
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            return self.nested(annotation, lambda: self.dataclass(annotation))
        if typing.is_typeddict(annotation):
            return self.nested(annotation, lambda: self.typed_dict(annotation))
        return self.container(annotation, constraints)

    def nested(self, owner: Any, read: typing.Callable[[], ConfigType]) -> ConfigType:
        if owner in self._open:
            return ANY
        self._open.append(owner)
        try:
            return read()
        finally:
            self._open.pop()

    def container(self, annotation: Any, constraints: dict[str, Any]) -> ConfigType:
        origin, args = get_origin(annotation) or annotation, get_args(annotation)
        lengths = _only(constraints, _LENGTH_WORDS)
        if origin is tuple:
            return self.items(args, lengths)
        if origin in _LIST_ORIGINS:
            return ArrayType(self.read(args[0]) if args else ANY, lengths)
        if origin in _DICT_ORIGINS:
            key, value = (self.read(args[0]), self.read(args[1])) if len(args) == 2 else (ScalarType("String"), ANY)
            return MapType(_plain_key(key), value, lengths)
        return _by_json_schema(annotation)

    def items(self, args: tuple[Any, ...], lengths: dict[str, Any]) -> ConfigType:
        if not args:
            return ArrayType(ANY, lengths)
        if len(args) == 2 and args[1] is Ellipsis:
            return ArrayType(self.read(args[0]), lengths)
        return ArrayType(
            self.options([self.read(arg) for arg in args]), {"min_length": len(args), "max_length": len(args)}
        )

    def union(self, args: tuple[Any, ...], metadata: tuple[Any, ...]) -> ConfigType:
        present = [arg for arg in args if arg is not type(None)]
        discriminator = discriminator_of(metadata)
        inner: ConfigType
        if discriminator is not None and all(is_config_class(arg) for arg in present):
            inner = self.selector(present, discriminator)
        elif len(present) == 1:
            inner = self.read(present[0], metadata)
        else:
            inner = self.options([self.read(arg, metadata) for arg in present])
        if len(present) == len(args) or isinstance(inner, NoneableType):
            return inner
        return NoneableType(inner)

    def selector(self, models: list[Any], discriminator: str) -> ConfigType:
        fields: dict[str, ConfigField] = {}
        for tag, (_, model) in discriminated_options(models, discriminator).items():
            shape = self.nested(model, lambda model=model: self.model(model, frozenset({discriminator})))  # type: ignore[misc]
            fields[tag] = ConfigField(shape, description=own_document(model))
        alias = next((model.model_fields[discriminator].alias for model in models), None)
        return SelectorType(fields, discriminator=alias or discriminator)

    @staticmethod
    def options(found: list[ConfigType]) -> ConfigType:
        distinct: list[ConfigType] = []
        for type_ in found:
            if type_ not in distinct:
                distinct.append(type_)
        return distinct[0] if len(distinct) == 1 else UnionType(tuple(distinct))

    def model(self, model: type[BaseModel], skip: frozenset[str]) -> ShapeType:
        fields = {
            input_name(name, field): self.field(field) for name, field in model.model_fields.items() if name not in skip
        }
        permissive = model.model_config.get("extra") == "allow"
        return ShapeType(model.__name__, fields, permissive=permissive, description=own_document(model))

    def field(self, field: FieldInfo) -> ConfigField:
        metadata = (*field.metadata, field) if field.discriminator is not None else tuple(field.metadata)
        type_ = self.read(field.annotation, metadata)
        description = field.description
        is_secret = _is_secret(field.annotation)
        if not field.is_required():
            return _with_default(type_, field, description, is_secret)
        if all_optional(type_):
            return ConfigField(type_, False, True, {}, description, is_secret)
        if isinstance(type_, NoneableType):
            return ConfigField(type_, False, True, None, description, is_secret)
        return ConfigField(type_, description=description, is_secret=is_secret)

    def dataclass(self, owner: Any) -> ShapeType:
        hints = typing.get_type_hints(owner, include_extras=True)
        fields = {
            field.name: ConfigField(
                self.read(hints[field.name]),
                is_required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            )
            for field in dataclasses.fields(owner)
            if field.init
        }
        return ShapeType(owner.__name__, fields)

    def typed_dict(self, owner: Any) -> ShapeType:
        hints = typing.get_type_hints(owner)
        fields = {
            name: ConfigField(self.read(hint), is_required=name in owner.__required_keys__)
            for name, hint in hints.items()
        }
        return ShapeType(owner.__name__, fields)


def input_name(name: str, field: FieldInfo) -> str:
    """Return the key by which config gives a model's field: its alias, or its name."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    return alias if isinstance(alias, str) else name


def _with_default(type_: ConfigType, field: FieldInfo, description: str | None, is_secret: bool) -> ConfigField:
    """A default that differs from call to call, is secret, or is no plain data is left to pydantic."""
    factory: Any = field.default_factory
    default = field.default
    if factory is not None:
        default = factory() if factory in _FACTORIES_OF_PLAIN_VALUES or is_config_class(factory) else PydanticUndefined
    if default is PydanticUndefined or (is_secret and default is not None):
        return ConfigField(type_, is_required=False, description=description, is_secret=is_secret)
    if default is None and not isinstance(type_, NoneableType):
        type_ = NoneableType(type_)
    try:
        plain = plain_value(type_, default)
    except NotPlain:
        return ConfigField(type_, is_required=False, description=description, is_secret=is_secret)
    return ConfigField(type_, False, True, plain, description, is_secret)


def _constraints(metadata: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    changes_strings = False
    for item in _flattened(metadata):
        changes_strings = changes_strings or any(getattr(item, word, None) for word in _STRING_CHANGES)
        for word in (*_NUMBER_WORDS, *_LENGTH_WORDS):
            value = getattr(item, word, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[word] = value
        pattern = getattr(item, "pattern", None)
        pattern = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        if isinstance(pattern, str) and _compiles(pattern):
            found["pattern"] = pattern
    # A string that pydantic changes before it checks it cannot be checked as it was given.
    return _only(found, _NUMBER_WORDS) if changes_strings else found


def _flattened(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _flattened(item.metadata)
        elif isinstance(item, collections.abc.Iterable) and not isinstance(item, (str, bytes, type)):
            yield item
            yield from _flattened(item)
        else:
            yield item


@lru_cache(maxsize=512)
def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _only(constraints: dict[str, Any], words: Iterable[str]) -> dict[str, Any]:
    return {word: constraints[word] for word in words if word in constraints}


def _literal(values: tuple[Any, ...]) -> ConfigType:
    plain = tuple(value.value if isinstance(value, enum.Enum) else value for value in values if value is not None)
    type_ = EnumType("Literal", plain)
    return NoneableType(type_) if None in values else type_


def _enum(owner: type[enum.Enum]) -> EnumType:
    names = tuple(owner.__members__)
    values = tuple(member.value for member in owner if _is_plain(member.value) and member.value not in names)
    return EnumType(owner.__name__, names, values)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _plain_key(type_: ConfigType) -> ConfigType:
    if isinstance(type_, ScalarType):
        return ScalarType(type_.name.removesuffix("Source"), type_.constraints)
    return type_ if isinstance(type_, EnumType) else ScalarType("String")


def _is_secret(annotation: Any) -> bool:
    annotation, _ = unwrapped(annotation)
    return annotation in (SecretStr, SecretBytes) or (
        is_union(annotation) and any(_is_secret(arg) for arg in get_args(annotation))
    )


def own_document(model: type) -> str | None:
    """Return a class's own docstring, not one that it inherits."""
    return model.__doc__.strip() or None if model.__doc__ else None


def _by_json_schema(annotation: Any) -> ConfigType:
    """Dates, paths, UUIDs and the like: pydantic knows how they are written."""
    try:
        schema = TypeAdapter(annotation).json_schema(mode="validation")
    except (PydanticSchemaGenerationError, PydanticUserError, AttributeError, TypeError):
        return ANY
    if schema.get("type") == "string":
        return ScalarType("StringSource", _only(schema, ("format",)))
    return ANY
