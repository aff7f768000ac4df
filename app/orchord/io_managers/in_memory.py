"""Values kept in this process's memory: for tests and in-process runs, where nothing need outlive the process.

A worker cannot see another worker's memory; values that cross processes belong in filesystem.py or a store.
"""

from __future__ import annotations

from typing import Any, ClassVar

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import IOManager, io_manager
from orchord.definitions.resources import InitResourceContext
from orchord.errors import InvariantViolationError


class InMemoryIOManager(IOManager):
    """Keeps values in ``values``: assets by the parts of their key, outputs by run, step and name."""

    keeps_values_in_process: ClassVar[bool] = True

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep a value."""
        self.values[_key(context, context)] = obj

    def load_input(self, context: InputContext) -> Any:
        """Return the value that was kept: the object itself, not a copy.

        Raises:
            InvariantViolationError: this manager was never given the value.
        """
        key = _key(context, context.upstream_output)
        try:
            return self.values[key]
        except KeyError:
            raise InvariantViolationError(
                f"No value is in memory for {'/'.join(key)}. It was made by another process or IO manager, or not at "
                "all: make it in the same in-process run, or use an IO manager that stores values."
            ) from None


@io_manager(description="Keeps values in the memory of one process.")
def mem_io_manager(context: InitResourceContext) -> InMemoryIOManager:
    """Make an InMemoryIOManager."""
    return InMemoryIOManager()


def _key(context: InputContext | OutputContext, output: OutputContext | None) -> tuple[str, ...]:
    if context.has_asset_key:
        return tuple(context.get_asset_identifier())
    return tuple((output or context).get_identifier())
