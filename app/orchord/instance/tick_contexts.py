"""What a tick's evaluation is given: the context of a schedule, a sensor, or a sensor on runs, made of what is stored.

The contexts themselves are in definitions/; evaluation.py calls the user's function with them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from orchord.definitions.asset_sensors import MultiAssetSensorDefinition
from orchord.definitions.event_views import DagsterEvent
from orchord.definitions.multi_asset_context import MultiAssetSensorEvaluationContext
from orchord.definitions.resources.opening import needed_resource_keys
from orchord.definitions.run_status_sensors import RunStatusSensorContext, RunStatusSensorDefinition
from orchord.definitions.schedules import ScheduleDefinition, ScheduleEvaluationContext
from orchord.definitions.sensor_definition import SensorDefinition, SensorEvaluationContext
from orchord.events import utc_now
from orchord.runs import Run
from orchord.ticks import Tick

if TYPE_CHECKING:
    from orchord.definitions.repository import Repository
    from orchord.instance.instance import OrchordInstance

# More records of one tick are left out: they are kept in the tick's own row.
MAX_LOG_RECORDS = 500

_EVENT_OF_STATUS = {
    "QUEUED": "RUN_ENQUEUED",
    "STARTING": "RUN_STARTING",
    "STARTED": "RUN_START",
}


class TickLog(logging.Handler):
    """Keeps what ``context.log`` is told, as data. Its logger's records go on to the process's own log, too."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[dict[str, Any]] = []
        self.logger = logging.Logger(f"orchord.ticks.{name}", logging.DEBUG)
        self.logger.parent = logging.getLogger("orchord.ticks")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if len(self.records) < MAX_LOG_RECORDS:
            moment = utc_now().isoformat()
            self.records.append({"level": record.levelname, "message": record.getMessage(), "timestamp": moment})


def schedule_context(
    instance: OrchordInstance, repository: Repository, schedule: ScheduleDefinition, tick: Tick, log: TickLog
) -> ScheduleEvaluationContext:
    """Return the context of a schedule's tick. The planned time is in the schedule's own time zone."""
    planned: datetime = tick.planned_at.astimezone(ZoneInfo(schedule.execution_timezone))
    return ScheduleEvaluationContext(instance, planned, _resources(repository, schedule), log.logger)


def sensor_context(
    instance: OrchordInstance,
    repository: Repository,
    sensor: SensorDefinition,
    tick: Tick,
    log: TickLog,
    may_go_on: Callable[[], bool],
) -> SensorEvaluationContext:
    """Return the context of a sensor's tick, with what its last ticks left behind."""
    state = instance.storage.instigators.state(tick.key)
    options: dict[str, Any] = {
        "instance": instance,
        "cursor": tick.cursor if tick.is_dry_run and tick.cursor is not None else state.cursor,
        "sensor_name": sensor.name,
        "resources": _resources(repository, sensor),
        "log": log.logger,
        "last_run_key": state.last_run_key,
        "last_tick_completion_time": state.last_tick_ended_at,
        "last_sensor_start_time": state.started_at,
        "repository_name": tick.key.location,
        "payload": tick.payload,
        "may_go_on": may_go_on,
    }
    if isinstance(sensor, MultiAssetSensorDefinition):
        monitored = sorted(sensor.monitored_selection.resolve(repository.asset_graph))
        return MultiAssetSensorEvaluationContext(monitored, **options)
    return SensorEvaluationContext(**options)


def run_status_context(
    instance: OrchordInstance, repository: Repository, sensor: RunStatusSensorDefinition, tick: Tick, log: TickLog
) -> RunStatusSensorContext | None:
    """Return the context of a tick on a run that has changed its status, or None when the run has been deleted.

    The run has the status by which it came to the sensor, also when it has gone on since.
    """
    payload = tick.payload or {}
    run = instance.storage.runs.find(str(payload.get("run_id", "")))
    if run is None:
        return None
    event = _event_of(instance, run, sensor.run_status.value)
    return RunStatusSensorContext(sensor.name, run, event, instance, _resources(repository, sensor), log.logger)


def _event_of(instance: OrchordInstance, run: Run, status: str) -> DagsterEvent | None:
    kind = _EVENT_OF_STATUS.get(status, f"RUN_{status}")
    events = instance.get_events(run.run_id, types=[kind], limit=1)
    return DagsterEvent(events[0].event, run.job_name) if events else None


def _resources(repository: Repository, definition: ScheduleDefinition | SensorDefinition) -> dict[str, Any]:
    """Return the resources that a schedule or sensor names with what those need; all, if it names none.

    They are set up when they are first asked for: one that names none may still ask its context for some.
    """
    defs = repository.resource_defs
    if not definition.required_resource_keys:
        return dict(defs)
    needed, _ = needed_resource_keys(defs, definition.required_resource_keys)
    return {key: defs[key] for key in needed if key in defs}
