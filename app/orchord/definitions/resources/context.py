"""InitResourceContext: what a resource's function is given.

Building one for a test is building.py; setting up all resources that a step needs is opening.py.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchord.definitions.resources.values import Resources

if TYPE_CHECKING:
    from orchord.definitions.resources.definition import ResourceDefinition
    from orchord.runs import Run

_LOGGER = logging.getLogger("orchord.resources")


class InitResourceContext:
    """What a resource may use while it is set up and torn down.

    Attributes:
        resource_config: Its config, checked, with defaults.
        resource_def: Its definition.
        resources: The resources that it requires.
        log: A logger; in a run its records are the step's events.
        run: The run, or None outside of one.
        run_id: The run's id, or None.
        instance: The instance, or None.
        all_resource_defs: Every resource definition of the job, by key.
    """

    def __init__(
        self,
        resource_config: Any = None,
        resources: Resources | None = None,
        resource_def: ResourceDefinition | None = None,
        all_resource_defs: Mapping[str, ResourceDefinition] | None = None,
        instance: Any = None,
        run: Run | None = None,
        log: Any = None,
    ) -> None:
        self.resource_config = resource_config
        self.resource_def = resource_def
        self.resources = Resources({}) if resources is None else resources
        self.all_resource_defs = dict(all_resource_defs or {})
        self.instance = instance
        self.run = run
        self.log = _LOGGER if log is None else log

    @property
    def dagster_run(self) -> Run | None:
        """The run, by the name that Dagster's users know."""
        return self.run

    @property
    def run_id(self) -> str | None:
        """The run's id, or None outside of a run."""
        return None if self.run is None else self.run.run_id

    @property
    def log_manager(self) -> Any:
        """The logger, by an older name."""
        return self.log

    def replace_config(self, config: Any) -> InitResourceContext:
        """Return a copy with another config."""
        made = copy.copy(self)
        made.resource_config = config
        return made

    def __repr__(self) -> str:
        return f"InitResourceContext(run_id={self.run_id!r}, resources={self.resources!r})"
