"""The IO manager that is used where nobody chose one. ``orchord.io_managers`` installs it when it is imported.

IO managers stand above definitions, which bind this one to jobs without importing any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchord.errors import InvariantViolationError

if TYPE_CHECKING:
    from orchord.definitions.resources import ResourceDefinition

_factories: list[Callable[[], ResourceDefinition]] = []


def install(factory: Callable[[], ResourceDefinition]) -> None:
    """Set what gives the default IO manager's definition: the same one each time."""
    _factories[:] = [factory]


def default_io_manager() -> ResourceDefinition:
    """Return the definition of the default IO manager.

    Raises:
        InvariantViolationError: no IO managers have been imported.
    """
    if not _factories:
        raise InvariantViolationError(
            "No default IO manager is installed. Import `orchord`, not one of its inner modules alone."
        )
    return _factories[0]()


def is_default(definition: Any) -> bool:
    """Whether a resource is the default IO manager, and so nobody's choice."""
    return bool(_factories) and definition is _factories[0]()
