"""IOManager, InputManager and their pydantic forms: the classes that store outputs and load inputs.

Their definitions and decorators are in definitions/io_manager.py, which is where all of it is imported from.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from orchord.definitions.resources.configurable import ConfigurableResource, ConfigurableResourceFactory

if TYPE_CHECKING:
    from orchord.definitions.io_context import InputContext, OutputContext
    from orchord.definitions.resources.context import InitResourceContext


class InputManager(ABC):
    """Loads inputs."""

    @abstractmethod
    def load_input(self, context: "InputContext") -> Any:
        """Return the value of an input."""


class IOManager(InputManager):
    """Stores outputs, and loads them as inputs.

    Attributes:
        keeps_values_in_process: whether only the process that stored a value can load it. Such runs are refused where
            steps run in processes of their own.
    """

    keeps_values_in_process: ClassVar[bool] = False

    @abstractmethod
    def handle_output(self, context: "OutputContext", obj: Any) -> None:
        """Store the value of an output."""


class ConfigurableIOManager(ConfigurableResource["ConfigurableIOManager"], IOManager):
    """An IO manager whose config is its fields."""


class ConfigurableInputManager(ConfigurableResource["ConfigurableInputManager"], InputManager):
    """An input manager whose config is its fields."""


class ConfigurableIOManagerFactory(ConfigurableResourceFactory[IOManager]):
    """Config, as fields, from which an IO manager is made: write ``create_io_manager``."""

    @abstractmethod
    def create_io_manager(self, context: "InitResourceContext") -> IOManager:
        """Return the IO manager."""

    def create_resource(self, context: "InitResourceContext") -> IOManager:
        """Return the IO manager."""
        return self.create_io_manager(context)
