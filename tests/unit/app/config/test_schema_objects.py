"""What users may write as config_schema, what user code then sees, and what is refused when it is defined."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest

from orchord.definitions import types as dagster_types
from orchord.definitions.config import (
    Array,
    BoolSource,
    Config,
    Enum,
    EnumValue,
    EnvVar,
    Field,
    IntSource,
    Map,
    Noneable,
    Permissive,
    ScalarUnion,
    Selector,
    Shape,
    StringSource,
    as_schema,
    check_config,
    to_config_type,
)
from orchord.definitions.config.types import (
    ArrayType,
    EnumType,
    MapType,
    NoneableType,
    ScalarType,
    ShapeType,
    UnionType,
)
from orchord.errors import InvalidDefinitionError


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Small(Config):
    size: int


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        (str, ScalarType("String")),
        (int, ScalarType("Int")),
        (float, ScalarType("Float")),
        (bool, ScalarType("Bool")),
        (Any, ScalarType("Any")),
        (list, ArrayType(ScalarType("Any"))),
        ([int], ArrayType(ScalarType("Int"))),
        (Array(str), ArrayType(ScalarType("String"))),
        ({str: int}, MapType(ScalarType("String"), ScalarType("Int"))),
        (Map(int, bool), MapType(ScalarType("Int"), ScalarType("Bool"))),
        (Noneable(int), NoneableType(ScalarType("Int"))),
        (StringSource, ScalarType("StringSource")),
        (IntSource, ScalarType("IntSource")),
        (BoolSource, ScalarType("BoolSource")),
        (Level, EnumType("Level", ("LOW", "HIGH"))),
        (ScalarUnion(str, [str]), UnionType((ScalarType("String"), ArrayType(ScalarType("String"))))),
        (dagster_types.String, ScalarType("String")),
        (dagster_types.Any, ScalarType("Any")),
        (list[int], ArrayType(ScalarType("IntSource"))),
        (Literal["a", "b"], EnumType("Literal", ("a", "b"))),
        (dict, ShapeType("", {}, permissive=True)),
        (ScalarType("Int", {"ge": 1}), ScalarType("Int", {"ge": 1})),
    ],
)
def test_a_schema_becomes_data(schema: Any, type_: Any) -> None:
    assert to_config_type(schema) == type_


def test_a_config_class_is_a_schema() -> None:
    assert to_config_type(Small) == Small.to_config_type()


def test_fields_are_required_unless_they_have_a_default_or_nothing_in_them_is_required() -> None:
    type_ = to_config_type(
        {
            "plain": int,
            "defaulted": Field(int, default_value=1),
            "optional": Field(int, is_required=False),
            "inner": {"a": Field(int, default_value=2)},
            "inner_required": {"a": int},
        }
    )
    assert isinstance(type_, ShapeType)
    assert [name for name, field in type_.fields.items() if field.is_required] == ["plain", "inner_required"]
    result = check_config(type_, {"plain": 0, "inner_required": {"a": 5}})
    assert result.value == {"plain": 0, "defaulted": 1, "inner": {"a": 2}, "inner_required": {"a": 5}}


def test_what_may_be_none_or_has_one_defaulted_choice_need_not_be_given() -> None:
    type_ = to_config_type(
        {
            "maybe": Noneable(int),
            "chosen": Selector({"only": Field(int, default_value=3)}),
            "asked_for": Field(Noneable(int), is_required=True),
            "one_of_two": Selector({"a": Field(int, default_value=3), "b": int}),
        }
    )
    assert check_config(type_, {"asked_for": 1, "one_of_two": {"b": 1}}).value == {
        "maybe": None,
        "chosen": {"only": 3},
        "asked_for": 1,
        "one_of_two": {"b": 1},
    }
    assert check_config(type_, {}, "c").mistakes == [
        "c.asked_for: missing, expected Int or None.",
        "c.one_of_two: missing, expected a dict with exactly one of 'a', 'b'.",
    ]


def test_user_code_sees_the_python_values_of_enums_wherever_they_stand() -> None:
    level = Enum("Level", [EnumValue("low", python_value=1), EnumValue("high", python_value=2)])
    schema = as_schema(
        {
            "one": level,
            "many": [level],
            "by_name": Map(str, level),
            "maybe": Noneable(level),
            "chosen": Selector({"a": level}),
            "either": ScalarUnion(str, {"inner": level}),
            "default": Field(level, default_value="high"),
            "plain": str,
        }
    )
    value = {
        "one": "low",
        "many": ["low", "high"],
        "by_name": {"x": "high"},
        "maybe": None,
        "chosen": {"a": "low"},
        "either": {"inner": "low"},
        "plain": "low",
    }
    result = check_config(schema.config_type, value)
    assert result.success
    assert schema.to_python(result.value) == {
        "one": 1,
        "many": [1, 2],
        "by_name": {"x": 2},
        "maybe": None,
        "chosen": {"a": 1},
        "either": {"inner": 1},
        "default": 2,
        "plain": "low",
    }


def test_enums_are_made_from_python_enums_with_members_or_with_values() -> None:
    assert Enum.from_python_enum(Level).to_python("LOW") is Level.LOW
    assert Enum.from_python_enum_direct_values(Level).to_python("LOW") == 1
    assert Field(Level, default_value=Level.HIGH).as_data().default == "HIGH"


def test_aliases_of_a_shape_are_what_config_says_and_names_are_what_user_code_sees() -> None:
    schema = Shape({"from_": str, "to": str}, field_aliases={"from_": "from"})
    result = check_config(schema.config_type, {"from": "a", "to": "b"})
    assert schema.to_python(result.value) == {"from_": "a", "to": "b"}


def test_a_default_that_is_an_env_var_is_kept_as_a_reference() -> None:
    type_ = to_config_type({"token": Field(str, default_value=EnvVar("TOKEN"))})
    assert check_config(type_, {}).value == {"token": {"env": "TOKEN"}}


@pytest.mark.parametrize(
    ("define", "text"),
    [
        (lambda: Field(int, default_value="x"), "default_value: found 'x' (String), expected Int."),
        (lambda: Field(int, default_value=1, is_required=True), "default_value=1 and is_required=True"),
        (lambda: to_config_type("int"), "A config schema is 'int' (str). Write a type such as str"),
        (lambda: to_config_type([]), "it must hold one schema, as in [str]"),
        (lambda: to_config_type([int, str]), "it must hold one schema, as in [str]"),
        (lambda: Map({"a": int}, int), "it must be a scalar such as str or int"),
        (lambda: ScalarUnion([int], str), "it must be a scalar"),
        (lambda: Selector({}), "A Selector has no fields"),
        (lambda: Enum("E", []), "Enum 'E' has no values"),
    ],
)
def test_a_schema_that_cannot_be_right_is_refused_when_it_is_defined(define: Any, text: str) -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        define()
    assert text in str(caught.value)


def test_every_mistake_of_a_schema_is_reported_at_once() -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        Permissive({"a": 3, "b": "x", "c": int, 4: int})
    text = str(caught.value)
    assert text.startswith("The fields of a Permissive have mistakes (3 mistakes):")
    assert "a: A config schema is 3 (int)." in text
    assert "b: A config schema is 'x' (str)." in text
    assert "field name 4 is no string." in text
