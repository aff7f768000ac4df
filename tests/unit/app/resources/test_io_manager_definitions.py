"""IO managers as classes, as functions and as pydantic classes, and input managers."""

from typing import Any

import pytest

from orchord.definitions.config import Field
from orchord.definitions.io_manager import (
    ConfigurableInputManager,
    ConfigurableIOManager,
    ConfigurableIOManagerFactory,
    InputManager,
    IOManager,
    IOManagerDefinition,
    input_manager,
    io_manager,
)
from orchord.definitions.resources import InitResourceContext, build_resources, is_resource_annotation
from orchord.errors import InvalidConfigError


class Store(IOManager):
    def __init__(self, base: str) -> None:
        self.base = base
        self.values: dict[str, Any] = {}

    def handle_output(self, context: Any, obj: Any) -> None:
        self.values[context] = obj

    def load_input(self, context: Any) -> Any:
        return self.values[context]


class PydanticStore(ConfigurableIOManager):
    base: str = "b"

    def handle_output(self, context: Any, obj: Any) -> None:
        return None

    def load_input(self, context: Any) -> Any:
        return f"{self.base}/{context}"


class Factory(ConfigurableIOManagerFactory):
    base: str

    def create_io_manager(self, context: InitResourceContext) -> IOManager:
        return Store(self.base)


def test_a_function_makes_an_io_manager_from_config() -> None:
    @io_manager(config_schema={"base": Field(str, default_value="here")}, description="stores")
    def store(context: InitResourceContext) -> Store:
        return Store(context.resource_config["base"])

    assert isinstance(store, IOManagerDefinition)
    assert store.description == "stores"
    with build_resources({"io": store, "configured": store.configured({"base": "there"})}) as resources:
        assert resources.io.base == "here"
        assert resources.configured.base == "there"
    with pytest.raises(InvalidConfigError, match="config.bass: unknown key. Did you mean 'base'"):
        store.configured({"bass": "x"})


def test_an_object_a_pydantic_class_and_a_factory_are_io_managers() -> None:
    stands = Store("s")
    with build_resources({"a": stands, "b": PydanticStore(base="x"), "c": Factory(base="f")}) as resources:
        assert resources.a is stands
        assert isinstance(resources.b, IOManager)
        assert resources.b.load_input("k") == "x/k"
        assert isinstance(resources.c, Store)
        assert resources.c.base == "f"
    with build_resources({"a": IOManagerDefinition.hardcoded_io_manager(stands)}) as resources:
        assert resources.a is stands


def test_pydantic_io_managers_are_resources_and_their_methods_must_be_written() -> None:
    assert is_resource_annotation(PydanticStore)

    class Half(ConfigurableIOManager):
        def load_input(self, context: Any) -> Any:
            return None

    with pytest.raises(TypeError, match="handle_output"):
        Half()  # type: ignore[abstract]


def test_a_function_loads_inputs() -> None:
    @input_manager
    def constant(context: Any) -> str:
        return f"loaded {context}"

    @input_manager(config_schema={"a": int})
    def delegating(context: Any) -> Any:
        return PydanticStore(base="d")

    class Loads(ConfigurableInputManager):
        def load_input(self, context: Any) -> Any:
            return 3

    resources = {"one": constant, "two": delegating.configured({"a": 1}), "three": Loads()}
    with build_resources(resources) as opened:
        assert isinstance(opened.one, InputManager)
        assert opened.one.load_input("x") == "loaded x"
        assert opened.two.load_input("x") == "d/x"
        assert opened.three.load_input("x") == 3
