"""IO managers as definitions: what stores a step's outputs and loads them as another step's inputs.

The classes to subclass are re-exported from resources/; managers that store anything are in orchord/io_managers/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

from orchord.definitions.resources.definition import ResourceDefinition, definition_decorator
from orchord.definitions.resources.io_manager_classes import (
    ConfigurableInputManager,
    ConfigurableIOManager,
    ConfigurableIOManagerFactory,
    InputManager,
    IOManager,
)

__all__ = [
    "ConfigurableIOManager",
    "ConfigurableIOManagerFactory",
    "ConfigurableInputManager",
    "IOManager",
    "IOManagerDefinition",
    "InputManager",
    "InputManagerDefinition",
    "input_manager",
    "io_manager",
]


class InputManagerDefinition(ResourceDefinition):
    """How an input manager is made."""


class IOManagerDefinition(ResourceDefinition):
    """How an IO manager is made."""

    @staticmethod
    def hardcoded_io_manager(value: IOManager, description: str | None = None) -> ResourceDefinition:
        """Make a definition of an IO manager that stands already."""
        return ResourceDefinition.hardcoded_resource(value, description)


@overload
def io_manager(config_schema: Callable[..., Any]) -> IOManagerDefinition: ...
@overload
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Callable[[Callable[..., Any]], IOManagerDefinition]: ...
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make an IO manager's definition of the decorated function, which takes an InitResourceContext or nothing.

    Args:
        config_schema: What ``context.resource_config`` holds.
        description: For people; the function's docstring when it is not given.
        required_resource_keys: Resources that ``context.resources`` must hold.
        version: The version of the function's code.
    """
    return definition_decorator(IOManagerDefinition, config_schema, description, required_resource_keys, version)


class _LoadsByFunction(InputManager):
    """An input manager that is one function."""

    def __init__(self, load_fn: Callable[..., Any]) -> None:
        self._load_fn = load_fn

    def load_input(self, context: Any) -> Any:
        found = self._load_fn(context)
        # A function may return a manager instead of the value.
        return found.load_input(context) if isinstance(found, InputManager) else found


@overload
def input_manager(config_schema: Callable[..., Any]) -> InputManagerDefinition: ...
@overload
def input_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Callable[[Callable[..., Any]], InputManagerDefinition]: ...
def input_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make an input manager's definition of the decorated function, which takes an InputContext and returns the value.

    Args:
        config_schema: What ``context.resource_config`` holds.
        description: For people; the function's docstring when it is not given.
        required_resource_keys: Resources that ``context.resources`` must hold.
        version: The version of the function's code.
    """

    def define(load_fn: Callable[..., Any], *arguments: Any) -> InputManagerDefinition:
        made = InputManagerDefinition(lambda context: _LoadsByFunction(load_fn), *arguments)
        return made

    return definition_decorator(define, config_schema, description, required_resource_keys, version)
