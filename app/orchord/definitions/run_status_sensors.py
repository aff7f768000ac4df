"""Sensors on runs: ``@run_status_sensor`` is called for runs that reached a status, ``@run_failure_sensor`` for failed.

Which runs those are is the daemon's to find; here a sensor is called for one run. In general: sensor_definition.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, overload

from orchord.definitions.event_views import DagsterEvent
from orchord.definitions.requests import TickData
from orchord.definitions.sensor_definition import DefaultSensorStatus, SensorDefinition, SensorType, decorating
from orchord.definitions.tick import TickContext, read_result, requests_for_jobs
from orchord.errors import InvariantViolationError
from orchord.events import EventType
from orchord.runs import Run, RunStatus


class RunStatusSensorContext(TickContext):
    """What a run status sensor's function is given: the run, and the event that ended or moved it."""

    def __init__(
        self,
        sensor_name: str,
        dagster_run: Run,
        dagster_event: Any = None,
        instance: Any = None,
        resources: Mapping[str, Any] | None = None,
        log: Any = None,
    ) -> None:
        super().__init__(instance, resources, log)
        self.sensor_name = sensor_name
        self.dagster_run = dagster_run
        self.dagster_event = dagster_event

    def for_run_failure(self) -> RunFailureSensorContext:
        """Return the context as that of a run failure sensor."""
        return RunFailureSensorContext(
            self.sensor_name, self.dagster_run, self.dagster_event, self._instance, self._resource_defs, self._log
        )


class RunFailureSensorContext(RunStatusSensorContext):
    """What a run failure sensor's function is given."""

    @property
    def failure_event(self) -> Any:
        """The event that says that the run failed."""
        return self.dagster_event

    def get_step_failure_events(self) -> list[DagsterEvent]:
        """Return the events that say which steps failed, from the instance."""
        entries = self.instance.get_events(self.dagster_run.run_id, types=[EventType.STEP_FAILURE])
        return [DagsterEvent(entry.event, self.dagster_run.job_name) for entry in entries]


def build_run_status_sensor_context(
    sensor_name: str,
    dagster_event: Any = None,
    dagster_instance: Any = None,
    dagster_run: Run | None = None,
    resources: Mapping[str, Any] | None = None,
) -> RunStatusSensorContext:
    """Build a context to call a run status sensor with in a test.

    Raises:
        InvariantViolationError: no run is given.
    """
    if dagster_run is None:
        raise InvariantViolationError("build_run_status_sensor_context needs dagster_run=, such as result.run.")
    return RunStatusSensorContext(sensor_name, dagster_run, dagster_event, dagster_instance, resources)


class RunStatusSensorDefinition(SensorDefinition):
    """A sensor that is called once for each run that reaches a status.

    Args:
        name: its name; the function's when left out.
        run_status: the status.
        run_status_sensor_fn: takes a RunStatusSensorContext; may do anything, or give what any sensor gives.
        monitored_jobs: only runs of these jobs (jobs or names); default: all of the location.
        monitor_all_code_locations: runs of all locations.
        request_job: the job that it starts; ``request_jobs`` for several.
        request_jobs: see ``request_job``.
        options: what SensorDefinition takes.
    """

    sensor_type: ClassVar[SensorType] = SensorType.RUN_STATUS
    context_cls: ClassVar[type[TickContext]] = RunStatusSensorContext

    def __init__(
        self,
        name: str | None = None,
        *,
        run_status: RunStatus,
        run_status_sensor_fn: Callable[..., Any],
        monitored_jobs: Sequence[Any] | None = None,
        monitor_all_code_locations: bool = False,
        request_job: Any = None,
        request_jobs: Sequence[Any] | None = None,
        **options: Any,
    ) -> None:
        self.run_status = RunStatus(run_status)
        self.monitor_all_code_locations = monitor_all_code_locations
        super().__init__(name, evaluation_fn=run_status_sensor_fn, job=request_job, jobs=request_jobs, **options)
        monitored = [getattr(job, "name", job) for job in monitored_jobs or ()]
        self.monitored_job_names: tuple[str, ...] = tuple(dict.fromkeys(monitored))
        self.monitored_jobs = [job for job in monitored_jobs or () if not isinstance(job, str)]

    def evaluate_run(self, context: RunStatusSensorContext) -> TickData:
        """Call the function for one run; return the runs that it asks for, if any.

        One that returns nothing has done its work, such as to send a message: that is no skip.
        """
        what = f"Sensor '{self.name}'"
        result = self._function.call(self._fitting(context))
        if result is None:
            return TickData(is_done=True)
        tick = requests_for_jobs(read_result(result, what), self.job_names, what)
        return tick.with_requests([request.with_tags(self.tags) for request in tick.run_requests])

    def _fitting(self, context: RunStatusSensorContext) -> RunStatusSensorContext:
        return context


