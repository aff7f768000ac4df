"""Setting resources up in the order of their needs: functions, generators, requirements, failures, what users see."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from orchord.definitions.config import Field
from orchord.definitions.config.schema import StringSource
from orchord.definitions.resources import (
    InitResourceContext,
    ResourceDefinition,
    ResourceParam,
    Resources,
    as_resource_definition,
    build_init_resource_context,
    build_resources,
    is_resource_annotation,
    needed_resource_keys,
    open_resources,
    resource,
)
from orchord.errors import InvalidConfigError, InvalidDefinitionError, InvalidInvocationError, ResourceInitError


class Trail(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def tracked(name: str, trail: list[str], needs: set[str] | None = None, fails: str = "") -> ResourceDefinition:
    def make(context: InitResourceContext) -> Iterator[str]:
        if fails == "up":
            raise ValueError("broken")
        trail.append(f"{name} up after {sorted(context.resources._asdict())}")
        yield name
        trail.append(f"{name} down")
        if fails == "down":
            raise ValueError("stuck")

    return ResourceDefinition(make, required_resource_keys=needs)


def test_only_what_is_needed_is_set_up_in_order_and_torn_down_in_reverse() -> None:
    trail: list[str] = []
    defs = {
        "a": tracked("a", trail, {"b", "c"}),
        "b": tracked("b", trail, {"c"}),
        "c": tracked("c", trail),
        "unused": tracked("unused", trail),
    }
    with open_resources(defs, {}, {"a"}) as resources:
        assert resources._asdict() == {"a": "a"}
        trail.append("used")
    assert trail == ["c up after []", "b up after ['c']", "a up after ['b', 'c']", "used", "a down", "b down", "c down"]


def test_every_missing_key_and_every_circle_is_reported_at_once_before_anything_is_set_up() -> None:
    trail: list[str] = []
    defs = {
        "database": tracked("database", trail, {"credentals"}),
        "a": tracked("a", trail, {"b"}),
        "b": tracked("b", trail, {"a"}),
        "credentials": tracked("credentials", trail),
    }
    needed, mistakes = needed_resource_keys(defs, {"database", "a", "nothing_like_it"})
    assert needed == {"database", "a", "b"}
    assert mistakes == [
        "Resources need each other in a circle: a -> b -> a.",
        "No resource 'credentals' is given, which resource 'database' requires. Did you mean 'credentials'?",
        "No resource 'nothing_like_it' is given. Known: a, b, credentials, database.",
    ]
    with pytest.raises(InvalidDefinitionError, match=r"Resources cannot be set up \(3 mistakes\)"):
        with open_resources(defs, {}, {"database", "a", "nothing_like_it"}):
            pass
    assert trail == []


def test_config_mistakes_of_all_resources_are_reported_at_once_before_anything_is_set_up() -> None:
    @resource(config_schema={"host": str, "port": Field(int, default_value=1)})
    def server(context: InitResourceContext) -> Any:
        return context.resource_config

    defs = {"one": server, "two": server}
    config = {"one": {"config": {"hots": "x"}}, "two": {"config": {"host": "x", "port": "y"}}}
    with pytest.raises(InvalidConfigError) as caught:
        with open_resources(defs, config, {"one", "two"}):
            pass
    assert caught.value.mistakes == (
        "resources.one.config.hots: unknown key. Did you mean 'host'?",
        "resources.one.config.host: missing, expected String.",
        "resources.two.config.port: found 'y' (String), expected Int.",
    )
    with open_resources(defs, {"one": {"config": {"host": "h"}}}, {"one"}) as resources:
        assert resources.one == {"host": "h", "port": 1}


def test_a_failing_set_up_tears_down_what_stands_and_names_the_resource() -> None:
    trail: list[str] = []
    defs = {"a": tracked("a", trail), "b": tracked("b", trail, fails="up")}
    with pytest.raises(ResourceInitError, match="Resource 'b' could not be set up: ValueError: broken"):
        with open_resources(defs, {}, {"a", "b"}):
            pass
    assert trail == ["a up after []", "a down"]


def test_a_failing_tear_down_does_not_keep_others_from_theirs() -> None:
    trail: list[str] = []
    defs = {"a": tracked("a", trail), "b": tracked("b", trail, fails="down")}
    with pytest.raises(ResourceInitError, match="Resource 'b' failed in its tear-down: ValueError: stuck"):
        with open_resources(defs, {}, {"a", "b"}):
            pass
    assert trail[-2:] == ["b down", "a down"]


def test_in_a_run_a_failing_tear_down_is_logged_and_fails_nothing() -> None:
    handler, log = Trail(), logging.Logger("run")
    log.addHandler(handler)
    with open_resources({"b": tracked("b", [], fails="down")}, {}, {"b"}, log=log) as resources:
        assert resources.b == "b"
    assert handler.lines == ["Resource 'b' failed in its tear-down: ValueError: stuck"]


def test_an_error_of_the_user_is_not_covered_up_by_a_failing_tear_down() -> None:
    trail: list[str] = []
    with pytest.raises(KeyError, match="mine"):
        with open_resources({"b": tracked("b", trail, fails="down")}, {}, {"b"}):
            raise KeyError("mine")
    assert trail == ["b up after []", "b down"]


def test_generators_that_yield_nothing_or_twice_are_refused() -> None:
    @resource
    def nothing(context: InitResourceContext) -> Iterator[int]:
        return
        yield 1

    @resource
    def twice(context: InitResourceContext) -> Iterator[int]:
        yield 1
        yield 2

    with pytest.raises(ResourceInitError, match="is a generator that yielded nothing. Yield it once"):
        with build_resources({"r": nothing}):
            pass
    with pytest.raises(ResourceInitError, match="is a generator that yielded twice. Yield it once"):
        with build_resources({"r": twice}):
            pass


def test_a_resource_function_may_take_no_context_and_be_configured() -> None:
    @resource
    def plain() -> int:
        """Say seven."""
        return 7

    @resource(config_schema={"key": StringSource})
    def keyed(context: InitResourceContext) -> str:
        return str(context.resource_config["key"])

    assert plain.description == "Say seven."
    with build_resources({"plain": plain, "keyed": keyed.configured({"key": "k"})}) as resources:
        assert (resources.plain, resources.keyed) == (7, "k")


def test_a_resource_definition_can_be_called_directly_in_a_test() -> None:
    @resource(config_schema={"n": Field(int, default_value=2)}, required_resource_keys={"base"})
    def scaled(context: InitResourceContext) -> int:
        return int(context.resources.base * context.resource_config["n"])

    with build_init_resource_context(resources={"base": 5}, config={}) as context:
        assert scaled(context) == 10
    with build_init_resource_context(config={"n": "x"}) as context:
        with pytest.raises(InvalidConfigError, match="config.n: found 'x'"):
            scaled(context)
    with pytest.raises(InvalidInvocationError, match="Give one context made by build_init_resource_context"):
        scaled(1, 2)


def test_a_function_with_two_parameters_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="takes context, other. It may take one parameter"):
        resource(lambda context, other: None)
    with pytest.raises(InvalidDefinitionError, match="A resource's function is 3; it must be callable"):
        ResourceDefinition(3)  # type: ignore[arg-type]


def test_plain_objects_are_resources_that_stand_already() -> None:
    value = object()
    with build_resources({"value": value, "none": None, "text": "x"}) as resources:
        assert resources.value is value
        assert resources.none is None
        assert resources.text == "x"
    assert as_resource_definition(value).required_resource_keys == frozenset()


def test_the_standing_kinds_of_resources() -> None:
    defs = {
        "none": ResourceDefinition.none_resource(),
        "mock": ResourceDefinition.mock_resource(),
        "hard": ResourceDefinition.hardcoded_resource(3),
        "text": ResourceDefinition.string_resource(),
    }
    with build_resources(defs, resource_config={"text": {"config": "hello"}}) as resources:
        assert resources.none is None
        assert resources.mock.anything() is not None
        assert (resources.hard, resources.text) == (3, "hello")


def test_a_context_holds_what_a_resource_may_use() -> None:
    seen: list[InitResourceContext] = []

    @resource(config_schema={"a": int}, required_resource_keys={"other"})
    def curious(context: InitResourceContext) -> int:
        seen.append(context)
        return 1

    instance = object()
    resources = {"curious": curious, "other": 2}
    with build_resources(resources, instance=instance, resource_config={"curious": {"config": {"a": 3}}}):
        (context,) = seen
    assert context.resource_config == {"a": 3}
    assert context.resources.other == 2
    assert context.instance is instance
    assert context.run is context.dagster_run is None
    assert context.run_id is None
    assert context.resource_def is curious
    assert set(context.all_resource_defs) == {"curious", "other"}
    context.log.debug("works")
    assert context.replace_config(1).resource_config == 1
    assert context.resource_config == {"a": 3}


def test_resources_are_read_by_attribute_and_name_the_nearest_when_missing() -> None:
    resources = Resources({"database": 1, "cache": 2})
    assert resources.database == resources.get("database") == 1
    assert resources._asdict() == resources.original_resource_dict == {"database": 1, "cache": 2}
    assert "cache" in resources
    assert sorted(resources) == [1, 2]
    assert repr(resources) == "Resources(cache, database)"
    assert not hasattr(resources, "databse")
    with pytest.raises(InvalidInvocationError) as caught:
        _ = resources.databse
    assert str(caught.value) == (
        "No resource 'databse' is here. Did you mean 'database'? Name it in required_resource_keys, or as a parameter."
    )


def test_annotations_tell_resources_from_inputs() -> None:
    from orchord.definitions.resources import ConfigurableResource, ConfigurableResourceFactory

    class Some(ConfigurableResource):
        pass

    assert is_resource_annotation(Some)
    assert is_resource_annotation(ResourceParam[str])
    assert is_resource_annotation(ConfigurableResourceFactory[int])
    assert not is_resource_annotation(str)
    assert not is_resource_annotation(list[int])
    assert not is_resource_annotation("Some")


def test_a_failing_resource_of_a_built_context_is_torn_down_at_its_end() -> None:
    trail: list[str] = []
    context = build_init_resource_context(resources={"a": tracked("a", trail)})
    assert context.resources.a == "a"
    context.close()
    assert trail == ["a up after []", "a down"]
