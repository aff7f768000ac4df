"""What a running op or asset is told, and what it may say: ``OpExecutionContext`` and ``AssetExecutionContext``.

The same classes serve steps of a run (made in step.py) and direct calls (made by the builders in build_context.py).
Members that speak of assets are in asset_members.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.io_context import note_metadata
from orchord.definitions.metadata import MetadataValue
from orchord.definitions.node import Node
from orchord.errors import InvariantViolationError, did_you_mean
from orchord.execution.asset_members import AssetMembers
from orchord.execution.expectations import ExpectationResult
from orchord.execution.step_assets import NO_ASSETS, StepAssets
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.op import OpDefinition
    from orchord.instance import OrchordInstance

_current: ContextVar[OpExecutionContext | None] = ContextVar("orchord_execution_context", default=None)


@dataclass(slots=True)
class Said:
    """What a body said through its context: metadata by output name, events, and data versions by asset."""

    metadata: dict[str, dict[str, MetadataValue]] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    data_versions: dict[Any, str] = field(default_factory=dict)
    listener: Callable[[Any], None] | None = None


class OpExecutionContext(AssetMembers):
    """What the body of an op is given as ``context``.

    Attributes:
        run: the run. ``run_id``, ``run_config`` and ``run_tags`` are its own.
        job_name: the job's name.
        op_config: the op's config, defaults filled in.
        resources: the resources that the op requires, by attribute.
        log: a logger; its records become events of the run.
        instance: the instance that the run belongs to.
        retry_number: how often the step has been retried, from 0.
        step_key: the step.
    """

    def __init__(
        self,
        *,
        run: Run,
        op_def: OpDefinition | None,
        step_key: str,
        op_config: Any,
        resources: Any,
        log: logging.Logger,
        instance: Any,
        retry_number: int = 0,
        job_def: JobDefinition | None = None,
        assets: StepAssets = NO_ASSETS,
        said: Said | None = None,
    ) -> None:
        self.run = run
        self.step_key = step_key
        self.op_config = op_config
        self.resources = resources
        self.log = log
        self.instance: OrchordInstance = instance
        self.retry_number = retry_number
        self._op_def = op_def
        self._job_def = job_def
        self._assets = assets
        self._said = said or Said()

    @staticmethod
    def get() -> OpExecutionContext:
        """Return the context of the step that is running in this thread or task.

        Raises:
            InvariantViolationError: none is running.
        """
        context = _current.get()
        if context is None:
            raise InvariantViolationError("No op or asset is running here, so there is no context.")
        return context

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def run_config(self) -> Mapping[str, Any]:
        """The run's config, as given."""
        return self.run.run_config

    @property
    def run_tags(self) -> Mapping[str, str]:
        """The run's tags."""
        return self.run.tags

    @property
    def dagster_run(self) -> Run:
        """The run, by the field's name."""
        return self.run

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.run.job_name

    @property
    def job_def(self) -> JobDefinition:
        """The job's definition."""
        if self._job_def is None:
            raise InvariantViolationError("There is no job here: the op is called directly, outside a run.")
        return self._job_def

    @property
    def op_def(self) -> OpDefinition:
        """The op's definition."""
        if self._op_def is None:
            raise InvariantViolationError("This context belongs to no op yet. Call the op with it first.")
        return self._op_def

    @property
    def op(self) -> Node[OpDefinition]:
        """The op as it is used in its graph: ``op.name`` is its alias where it has one."""
        if self._job_def is None:
            return Node(self.op_def.name, self.op_def)
        return self._job_def.node_at(self.step_key)

    def has_tag(self, key: str) -> bool:
        """Whether the run has a tag of this name."""
        return key in self.run.tags

    def get_tag(self, key: str) -> str | None:
        """Return the value of a tag of the run, or None."""
        return self.run.tags.get(key)

    def log_event(self, event: Any) -> None:
        """Record an event now: AssetMaterialization, AssetObservation or ExpectationResult.

        Raises:
            InvariantViolationError: it is something else.
        """
        if not isinstance(event, (AssetMaterialization, AssetObservation, ExpectationResult)):
            raise InvariantViolationError(
                f"log_event takes AssetMaterialization, AssetObservation or ExpectationResult, not {event!r}. "
                "Return or yield anything else from the body."
            )
        self._said.events.append(event)
        if self._said.listener is not None:
            self._said.listener(event)

    def get_events(self) -> list[Any]:
        """Return what ``log_event`` was given, in order."""
        return list(self._said.events)

    def add_output_metadata(self, metadata: Mapping[str, Any], output_name: str | None = None) -> None:
        """Add metadata to an output before it is returned or yielded.

        Args:
            metadata: values by name.
            output_name: which output; may be left out when there is one.

        Raises:
            InvariantViolationError: there are several outputs, none of that name, or a name is given twice.
        """
        name = self._output_name(output_name)
        note_metadata(self._said.metadata.setdefault(name, {}), metadata, f"output '{name}'")

    def get_output_metadata(self, output_name: str) -> Mapping[str, MetadataValue]:
        """Return the metadata that was added to an output so far."""
        return self._said.metadata.get(output_name, {})

    def _output_name(self, name: str | None) -> str:
        names = list(self.op_def.outs)
        if name is None and len(names) == 1:
            return names[0]
        if name is None:
            raise InvariantViolationError(
                f"Op '{self.op_def.name}' has {len(names)} outputs, so say which one: output_name= one of "
                f"{', '.join(names)}."
            )
        if name not in names:
            raise InvariantViolationError(f"Op '{self.op_def.name}' has no output '{name}'.{did_you_mean(name, names)}")
        return name


class AssetExecutionContext(OpExecutionContext):
    """What the body of an asset is given as ``context``: all that an op is given, with the assets it makes."""

    @property
    def op_execution_context(self) -> OpExecutionContext:
        """The same context, seen as an op's."""
        return self


def enter(context: OpExecutionContext) -> Token[OpExecutionContext | None]:
    """Make this the context that ``OpExecutionContext.get()`` returns; ``leave`` undoes it."""
    return _current.set(context)


def leave(token: Token[OpExecutionContext | None]) -> None:
    """Undo ``enter``."""
    _current.reset(token)
