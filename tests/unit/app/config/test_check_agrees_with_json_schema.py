"""A value passes check_config exactly when it is valid under the type's JSON Schema, for random types and values."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchord.definitions.config.check import check_config
from orchord.definitions.config.json_schema import json_schema
from orchord.definitions.config.types import (
    SCALAR_NAMES,
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
)

NAMES = st.sampled_from(["a", "b", "limit", "env", "name_2"])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.sampled_from(["a", "b", "env", "12", "true"]),
)
JSON_VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3)
)


def bounds(low: str, high: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={low: numbers, high: numbers})


NUMBER_CONSTRAINTS = st.one_of(
    bounds("ge", "le", st.integers(-5, 5)),
    bounds("gt", "lt", st.integers(-5, 5)),
    st.just({"multiple_of": 2}),
)
STRING_CONSTRAINTS = bounds("min_length", "max_length", st.integers(0, 3)) | st.just({"pattern": "^[a-e]"})
SCALARS = st.one_of(
    st.builds(ScalarType, st.sampled_from(SCALAR_NAMES)),
    st.builds(ScalarType, st.sampled_from(["Int", "IntSource"]), NUMBER_CONSTRAINTS),
    st.builds(ScalarType, st.sampled_from(["Float", "FloatSource"]), bounds("ge", "le", st.integers(-5, 5))),
    st.builds(ScalarType, st.sampled_from(["String", "StringSource"]), STRING_CONSTRAINTS),
    st.builds(EnumType, st.just("E"), st.lists(st.sampled_from(["a", "b", 1, 2, True]), min_size=1).map(tuple)),
)
KEYS = st.sampled_from([ScalarType("String"), ScalarType("Int"), ScalarType("Bool"), EnumType("E", ("a", "b"))])


ALWAYS_DEFAULTED = st.just(ConfigField(ScalarType("Int"), is_required=False, has_default=True, default=3))


def fields(inner: st.SearchStrategy[ConfigType]) -> st.SearchStrategy[dict[str, ConfigField]]:
    field = st.builds(ConfigField, inner, is_required=st.booleans()) | ALWAYS_DEFAULTED
    return st.dictionaries(NAMES, field, max_size=3)


def containers(inner: st.SearchStrategy[ConfigType]) -> st.SearchStrategy[ConfigType]:
    shapes = st.builds(ShapeType, st.just("S"), fields(inner), st.booleans())
    tagged = st.dictionaries(
        st.sampled_from(["cat", "dog"]),
        st.builds(ConfigField, st.builds(ShapeType, st.just("T"), fields(inner))),
        min_size=1,
    )
    return st.one_of(
        st.builds(NoneableType, inner),
        st.builds(ArrayType, inner, bounds("min_length", "max_length", st.integers(0, 3))),
        st.builds(MapType, KEYS, inner, bounds("min_length", "max_length", st.integers(0, 3))),
        shapes,
        st.builds(SelectorType, fields(inner)),
        st.builds(SelectorType, tagged, st.just("kind")),
        st.builds(UnionType, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    )


TYPES: st.SearchStrategy[ConfigType] = st.recursive(SCALARS, containers, max_leaves=6)


def valid_values(type_: ConfigType) -> st.SearchStrategy[Any]:
    """Values that fit a type whose constraints leave any."""
    match type_:
        case ScalarType(name="Any"):
            return JSON_VALUES
        case ScalarType(name=name):
            plain = {
                "String": st.text(max_size=4) | st.sampled_from(["abc", "e"]),
                "Int": st.integers(-10, 10),
                "Float": st.floats(-10, 10),
                "Bool": st.booleans(),
            }[name.removesuffix("Source")]
            return plain | st.just({"env": "NAME"}) if name.endswith("Source") else plain
        case EnumType(values=values):
            return st.sampled_from(values)
        case NoneableType(inner=inner):
            return st.none() | valid_values(inner)
        case ArrayType(inner=inner):
            return st.lists(valid_values(inner), max_size=3)
        case MapType(key=key, value=value):
            names = {"Int": ["1", "-2"], "Bool": ["true", "false"]}.get(getattr(key, "name", ""), ["a", "b"])
            return st.dictionaries(st.sampled_from(names), valid_values(value), max_size=2)
        case ShapeType(fields=items):
            required = {name: valid_values(item.type) for name, item in items.items() if item.is_required}
            optional = {name: valid_values(item.type) for name, item in items.items() if not item.is_required}
            return st.fixed_dictionaries(required, optional=optional)
        case SelectorType(fields=items) if items:
            one = st.one_of(*[st.fixed_dictionaries({name: valid_values(item.type)}) for name, item in items.items()])
            if type_.discriminator is None:
                return one
            return one | one.map(lambda chosen: {"kind": next(iter(chosen)), **next(iter(chosen.values()))})
        case UnionType(options=options):
            return st.one_of(*[valid_values(option) for option in options])
        case _:
            return st.just({})


TYPES_WITH_VALUES = TYPES.flatmap(lambda type_: st.tuples(st.just(type_), valid_values(type_) | JSON_VALUES))
QUIET = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(TYPES_WITH_VALUES)
def test_check_config_and_json_schema_agree(pair: tuple[ConfigType, Any]) -> None:
    type_, value = pair
    validator = jsonschema_rs.Draft202012Validator(json_schema(type_))
    result = check_config(type_, value, "here")
    assert result.success == validator.is_valid(value), (
        result.mistakes,
        [str(e) for e in validator.iter_errors(value)],
    )


@QUIET
@given(TYPES_WITH_VALUES)
def test_a_resolved_value_checks_clean_and_stays_as_it_is(pair: tuple[ConfigType, Any]) -> None:
    type_, value = pair
    first = check_config(type_, value)
    if first.success:
        second = check_config(type_, first.value)
        assert second.success, second.mistakes
        assert second.value == first.value


@QUIET
@given(TYPES_WITH_VALUES)
def test_every_mistake_names_a_path_below_the_given_one(pair: tuple[ConfigType, Any]) -> None:
    type_, value = pair
    for mistake in check_config(type_, value, "ops.read.config").mistakes:
        assert mistake.startswith("ops.read.config")
        assert mistake.endswith((".", "?"))


@QUIET
@given(TYPES)
def test_types_survive_a_snapshot(type_: ConfigType) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(type_), type=ConfigType) == type_
    assert msgspec.json.decode(msgspec.json.encode(type_), type=ConfigType) == type_


@QUIET
@given(TYPES)
def test_every_schema_is_a_valid_json_schema(type_: ConfigType) -> None:
    assert jsonschema_rs.meta.is_valid(json_schema(type_))