class RunFailureSensorDefinition(RunStatusSensorDefinition):
    """A run status sensor for failed runs, whose function takes a RunFailureSensorContext."""

    def _fitting(self, context: RunStatusSensorContext) -> RunStatusSensorContext:
        return context if isinstance(context, RunFailureSensorContext) else context.for_run_failure()


def run_status_sensor(
    run_status: RunStatus,
    *,
    name: str | None = None,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    monitored_jobs: Sequence[Any] | None = None,
    monitor_all_code_locations: bool = False,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    request_job: Any = None,
    request_jobs: Sequence[Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> Callable[[Callable[..., Any]], RunStatusSensorDefinition]:
    """Make a sensor of a function that is called for each run that reaches a status.

    The function takes a RunStatusSensorContext, and parameters annotated with resource classes. See
    RunStatusSensorDefinition and SensorDefinition for the arguments.
    """
    decorating("run_status_sensor", run_status)

    def define(function: Callable[..., Any]) -> RunStatusSensorDefinition:
        return RunStatusSensorDefinition(
            name,
            run_status=run_status,
            run_status_sensor_fn=function,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            monitored_jobs=monitored_jobs,
            monitor_all_code_locations=monitor_all_code_locations,
            default_status=default_status,
            request_job=request_job,
            request_jobs=request_jobs,
            tags=tags,
            metadata=metadata,
            owners=owners,
            timeout_seconds=timeout_seconds,
        )

    return define


@overload
def run_failure_sensor(name: Callable[..., Any]) -> RunFailureSensorDefinition: ...
@overload
def run_failure_sensor(
    name: str | None = None,
    *,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    monitored_jobs: Sequence[Any] | None = None,
    monitor_all_code_locations: bool = False,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    request_job: Any = None,
    request_jobs: Sequence[Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> Callable[[Callable[..., Any]], RunFailureSensorDefinition]: ...
def run_failure_sensor(
    name: str | Callable[..., Any] | None = None,
    *,
    minimum_interval_seconds: int | None = None,
    description: str | None = None,
    monitored_jobs: Sequence[Any] | None = None,
    monitor_all_code_locations: bool = False,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
    request_job: Any = None,
    request_jobs: Sequence[Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> RunFailureSensorDefinition | Callable[[Callable[..., Any]], RunFailureSensorDefinition]:
    """Make a sensor of a function that is called for each run that failed. Use it with or without parentheses.

    The function takes a RunFailureSensorContext. See ``run_status_sensor`` for the arguments.
    """

    def define(function: Callable[..., Any]) -> RunFailureSensorDefinition:
        return RunFailureSensorDefinition(
            None if callable(name) else name,
            run_status=RunStatus.FAILURE,
            run_status_sensor_fn=function,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            monitored_jobs=monitored_jobs,
            monitor_all_code_locations=monitor_all_code_locations,
            default_status=default_status,
            request_job=request_job,
            request_jobs=request_jobs,
            tags=tags,
            metadata=metadata,
            owners=owners,
            timeout_seconds=timeout_seconds,
        )

    return define(name) if callable(name) else define
