"""The IO manager of jobs for which nobody named one: a door, as engine.py is, since IO managers stand above this.

``orchord.io_managers`` installs itself here when it is imported, and is imported by name when it is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchord.definitions.resources.definition import ResourceDefinition

_INSTALLER = "orchord.io_managers"
_installed: list[Callable[[], ResourceDefinition]] = []


def install(factory: Callable[[], ResourceDefinition]) -> None:
    """Set what makes the default IO manager."""
    _installed[:] = [factory]


def default_io_manager() -> ResourceDefinition | None:
    """Return the default IO manager, or None when nothing installs one."""
    if not _installed:
        importlib.import_module(_INSTALLER)
    return _installed[0]() if _installed else None


def is_default(resource: Any) -> bool:
    """Whether a resource is the default IO manager, and so was named by nobody."""
    return bool(_installed) and resource is _installed[0]()
