"""Config classes: what of pydantic they take, what of it is data that a server checks, and what user code gets."""

import datetime
import enum
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError, field_validator, model_validator
from pydantic import Field as PydanticField
from typing_extensions import TypedDict

from orchord.definitions.config import Config, EnvVar, PermissiveConfig, build_config, check_config
from orchord.definitions.config.types import (
    ArrayType,
    EnumType,
    MapType,
    NoneableType,
    ScalarType,
    SelectorType,
    ShapeType,
    UnionType,
)
from orchord.errors import InvalidConfigError


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


class Cat(Config):
    kind: Literal["cat"] = "cat"
    meows: int


class Dog(Config):
    kind: Literal["dog"] = "dog"
    barks: float = 1.5


class Inner(Config):
    depth: int = PydanticField(default=2, ge=1)


class Plain(BaseModel):
    color: Color = Color.RED


class Row(TypedDict):
    x: int


@dataclass
class Point:
    x: int
    y: int = 0


class Everything(Config):
    """All that a config may hold."""

    count: int = PydanticField(ge=1, le=10, description="how many")
    name: str = PydanticField(pattern="^[a-z]", min_length=1, max_length=8, alias="label")
    color: Color = Color.RED
    pet: Cat | Dog = PydanticField(discriminator="kind")
    pets: list[Annotated[Cat | Dog, PydanticField(discriminator="kind")]] = []
    inner: Inner
    maybe: int | None = None
    either: int | str = 0
    by_color: dict[Color, int] = {}
    by_number: dict[int, str] = {}
    pair: tuple[int, str] = (1, "a")
    unique: set[int] = set()
    plain: Plain = Plain()
    point: Point = Point(1)
    row: Row = {"x": 1}
    level: Literal[1, 2, None] = 1
    when: datetime.date = datetime.date(2024, 1, 2)
    anything: Any = None


GIVEN: dict[str, Any] = {"count": 3, "label": "abc", "pet": {"cat": {"meows": 3}}, "inner": {}}


def test_a_config_class_is_data_with_constraints_defaults_and_descriptions() -> None:
    type_ = Everything.to_config_type()
    assert type_.name == "Everything"
    assert type_.description == "All that a config may hold."
    kinds = {name: field.type for name, field in type_.fields.items()}
    assert kinds["count"] == ScalarType("IntSource", {"ge": 1, "le": 10})
    assert kinds["label"] == ScalarType("StringSource", {"min_length": 1, "max_length": 8, "pattern": "^[a-z]"})
    assert kinds["color"] == EnumType("Color", ("RED", "BLUE"), ("r", "b"))
    assert isinstance(kinds["pet"], SelectorType)
    assert list(kinds["pet"].fields) == ["cat", "dog"]
    assert isinstance(kinds["pets"], ArrayType)
    assert kinds["maybe"] == NoneableType(ScalarType("IntSource"))
    assert kinds["either"] == UnionType((ScalarType("IntSource"), ScalarType("StringSource")))
    assert kinds["by_number"] == MapType(ScalarType("Int"), ScalarType("StringSource"))
    assert kinds["level"] == NoneableType(EnumType("Literal", (1, 2)))
    assert kinds["when"] == ScalarType("StringSource", {"format": "date"})
    assert kinds["anything"] == ScalarType("Any") or kinds["anything"] == NoneableType(ScalarType("Any"))
    assert type_.fields["count"].description == "how many"
    assert type_.fields["color"].default == "RED"
    assert type_.fields["when"].default == "2024-01-02"
    assert [name for name, field in type_.fields.items() if field.is_required] == ["count", "label", "pet"]


def test_checked_data_becomes_an_instance_with_every_default() -> None:
    result = check_config(Everything.to_config_type(), GIVEN)
    assert result.mistakes == []
    made = build_config(Everything, result.value)
    assert made.name == "abc"
    assert made.pet == Cat(meows=3)
    assert made.inner == Inner()
    assert made.when == datetime.date(2024, 1, 2)
    assert made.point == Point(1)
    assert made.plain == Plain()


def test_a_tagged_union_is_written_as_a_selector_or_flat() -> None:
    flat = {**GIVEN, "pet": {"kind": "dog", "barks": 2}, "pets": [{"dog": {}}, {"kind": "cat", "meows": 1}]}
    result = check_config(Everything.to_config_type(), flat)
    assert result.mistakes == []
    made = build_config(Everything, result.value)
    assert made.pet == Dog(barks=2.0)
    assert made.pets == [Dog(), Cat(meows=1)]
    assert build_config(Everything, flat) == made


def test_enums_are_written_by_name_or_by_value() -> None:
    by_name = {**GIVEN, "color": "BLUE", "by_color": {"RED": 1}, "plain": {"color": "BLUE"}}
    by_value = {**GIVEN, "color": "b", "by_color": {"r": 1}, "plain": {"color": "b"}}
    for given_config in (by_name, by_value):
        made = build_config(Everything, check_config(Everything.to_config_type(), given_config).value)
        assert made.color is Color.BLUE
        assert made.by_color == {Color.RED: 1}
        assert made.plain.color is Color.BLUE


