"""RunConfig as data, and config mappings from a small config to a run's whole config."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.config import (
    Config,
    ConfigMapping,
    EnvVar,
    Field,
    RunConfig,
    as_run_config,
    config_mapping,
    laid_over,
    required_config,
    to_config_type,
)
from orchord.definitions.resources import ConfigurableResource
from orchord.errors import InvalidConfigError, InvalidDefinitionError


class Read(Config):
    limit: int = 3
    token: str = "t"


class Store(ConfigurableResource):
    url: str
    password: str = "p"


def test_run_config_is_written_with_objects_and_becomes_plain_data() -> None:
    config = RunConfig(
        ops={
            "read": Read(limit=5, token=EnvVar("TOKEN")),
            "write": {"config": {"path": "x"}},
            "both": {"config": Read()},
            "inner": {"ops": {"read": Read(limit=1)}},
        },
        resources={"store": Store(url="u", password=EnvVar("PASSWORD"))},
        loggers={"console": {"config": {"log_level": "DEBUG"}}},
        execution={"config": {"max_concurrent": 2}},
    )
    assert config.to_config_dict() == {
        "ops": {
            "read": {"config": {"limit": 5, "token": {"env": "TOKEN"}}},
            "write": {"config": {"path": "x"}},
            "both": {"config": {"limit": 3, "token": "t"}},
            "inner": {"ops": {"read": {"config": {"limit": 1, "token": "t"}}}},
        },
        "resources": {"store": {"config": {"url": "u", "password": {"env": "PASSWORD"}}}},
        "loggers": {"console": {"config": {"log_level": "DEBUG"}}},
        "execution": {"config": {"max_concurrent": 2}},
    }
    assert as_run_config(config) == config.to_config_dict()
    assert config == RunConfig(**config.to_config_dict())


def test_an_empty_run_config_has_its_four_parts() -> None:
    assert RunConfig().to_config_dict() == {"loggers": {}, "resources": {}, "ops": {}, "execution": {}}
    assert repr(RunConfig(ops={"a": Read()})) == "RunConfig(ops={'a': {'config': {'limit': 3, 'token': 't'}}})"


def test_a_dict_may_hold_config_objects_too() -> None:
    assert as_run_config({"ops": {"a": {"config": Read()}, "b": Read(limit=1)}}) == {
        "ops": {"a": {"config": {"limit": 3, "token": "t"}}, "b": {"config": {"limit": 1, "token": "t"}}}
    }
    assert as_run_config(None) == {}


def test_what_is_no_run_config_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="found 3 \\(int\\), expected a dict or RunConfig"):
        as_run_config(3)


def test_a_mapping_makes_the_inner_config_of_checked_outer_config() -> None:
    @config_mapping(config_schema={"size": int, "unit": Field(str, default_value="kb")})
    def simple(config: dict[str, Any]) -> dict[str, Any]:
        return {"ops": {"read": {"config": {"limit": config["size"], "unit": config["unit"]}}}}

    assert simple.resolve({"size": 2}) == {"ops": {"read": {"config": {"limit": 2, "unit": "kb"}}}}
    with pytest.raises(InvalidConfigError) as caught:
        simple.resolve({"sise": 2}, "config")
    assert caught.value.mistakes == (
        "config.sise: unknown key. Did you mean 'size'?",
        "config.size: missing, expected Int.",
    )


def test_a_mapping_of_a_config_class_gets_an_instance_and_may_return_a_run_config() -> None:
    @config_mapping
    def of_class(config: Read) -> RunConfig:
        return RunConfig(ops={"read": Read(limit=config.limit + 1)})

    assert isinstance(of_class, ConfigMapping)
    assert of_class.config_type == Read.to_config_type()
    assert of_class.resolve(None)["ops"] == {"read": {"config": {"limit": 4, "token": "t"}}}


def test_a_mapping_may_ask_for_config_as_it_was_given() -> None:
    mapping = ConfigMapping(
        lambda config: {"seen": config}, {"a": Field(int, default_value=1)}, receive_processed_config_values=False
    )
    assert mapping.resolve({}) == {"seen": {}}
    assert ConfigMapping(lambda config: {"seen": config}, {"a": Field(int, default_value=1)}).resolve({}) == {
        "seen": {"a": 1}
    }


def test_wrong_mappings_say_what_is_wrong() -> None:
    with pytest.raises(InvalidDefinitionError, match="config_fn is 3; it must be a function"):
        ConfigMapping(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfigError, match="config: the function returned int, expected a dict or RunConfig"):
        ConfigMapping(lambda config: 3, config_schema=dict).resolve({})


def test_each_op_has_what_is_given_for_it_or_its_default() -> None:
    default = {
        "ops": {"a": {"config": {"x": 1, "y": 1}}, "g": {"ops": {"in": {"config": 1}}}, "b": {"inputs": {"n": 1}}},
        "resources": {"db": {"config": {"url": "u", "port": 1}}},
        "execution": {"config": {"retries": 3}},
    }
    assert laid_over(default, {}) == default
    assert laid_over(default, {"ops": {}, "resources": {}}) == default
    ops = {"a": {"config": {"x": 2}}, "g": {}, "c": {}}
    given = {"ops": ops, "loggers": {"console": {}}, "execution": {"config": {}}}
    assert laid_over(default, given) == {
        "ops": {"a": {"config": {"x": 2}}, "g": {}, "b": {"inputs": {"n": 1}}, "c": {}},
        "resources": {"db": {"config": {"url": "u", "port": 1}}},
        "execution": {"config": {}},
        "loggers": {"console": {}},
    }
    assert laid_over(default, {"ops": 5}) == {**default, "ops": 5}


def test_config_is_required_when_nothing_alone_does_not_fit() -> None:
    assert required_config(to_config_type({"a": int}))
    assert not required_config(to_config_type({"a": Field(int, default_value=1)}))
    assert not required_config(None)
