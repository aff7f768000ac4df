"""ExecuteInProcessResult: what a run in this process made, its values and its events.

Questions to the events are in event_queries.py; making the run is execute.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.event_views import DagsterEvent
from orchord.errors import InvariantViolationError, did_you_mean
from orchord.execution.event_queries import EventQueries
from orchord.execution.graph_outputs import graph_output, node_output
from orchord.runs import Run, RunStatus

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition


@dataclass(frozen=True)
class ExecuteInProcessResult(EventQueries):
    """The result of ``execute_in_process``, ``materialize`` and ``materialize_to_memory``.

    Attributes:
        job_def: the job that was run.
        run: the run as it ended.
        all_events: every event of the run, in order.
        values: the value of each output that was made, by step key and output name.
    """

    job_def: JobDefinition
    run: Run
    all_events: Sequence[DagsterEvent]
    values: Mapping[tuple[str, str], Any]

    @property
    def success(self) -> bool:
        """Whether the run succeeded."""
        return self.run.status is RunStatus.SUCCESS

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def dagster_run(self) -> Run:
        """The run, by the field's name."""
        return self.run

    def output_for_node(self, node_str: str, output_name: str = "result") -> Any:
        """Return the value that a node made.

        Args:
            node_str: the node's name; inside a graph ``graph.node``. A graph's own name stands for its outputs.
            output_name: which output.

        Raises:
            InvariantViolationError: there is no such node or output, or it made no value in this run.
        """
        ref = node_output(self.job_def.graph, node_str, output_name)
        return self._value(ref.step_key, ref.output_name, f"output '{output_name}' of '{node_str}'")

    def output_value(self, output_name: str = "result") -> Any:
        """Return the value of an output of the job's graph.

        Raises:
            InvariantViolationError: the graph has no such output, or it has no value.
        """
        ref = graph_output(self.job_def.graph, output_name)
        return self._value(ref.step_key, ref.output_name, f"output '{output_name}' of the job")

    def asset_value(self, asset_key: CoercibleToAssetKey) -> Any:
        """Return the value of an asset that this run made.

        Raises:
            InvariantViolationError: the run made no value of it.
        """
        key = AssetKey.from_coercible(asset_key)
        layer = self.job_def.asset_layer
        made = {} if layer is None else {made: where for where, made in layer.outputs.items()}
        if key not in made:
            known = [one.to_user_string() for one in made]
            name = key.to_user_string()
            raise InvariantViolationError(
                f"Job '{self.job_def.name}' makes no asset '{name}'.{did_you_mean(name, known)}"
            )
        step_key, output_name = made[key]
        return self._value(step_key, output_name, f"asset '{key.to_user_string()}'")

    def _value(self, step_key: str, output_name: str, what: str) -> Any:
        if (step_key, output_name) in self.values:
            return self.values[step_key, output_name]
        raise InvariantViolationError(
            f"There is no value of {what} in this run: step '{step_key}' did not make it. "
            "Look at get_step_failure_events() and get_step_skipped_events()."
        )
