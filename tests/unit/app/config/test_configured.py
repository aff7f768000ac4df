"""configured(): fixed and mapped config, in layers, on whatever has config."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.config import Config, Configurable, EnvVar, Field, as_schema, configured
from orchord.definitions.config.schema import Enum, EnumValue, StringSource
from orchord.errors import InvalidConfigError, InvalidDefinitionError, InvalidInvocationError


class Thing(Configurable):
    def __init__(self, schema: Any, name: str = "thing") -> None:
        self.name = name
        self.description: str | None = None
        self._config_schema = as_schema(schema)
        self.config_type = self._config_schema.config_type

    def __repr__(self) -> str:
        return f"<Thing '{self.name}'>"


class NamedThing(Thing):
    _configured_needs_name = True


SCHEMA = {"bucket": str, "prefix": Field(str, default_value="p")}


class Outer(Config):
    team: str
    prefix: str = "q"


def from_outer(config: Outer) -> dict[str, Any]:
    return {"bucket": f"bucket-{config.team}", "prefix": config.prefix}


def test_fixed_config_leaves_nothing_to_configure() -> None:
    thing = Thing(SCHEMA)
    fixed = thing.configured({"bucket": "b"})
    assert type(fixed) is Thing
    assert fixed is not thing
    assert fixed.resolve_config(None) == {"bucket": "b", "prefix": "p"}
    assert thing.resolve_config({"bucket": "c"}) == {"bucket": "c", "prefix": "p"}
    with pytest.raises(InvalidConfigError, match="x.bucket: unknown key"):
        fixed.resolve_config({"bucket": "c"}, "x")


def test_a_function_maps_config_of_its_own_schema() -> None:
    mapped = Thing(SCHEMA).configured(lambda config: {"bucket": config["n"] * 2}, config_schema={"n": str})
    assert mapped.resolve_config({"n": "ab"}) == {"bucket": "abab", "prefix": "p"}
    with pytest.raises(InvalidConfigError) as caught:
        mapped.resolve_config({"m": 1}, "resources.s3.config")
    assert caught.value.mistakes == (
        "resources.s3.config.m: unknown key. Known: n.",
        "resources.s3.config.n: missing, expected String.",
    )


def test_a_function_with_a_config_class_gets_an_instance() -> None:
    mapped = Thing(SCHEMA).configured(from_outer)
    assert mapped.config_type == Outer.to_config_type()
    assert mapped.resolve_config({"team": "data"}) == {"bucket": "bucket-data", "prefix": "q"}


def test_layers_lie_on_one_another() -> None:
    twice = Thing(SCHEMA).configured(from_outer).configured({"team": "x", "prefix": "r"})
    assert twice.resolve_config(None) == {"bucket": "bucket-x", "prefix": "r"}


def test_what_a_function_returns_is_checked_against_the_inner_schema() -> None:
    mapped = Thing(SCHEMA).configured(lambda config: {"bucket": 3}, config_schema=int)
    with pytest.raises(InvalidConfigError) as caught:
        mapped.resolve_config(1, "ops.a.config")
    assert caught.value.mistakes == ("ops.a.config(configured).bucket: found 3 (Int), expected String.",)


def test_fixed_config_with_mistakes_is_refused_at_once_with_all_of_them() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        Thing(SCHEMA).configured({"bukket": "b", "prefix": 3})
    assert str(caught.value) == (
        "configured() of <Thing 'thing'> has config that does not fit (3 mistakes):\n"
        "  1. config.bukket: unknown key. Did you mean 'bucket'?\n"
        "  2. config.prefix: found 3 (Int), expected String.\n"
        "  3. config.bucket: missing, expected String."
    )


def test_environment_variables_in_fixed_config_are_read_when_it_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = Thing({"token": StringSource}).configured({"token": EnvVar("TOKEN")})
    monkeypatch.setenv("TOKEN", "t")
    assert fixed.resolve_config(None) == {"token": "t"}


def test_the_variables_that_it_reads_by_itself_can_be_listed() -> None:
    thing = Thing({"token": StringSource, "key": Field(str, default_value=EnvVar("KEY"))})
    assert thing.env_var_names == {"KEY"}
    assert thing.configured({"token": EnvVar("TOKEN")}).env_var_names == {"KEY", "TOKEN"}


def test_user_code_sees_python_values_of_enums_beneath_the_layers() -> None:
    mode = Enum("Mode", [EnumValue("fast", python_value=1)])
    assert Thing({"mode": mode}).configured({"mode": "fast"}).resolve_config(None) == {"mode": 1}


def test_config_given_as_an_instance_is_taken_as_its_data() -> None:
    assert Thing(Outer).configured(Outer(team="x")).resolve_config(None) == {"team": "x", "prefix": "q"}


def test_the_decorator_takes_the_functions_name_where_a_name_is_needed() -> None:
    @configured(NamedThing(SCHEMA))
    def renamed(config: Outer) -> dict[str, Any]:
        """Say it by team."""
        return from_outer(config)

    assert renamed.name == "renamed"
    assert renamed.description == "Say it by team."
    assert renamed.resolve_config({"team": "x"}) == {"bucket": "bucket-x", "prefix": "q"}

    @configured(Thing(SCHEMA), {"n": str})
    def other(config: dict[str, Any]) -> dict[str, Any]:
        return {"bucket": config["n"]}

    assert other.name == "thing"
    assert other.resolve_config({"n": "b"})["bucket"] == "b"


def test_wrong_uses_say_what_to_do() -> None:
    with pytest.raises(InvalidDefinitionError, match="has no name. Give name= to tell it from the original"):
        NamedThing(SCHEMA).configured({"bucket": "b"})
    with pytest.raises(InvalidDefinitionError, match="A schema is for the config of a function"):
        Thing(SCHEMA).configured({"bucket": "b"}, config_schema={"a": int})
    with pytest.raises(InvalidInvocationError, match="@configured was given 3 \\(int\\), which has no config"):
        configured(3)  # type: ignore[type-var]