DATA = st.fixed_dictionaries(
    {
        "count": st.integers(1, 10),
        "label": st.from_regex("[a-z]{1,8}", fullmatch=True),
        "pet": st.sampled_from([{"cat": {"meows": 1}}, {"dog": {}}, {"kind": "dog", "barks": 3}]),
        "inner": st.fixed_dictionaries({}, optional={"depth": st.integers(1, 5)}),
    },
    optional={
        "color": st.sampled_from(["RED", "BLUE", "r"]),
        "pets": st.lists(st.sampled_from([{"cat": {"meows": 1}}, {"dog": {}}]), max_size=2),
        "maybe": st.none() | st.integers(-5, 5),
        "either": st.integers(-5, 5) | st.text(max_size=3),
        "by_color": st.dictionaries(st.sampled_from(["RED", "BLUE"]), st.integers(0, 3)),
        "by_number": st.dictionaries(st.sampled_from(["1", "-2"]), st.text(max_size=2)),
        "unique": st.lists(st.integers(0, 3), max_size=3),
        "level": st.sampled_from([1, 2, None]),
        "when": st.dates().map(str),
        "row": st.just({"x": 4}),
        "anything": st.sampled_from([None, 1, [1, {"a": 2}]]),
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(DATA)
def test_what_the_server_accepts_becomes_an_instance_that_is_written_back_the_same(data: dict[str, Any]) -> None:
    type_ = Everything.to_config_type()
    result = check_config(type_, data)
    assert result.mistakes == []
    made = build_config(Everything, result.value)
    written = made.to_config_dict()
    again = check_config(type_, written)
    assert again.mistakes == []
    assert build_config(Everything, again.value) == made


def test_what_pydantic_alone_can_check_is_reported_all_at_once_with_paths() -> None:
    class Strict(Config):
        even: int
        names: list[str]
        token: SecretStr = SecretStr("x")

        @field_validator("even")
        @classmethod
        def is_even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even")
            return value

    with pytest.raises(InvalidConfigError) as caught:
        build_config(Strict, {"even": 3, "names": ["a", 5], "token": 7, "more": 1}, "ops.read.config")
    assert caught.value.mistakes == (
        "ops.read.config.even: found 3 (Int). Value error, must be even.",
        "ops.read.config.names[1]: found 5 (Int). Input should be a valid string.",
        "ops.read.config.token: Input should be a valid string.",
        "ops.read.config.more: found 1 (Int). Extra inputs are not permitted.",
    )
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_config_is_frozen_and_refuses_unknown_keys() -> None:
    config = Cat(meows=1)
    with pytest.raises(ValidationError, match="frozen"):
        config.meows = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Cat(meows=1, purrs=2)  # type: ignore[call-arg]


def test_permissive_config_keeps_other_keys_as_attributes() -> None:
    class Loose(PermissiveConfig):
        a: int

    type_ = Loose.to_config_type()
    assert type_.permissive
    made = build_config(Loose, check_config(type_, {"a": 1, "b": [2]}).value)
    assert made.b == [2]  # type: ignore[attr-defined]
    assert made.to_config_dict() == {"a": 1, "b": [2]}


def test_defaults_that_differ_from_call_to_call_are_left_to_the_class() -> None:
    class Fresh(Config):
        run: uuid.UUID = PydanticField(default_factory=uuid.uuid4)
        items: list[int] = PydanticField(default_factory=list)
        where: Path = Path("/tmp")
        size: float = float("inf")

    fields = Fresh.to_config_type().fields
    assert not fields["run"].has_default
    assert not fields["run"].is_required
    assert fields["items"].default == []
    assert fields["where"].default == "/tmp"
    assert not fields["size"].has_default
    resolved = check_config(Fresh.to_config_type(), {}).value
    assert build_config(Fresh, resolved).run != build_config(Fresh, resolved).run


def test_secrets_are_in_no_data_made_of_a_class() -> None:
    class Login(Config):
        user: str = "me"
        password: SecretStr = SecretStr("hunter2")

    field = Login.to_config_type().fields["password"]
    assert field.is_secret
    assert not field.has_default
    assert Login().to_config_dict() == {"user": "me"}
    assert "hunter2" not in repr(Login.to_config_type())


def test_an_env_var_stands_in_for_any_field_until_launch() -> None:
    class Login(Config):
        user: str = PydanticField(min_length=3)
        port: int = PydanticField(ge=1)
        hosts: list[str] = []
        inner: Inner = Inner()

    config = Login(user=EnvVar("U"), port=EnvVar.int("P"), hosts=[EnvVar("H")], inner=Inner(depth=EnvVar.int("D")))
    assert config.to_config_dict() == {
        "user": {"env": "U"},
        "port": {"env": "P"},
        "hosts": [{"env": "H"}],
        "inner": {"depth": {"env": "D"}},
    }
    assert check_config(Login.to_config_type(), config.to_config_dict()).success


def test_validators_of_the_whole_model_and_of_fields_still_run() -> None:
    class Range(Config):
        low: int
        high: int
        name: str = "range"

        @field_validator("name", mode="before")
        @classmethod
        def lower(cls, value: Any) -> Any:
            return value.lower() if isinstance(value, str) else value

        @model_validator(mode="after")
        def ordered(self) -> "Range":
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    assert Range(low=1, high=2, name="ABC").name == "abc"
    with pytest.raises(InvalidConfigError, match="low is above high"):
        build_config(Range, {"low": 3, "high": 2})


class Tree(Config):
    value: int
    children: list["Tree"] = []


def test_a_class_inside_itself_is_any_at_its_second_level_for_the_server_and_checked_by_pydantic() -> None:
    type_ = Tree.to_config_type()
    assert isinstance(type_, ShapeType)
    result = check_config(type_, {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]})
    assert result.success
    assert build_config(Tree, result.value).children[0].children[0].value == 3
    with pytest.raises(InvalidConfigError, match=r"children\[0\].value: found 'x'"):
        build_config(Tree, {"value": 1, "children": [{"value": "x"}]})
