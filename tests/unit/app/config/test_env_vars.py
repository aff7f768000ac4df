"""EnvVar and {"env": NAME}: read at launch alone, as the type says, and never shown."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from orchord.definitions.config import Config, EnvVar, Field, Noneable, StringSource, env_resolved, to_config_type
from orchord.definitions.config.env import env_names, env_references
from orchord.errors import InvalidConfigError, InvariantViolationError


class Connection(Config):
    host: str
    port: int = 1
    rate: float = 0.5
    secure: bool = False
    env: str = "dev"
    names: list[str] = []
    anything: Any = None


TYPE = Connection.to_config_type()


def test_references_are_read_as_their_types_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"H": "db", "P": "5432", "R": "2", "S": "Yes", "N": "n"}.items():
        monkeypatch.setenv(name, value)
    value = {
        "host": {"env": "H"},
        "port": {"env": "P"},
        "rate": {"env": "R"},
        "secure": {"env": "S"},
        "names": ["a", {"env": "N"}],
    }
    assert env_resolved(value, TYPE) == {"host": "db", "port": 5432, "rate": 2.0, "secure": True, "names": ["a", "n"]}


def test_a_field_may_itself_be_called_env() -> None:
    type_ = to_config_type({"where": {"env": str}})
    assert env_resolved({"where": {"env": "prod"}}, type_) == {"where": {"env": "prod"}}
    assert env_resolved({"env": "prod"}, to_config_type({"env": str})) == {"env": "prod"}


def test_without_a_type_every_reference_is_read_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("H", "db")
    monkeypatch.setenv("P", "5")
    value = {"a": {"env": "H"}, "b": [EnvVar("H"), EnvVar.int("P"), 3]}
    assert env_resolved(value) == {"a": "db", "b": ["db", 5, 3]}


def test_references_inside_unions_and_optional_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Either(Config):
        value: int | str
        maybe: str | None = None

    monkeypatch.setenv("V", "7")
    monkeypatch.setenv("M", "m")
    resolved = env_resolved({"value": {"env": "V"}, "maybe": {"env": "M"}}, Either.to_config_type())
    assert resolved == {"value": 7, "maybe": "m"}


def test_every_variable_that_cannot_be_used_is_reported_at_once_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    monkeypatch.setenv("P", "hunter2")
    monkeypatch.setenv("S", "hunter3")
    value = {"host": {"env": "ABSENT"}, "port": {"env": "P"}, "secure": {"env": "S"}}
    with pytest.raises(InvalidConfigError) as caught:
        env_resolved(value, TYPE, "resources.db.config")
    assert caught.value.mistakes == (
        "resources.db.config.host: environment variable 'ABSENT' is not set. Set it where the run is executed.",
        "resources.db.config.port: environment variable 'P' is set, but its value (not shown) is not Int.",
        "resources.db.config.secure: environment variable 'S' is set, but its value (not shown) is not Bool.",
    )
    assert "hunter" not in str(caught.value)


def test_a_constraint_holds_for_the_value_of_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import Field as PydanticField

    class Limited(Config):
        limit: int = PydanticField(le=3)

    monkeypatch.setenv("L", "4")
    with pytest.raises(InvalidConfigError, match="'L' is set, but its value \\(not shown\\) is not Int <= 3"):
        env_resolved({"limit": {"env": "L"}}, Limited.to_config_type())


def test_an_env_var_is_shown_by_name_and_refuses_to_be_used_as_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    for variable in (EnvVar("TOKEN"), EnvVar.int("TOKEN")):
        assert "hunter2" not in repr(variable)
        assert "TOKEN" in repr(variable)
        with pytest.raises(InvariantViolationError, match="it is read when a run is launched"):
            str(variable)
        with pytest.raises(InvariantViolationError, match="it is read when a run is launched"):
            f"Bearer {variable}"


def test_get_value_reads_the_variable_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    monkeypatch.setenv("PORT", "5")
    monkeypatch.delenv("ABSENT", raising=False)
    assert EnvVar("TOKEN").get_value() == "t"
    assert EnvVar("ABSENT").get_value("x") == "x"
    assert EnvVar.int("PORT").get_value() == 5
    assert EnvVar.int("ABSENT").get_value(3) == 3
    with pytest.raises(InvalidConfigError, match="'TOKEN' is set, but its value"):
        EnvVar.int("TOKEN").get_value()


def test_env_vars_survive_copies_and_pickles() -> None:
    for variable in (EnvVar("A"), EnvVar.int("B")):
        for other in (copy.copy(variable), copy.deepcopy(variable), pickle.loads(pickle.dumps(variable))):
            assert repr(other) == repr(variable)


def test_config_as_data_holds_references_and_names_can_be_listed() -> None:
    value = {"a": EnvVar("A"), "b": [EnvVar.int("B"), {"env": "C"}], "c": ("x", EnvVar("D"))}
    assert env_references(value) == {"a": {"env": "A"}, "b": [{"env": "B"}, {"env": "C"}], "c": ["x", {"env": "D"}]}
    assert sorted(env_names(value)) == ["A", "B", "C", "D"]


def test_a_noneable_source_may_be_none_or_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "a")
    type_ = to_config_type({"x": Field(Noneable(StringSource)), "y": Noneable(StringSource)})
    assert env_resolved({"x": None, "y": {"env": "A"}}, type_) == {"x": None, "y": "a"}
