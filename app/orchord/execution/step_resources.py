"""The resources of one step: set up before it, torn down after it, with the events that say so.

How resources are ordered and initialised is definitions/resources/; resources of a whole in-process run are opened
in in_process.py.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec

from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.resources import open_resources
from orchord.events import EventType
from orchord.execution.error_info import error_info
from orchord.execution.scope import StepScope


class StepResources:
    """Opens what one step needs. ``set_up`` and, if it succeeded, ``tear_down`` are called once each."""

    def __init__(self, scope: StepScope) -> None:
        self._scope = scope
        keys = frozenset(scope.step.resource_keys)
        self._told = sorted(keys - {DEFAULT_IO_MANAGER_KEY})
        self._opening = open_resources(
            scope.job.resource_defs,
            scope.resolved.resources,
            keys,
            run=scope.run,
            instance=scope.instance,
            log=scope.log,
        )

    def set_up(self) -> Any:
        """Return the resources. Events are written only for a step that has others than the default IO manager."""
        self._tell(EventType.RESOURCE_INIT_STARTED, "Starting to set up")
        try:
            resources = self._opening.__enter__()
        except BaseException as error:
            info = error_info(error, self._scope.journal.masker)
            self._scope.journal.add(
                EventType.RESOURCE_INIT_FAILURE,
                f"Could not set up resources: {info.message}",
                {"error": msgspec.to_builtins(info)},
                level=logging.ERROR,
            )
            raise
        self._tell(EventType.RESOURCE_INIT_SUCCESS, "Finished setting up")
        return resources

    def tear_down(self) -> None:
        """Tear the resources down. A mistake there is told and does not undo what the step has done."""
        try:
            self._opening.__exit__(*sys.exc_info())
        except Exception as error:  # noqa: BLE001 - the boundary to user code
            info = error_info(error, self._scope.journal.masker)
            self._scope.journal.add(
                EventType.ENGINE_EVENT,
                f"A resource could not be torn down: {info.cls_name}: {info.message}",
                {"error": msgspec.to_builtins(info)},
                level=logging.ERROR,
            )

    def _tell(self, type_: EventType, verb: str) -> None:
        if self._told:
            self._scope.journal.add(type_, f"{verb} resources: {', '.join(self._told)}", {"resources": self._told})
