"""Config data as pydantic takes it: selectors as tagged unions, names as enum members.

One converter is built for each field of a Config class, or none where pydantic takes the data as it is. The other
way is plain.py.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from orchord.definitions.config.annotations import (
    discriminated_options,
    discriminator_of,
    input_name,
    is_config_class,
    is_union,
    unwrapped,
)

Converter = Callable[[Any], Any]


def converter_for(annotation: Any, metadata: tuple[Any, ...], is_handled: Callable[[type], bool]) -> Converter | None:
    """Return what turns config data into what pydantic takes for an annotation, or None when nothing is to be done.

    Args:
        annotation: The annotation of a field.
        metadata: The metadata of that field.
        is_handled: Says which models convert their own fields.
    """
    annotation, metadata = unwrapped(annotation, metadata)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _member_of(annotation)
    if is_union(annotation):
        return _of_union(annotation, metadata, is_handled)
    if is_config_class(annotation):
        if is_handled(annotation):
            return None
        return _of_model(annotation, is_handled)
    return _of_container(annotation, is_handled)


def _member_of(owner: type[enum.Enum]) -> Converter:
    values = [member.value for member in owner]
    by_name = owner.__members__

    def convert(value: Any) -> Any:
        # A value wins over a name, as it does in pydantic itself.
        if isinstance(value, str) and value in by_name and value not in values:
            return by_name[value]
        return value

    return convert


def _of_union(annotation: Any, metadata: tuple[Any, ...], is_handled: Callable[[type], bool]) -> Converter | None:
    present = [arg for arg in get_args(annotation) if arg is not type(None)]
    discriminator = discriminator_of(metadata)
    if discriminator is None:
        converters = [found for arg in present if (found := converter_for(arg, metadata, is_handled)) is not None]
        return _chained(converters) if converters else None
    options = discriminated_options([arg for arg in present if is_config_class(arg)], discriminator)

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping) and len(value) == 1:
            tag, inner = next(iter(value.items()))
            if tag in options and isinstance(inner, Mapping):
                given, model = options[tag]
                return {**inner, input_name(discriminator, model.model_fields[discriminator]): given}
        return value

    return convert


def _chained(converters: list[Converter]) -> Converter:
    if len(converters) == 1:
        return converters[0]

    def convert(value: Any) -> Any:
        for converter in converters:
            converted = converter(value)
            if converted is not value:
                return converted
        return value

    return convert


def _of_model(model: Any, is_handled: Callable[[type], bool]) -> Converter | None:
    converters: dict[str, Converter] = {}
    for name, field in model.model_fields.items():
        metadata = (*field.metadata, field) if field.discriminator is not None else tuple(field.metadata)
        if is_config_class(field.annotation) and field.annotation is model:
            continue
        converter = converter_for(field.annotation, metadata, is_handled)
        if converter is not None:
            converters[input_name(name, field)] = converter
    if not converters:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: converters[key](item) if key in converters else item for key, item in value.items()}

    return convert


def _of_container(annotation: Any, is_handled: Callable[[type], bool]) -> Converter | None:
    origin, args = get_origin(annotation), get_args(annotation)
    if not isinstance(origin, type) or not args:
        return None
    if issubclass(origin, Mapping):
        on_key = converter_for(args[0], (), is_handled)
        on_value = converter_for(args[1], (), is_handled)
        if on_key is None and on_value is None:
            return None
        return _of_mapping(on_key or _unchanged, on_value or _unchanged)
    inner = converter_for(args[0], (), is_handled)
    if inner is None:
        return None
    convert_item = inner

    def convert(value: Any) -> Any:
        return [convert_item(item) for item in value] if isinstance(value, (list, tuple)) else value

    return convert


def _of_mapping(on_key: Converter, on_value: Converter) -> Converter:
    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {on_key(key): on_value(item) for key, item in value.items()}

    return convert


def _unchanged(value: Any) -> Any:
    return value
