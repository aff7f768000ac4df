"""Questions to the events of a finished run: which steps succeeded, what a node materialized, why one failed.

The values that the run made are result.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchord.definitions.assets.results import AssetMaterialization, AssetObservation
from orchord.definitions.event_views import DagsterEvent, StepFailureData
from orchord.errors import InvariantViolationError
from orchord.events import EventType


class _Events:
    """The events of a run, and those of one node or type.

    Attributes:
        all_events: every event of the run, in order.
    """

    all_events: Sequence[DagsterEvent]

    @property
    def all_node_events(self) -> list[DagsterEvent]:
        """The events of steps."""
        return [event for event in self.all_events if event.step_key is not None]

    def filter_events(self, event_filter: Callable[[DagsterEvent], bool]) -> list[DagsterEvent]:
        """Return the events for which a function is true."""
        return [event for event in self.all_events if event_filter(event)]

    def events_for_node(self, node_name: str) -> list[DagsterEvent]:
        """Return the events of a node; of a graph's node, those of all steps inside it. Inner nodes: ``a.b``."""
        return [event for event in self.all_node_events if _is_within(event.step_key, node_name)]

    def _of(self, type_: EventType) -> list[DagsterEvent]:
        return [event for event in self.all_events if event.type == type_]

    def _has(self, type_: EventType, node_name: str) -> bool:
        return any(event.type == type_ for event in self.events_for_node(node_name))


class AssetEventQueries(_Events):
    """What can be asked of the asset events of a run."""

    def get_asset_materialization_events(self) -> list[DagsterEvent]:
        """Return the events of materializations."""
        return self._of(EventType.ASSET_MATERIALIZATION)

    def get_asset_observation_events(self) -> list[DagsterEvent]:
        """Return the events of observations."""
        return self._of(EventType.ASSET_OBSERVATION)

    def asset_materializations_for_node(self, node_name: str) -> list[AssetMaterialization]:
        """Return what a node materialized."""
        found = (event.asset_materialization for event in self.events_for_node(node_name))
        return [one for one in found if one is not None]

    def asset_observations_for_node(self, node_name: str) -> list[AssetObservation]:
        """Return what a node observed."""
        found = (event.asset_observation for event in self.events_for_node(node_name))
        return [one for one in found if one is not None]


class EventQueries(AssetEventQueries):
    """What can be asked of the events of a run."""

    def is_node_success(self, node_name: str) -> bool:
        """Whether a node's step succeeded."""
        return self._has(EventType.STEP_SUCCESS, node_name)

    def is_node_failed(self, node_name: str) -> bool:
        """Whether a node's step failed for good."""
        return self._has(EventType.STEP_FAILURE, node_name)

    def is_node_skipped(self, node_name: str) -> bool:
        """Whether a node's step was skipped."""
        return self._has(EventType.STEP_SKIPPED, node_name)

    def retry_attempts_for_node(self, node_name: str) -> int:
        """Return how often a node's step was tried again."""
        return sum(event.type == EventType.STEP_RESTARTED for event in self.events_for_node(node_name))

    def failure_data_for_node(self, node_name: str) -> StepFailureData | None:
        """Return why a node failed: its ``error``, and ``user_failure_data`` where a Failure was raised; or None."""
        found = (event.step_failure_data for event in self.events_for_node(node_name))
        return next((one for one in found if one is not None), None)

    def get_step_success_events(self) -> list[DagsterEvent]:
        """Return the events of steps that succeeded."""
        return self._of(EventType.STEP_SUCCESS)

    def get_step_failure_events(self) -> list[DagsterEvent]:
        """Return the events of steps that failed."""
        return self._of(EventType.STEP_FAILURE)

    def get_step_skipped_events(self) -> list[DagsterEvent]:
        """Return the events of steps that were skipped."""
        return self._of(EventType.STEP_SKIPPED)

    def get_job_success_event(self) -> DagsterEvent:
        """Return the event that the run succeeded.

        Raises:
            InvariantViolationError: it did not.
        """
        return self._end(EventType.RUN_SUCCESS, "succeed")

    def get_job_failure_event(self) -> DagsterEvent:
        """Return the event that the run failed.

        Raises:
            InvariantViolationError: it did not.
        """
        return self._end(EventType.RUN_FAILURE, "fail")

    get_run_success_event = get_job_success_event
    get_run_failure_event = get_job_failure_event

    def _end(self, type_: EventType, verb: str) -> DagsterEvent:
        ends = self._of(type_)
        if not ends:
            raise InvariantViolationError(f"The run did not {verb}: its last event is {self.all_events[-1].type}.")
        return ends[-1]

    def get_failed_step_keys(self) -> set[str]:
        """Return the keys of steps that failed."""
        return {event.step_key for event in self.get_step_failure_events() if event.step_key is not None}


def _is_within(step_key: str | None, node_name: str) -> bool:
    return step_key is not None and (step_key == node_name or step_key.startswith(f"{node_name}."))
