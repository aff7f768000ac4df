"""The resources of a whole in-process run: set up before its first step, torn down after its last.

Resources of one step alone are step_resources.py; what they are is definitions/resources/.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.resources import open_resources
from orchord.events import Event, EventType
from orchord.execution.error_info import error_info
from orchord.execution.journal import Journal
from orchord.execution.logs import StepLogger

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig
    from orchord.execution.masking import Masker
    from orchord.plan.model import ExecutionPlan
    from orchord.runs import Run


@dataclass(frozen=True, slots=True)
class ResourceFault:
    """Stands for resources that could not be set up: each step that would have had them fails with the error."""

    error: BaseException


class RunResources:
    """Opens what the steps of a plan need, when the first of them starts."""

    def __init__(
        self,
        job: JobDefinition,
        run: Run,
        plan: ExecutionPlan,
        resolved: ResolvedRunConfig,
        instance: Any,
        masker: Masker,
        emit_live: Callable[[Event], None] | None,
    ) -> None:
        self._job, self._run, self._plan, self._resolved, self._instance = job, run, plan, resolved, instance
        self._journal = Journal(None, masker, emit_live)
        self._opening: AbstractContextManager[Any] | None = None
        self._resources: Any = None

    def opened(self) -> tuple[Any, tuple[Event, ...]]:
        """Return the resources, or a ResourceFault; and the events of setting them up, the first time."""
        if self._resources is not None:
            return self._resources, ()
        keys = frozenset(key for step in self._plan.steps for key in step.resource_keys)
        told = sorted(keys - {DEFAULT_IO_MANAGER_KEY})
        opening = open_resources(
            self._job.resource_defs,
            self._resolved.resources,
            keys,
            run=self._run,
            instance=self._instance,
            log=StepLogger(self._job.name, self._journal),
        )
        if told:
            self._tell(EventType.RESOURCE_INIT_STARTED, "Starting to set up", told)
        try:
            self._resources = opening.__enter__()
            self._opening = opening
        except Exception as error:  # noqa: BLE001 - the boundary to user code
            self._note_error(EventType.RESOURCE_INIT_FAILURE, "Could not set up resources", error)
            self._resources = ResourceFault(error)
        else:
            if told:
                self._tell(EventType.RESOURCE_INIT_SUCCESS, "Finished setting up", told)
        return self._resources, self._taken()

    def close(self) -> tuple[Event, ...]:
        """Tear down what was set up, and return the events of it. A mistake there fails nothing."""
        opening, self._opening = self._opening, None
        if opening is not None:
            try:
                opening.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - the boundary to user code
                self._note_error(EventType.ENGINE_EVENT, "A resource could not be torn down", error)
        return self._taken()

    def _taken(self) -> tuple[Event, ...]:
        events = tuple(self._journal.events)
        self._journal.events.clear()
        return events

    def _tell(self, type_: EventType, verb: str, keys: list[str]) -> None:
        self._journal.add(type_, f"{verb} resources: {', '.join(keys)}", {"resources": keys})

    def _note_error(self, type_: EventType, what: str, error: BaseException) -> None:
        info = error_info(error, self._journal.masker)
        data = {"error": msgspec.to_builtins(info)}
        self._journal.add(type_, f"{what}: {info.cls_name}: {info.message}", data, level=logging.ERROR)
