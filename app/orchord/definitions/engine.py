"""The door by which definitions reach the engine above them, so that ``job.execute_in_process()`` can exist.

Definitions are pure and import nothing that executes. ``orchord.execution`` installs itself here when it is imported,
and is imported by name when it is first asked for: a process that only reads definitions never loads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.execution.result import ExecuteInProcessResult


class Engine(Protocol):
    """What executes definitions in this process."""

    def invoke(self, definition: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call an op or asset directly, as a plain function, with its context and types checked."""

    def execute_job(
        self,
        job: JobDefinition,
        *,
        run_config: Any,
        instance: Any,
        resources: Mapping[str, Any] | None,
        raise_on_error: bool,
        op_selection: Sequence[str] | None,
        asset_selection: Sequence[Any] | None,
        run_id: str | None,
        input_values: Mapping[str, Any] | None,
        tags: Mapping[str, str] | None,
    ) -> ExecuteInProcessResult:
        """Run a whole job in this process and return its result."""


_INSTALLER = "orchord.execution"
_installed: list[Engine] = []


def install(engine: Engine) -> None:
    """Set the engine. Called once, by the package that executes."""
    _installed[:] = [engine]


def engine() -> Engine:
    """Return the engine that executes definitions."""
    if not _installed:
        importlib.import_module(_INSTALLER)
    return _installed[0]
