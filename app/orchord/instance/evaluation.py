"""Evaluating a tick: the user's function called inside one boundary, and what it asks for turned into runs to record.

Nothing is written here: the result is the tick's end, which goes into one transaction (storage/tick_end.py). Claiming
ticks, time limits and handing runs over are the tick workers'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.definitions.requests import RunRequest, TickData
from orchord.definitions.run_status_sensors import RunStatusSensorDefinition
from orchord.definitions.schedules import ScheduleDefinition
from orchord.definitions.sensor_definition import SensorDefinition
from orchord.errors import InvalidConfigError, NotFoundError, OrchordError, StorageUnavailableError, did_you_mean
from orchord.events import ErrorInfo, Event, utc_now
from orchord.execution.error_info import error_info
from orchord.execution.masking import Masker
from orchord.instance.launch import LaunchRequest, PreparedRun, prepare
from orchord.instance.reading import runless_event
from orchord.instance.tick_contexts import TickLog, run_status_context, schedule_context, sensor_context
from orchord.settings import environment_value
from orchord.storage.values import TickEnd
from orchord.ticks import InstigatorKind, Tick, TickStatus

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance
    from orchord.location import CodeLocation

SCHEDULE_NAME_TAG = "orchord/schedule_name"
SENSOR_NAME_TAG = "orchord/sensor_name"
TICK_TAG = "orchord/tick"
SCHEDULED_EXECUTION_TIME_TAG = "orchord/scheduled_execution_time"


class TickTimeLimitExceeded(BaseException):
    """The evaluation took too long. Not an Exception, so that user code does not swallow it by accident."""


@dataclass(frozen=True)
class Evaluation:
    """What a tick came to: its end as it is to be written, the runs that it makes, and whether more waits already."""

    end: TickEnd
    prepared: tuple[PreparedRun, ...] = ()
    has_more: bool = False


def evaluate(
    instance: OrchordInstance,
    code: CodeLocation,
    tick: Tick,
    *,
    limit: AbstractContextManager[Any] | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> Evaluation:
    """Evaluate a tick that this process has claimed. Whatever user code does becomes the tick's end.

    Args:
        instance: where to.
        code: the location's code as this process has loaded it.
        tick: a STARTED tick with its token.
        limit: holds user code to the time limit: raises TickTimeLimitExceeded in it.
        may_go_on: whether there is time for more work in this evaluation.

    Raises:
        StorageUnavailableError: what the evaluation needs could not be read; the tick is as it was.
    """
    assert tick.token is not None
    log = TickLog(tick.key.name)
    data: dict[str, Any] = {}
    error: ErrorInfo | None = None
    found: TickData | None = None
    moves_cursor = False
    prepared: tuple[PreparedRun, ...] = ()
    events: tuple[Event, ...] = ()
    try:
        with limit if limit is not None else nullcontext():
            found, moves_cursor = _called(instance, code, tick, log, may_go_on)
        events = tuple(runless_event(event) for event in found.asset_events)
        prepared = _prepared(instance, code, tick, found)
    except StorageUnavailableError:
        raise
    except TickTimeLimitExceeded as late:
        error = ErrorInfo("TickTimeLimitExceeded", str(late), error_info(late, _masker(code)).stack)
    except (Exception, SystemExit, KeyboardInterrupt) as fault:  # noqa: BLE001 - the user's function, what it returns, and its resources
        error = error_info(fault, _masker(code))
    if log.records:
        data["log"] = _masker(code).data(log.records)
    if error is not None or found is None:
        return Evaluation(TickEnd(tick.tick_id, tick.token, TickStatus.FAILURE, utc_now(), error=error, data=data))
    if found.run_requests:
        data["requested"] = len(found.run_requests)
    if tick.is_dry_run:
        data["requests"] = [_as_data(request) for request in found.run_requests]
        data["asset_events"] = [event.asset_key for event in events]
    end = TickEnd(
        tick_id=tick.tick_id,
        token=tick.token,
        status=TickStatus.SUCCESS if found.run_requests or events or found.is_done else TickStatus.SKIPPED,
        at=utc_now(),
        runs=[(one.run, one.events) for one in prepared],
        events=events,
        skip_reason=found.skip_message if not events else None,
        cursor=found.cursor,
        # A cursor that was left alone is not written: somebody may have set it by hand meanwhile.
        keeps_cursor=not moves_cursor,
        data=data,
    )
    return Evaluation(end, prepared, found.has_more and not tick.is_dry_run)


def _called(
    instance: OrchordInstance, code: CodeLocation, tick: Tick, log: TickLog, may_go_on: Callable[[], bool]
) -> tuple[TickData, bool]:
    """Return what the user's function gives, and whether that moves the sensor's cursor."""
    definition = _definition(code, tick)
    repository = code.repository
    if isinstance(definition, ScheduleDefinition):
        with schedule_context(instance, repository, definition, tick, log) as scheduled:
            return definition.evaluate_tick(scheduled), False
    if isinstance(definition, RunStatusSensorDefinition):
        on_run = run_status_context(instance, repository, definition, tick, log)
        if on_run is None:
            return TickData(skip_message="The run has been deleted."), False
        with on_run:
            return definition.evaluate_run(on_run), False
    with sensor_context(instance, repository, definition, tick, log, may_go_on) as context:
        before = context.cursor
        found = definition.evaluate_tick(context)
        return found, found.cursor != before


def _definition(code: CodeLocation, tick: Tick) -> ScheduleDefinition | SensorDefinition:
    """Return what a tick is of.

    Raises:
        NotFoundError: this process's code has no such schedule or sensor.
    """
    is_schedule = tick.key.kind is InstigatorKind.SCHEDULE
    known: Mapping[str, ScheduleDefinition | SensorDefinition] = (
        code.repository.schedules if is_schedule else code.repository.sensors
    )
    if tick.key.name not in known:
        raise NotFoundError(
            f"{'Schedule' if is_schedule else 'Sensor'} '{tick.key.name}' is not in the code that this worker has "
            f"loaded for location '{code.name}': restart the workers with the newest code."
            f"{did_you_mean(tick.key.name, known)}"
        )
    return known[tick.key.name]


def _prepared(instance: OrchordInstance, code: CodeLocation, tick: Tick, found: TickData) -> tuple[PreparedRun, ...]:
    """Check every request and make its run.

    Raises:
        InvalidConfigError: requests have mistakes; those of all of them are listed.
    """
    prepared: list[PreparedRun] = []
    mistakes: list[str] = []
    for number, request in enumerate(found.run_requests, 1):
        try:
            prepared.append(prepare(instance, _launch_request(tick, request), known=code.snapshot))
        except StorageUnavailableError:
            raise
        except OrchordError as error:
            which = f"request {number}" + (f" (run key '{request.run_key}')" if request.run_key else "")
            own = error.mistakes if isinstance(error, InvalidConfigError) else ()
            mistakes += [f"{which}: {mistake}" for mistake in own or (str(error),)]
    if mistakes:
        what = "Schedule" if tick.key.kind is InstigatorKind.SCHEDULE else "Sensor"
        raise InvalidConfigError(f"{what} '{tick.key.name}' asks for runs that cannot be", mistakes)
    return tuple(prepared)


def _launch_request(tick: Tick, request: RunRequest) -> LaunchRequest:
    key = tick.key
    tags = {TICK_TAG: str(tick.tick_id)}
    if key.kind is InstigatorKind.SCHEDULE:
        tags |= {SCHEDULE_NAME_TAG: key.name, SCHEDULED_EXECUTION_TIME_TAG: tick.planned_at.isoformat()}
    else:
        tags |= {SENSOR_NAME_TAG: key.name}
    run_key = request.run_key
    return LaunchRequest(
        job_name=request.job_name or "",
        location=key.location,
        run_config=request.run_config,
        tags={**request.tags, **tags},
        asset_selection=None
        if request.asset_selection is None
        else [asset.to_user_string() for asset in request.asset_selection],
        idempotency_key=None if run_key is None else _key_of(tick, run_key),
        run_key=run_key,
    )


def _key_of(tick: Tick, run_key: str) -> str:
    """Return what makes a run the only one of its run key: of its sensor for good, of a schedule at each time anew."""
    key = tick.key
    if key.kind is InstigatorKind.SCHEDULE:
        return f"schedule:{key.location}:{key.name}:{tick.planned_at.isoformat()}:{run_key}"
    return f"sensor:{key.location}:{key.name}:{run_key}"


def _masker(code: CodeLocation) -> Masker:
    names = {name for one in code.repository.resource_defs.values() for name in one.env_var_names}
    return Masker(value for name in names if (value := environment_value(name)) is not None)


def _as_data(request: RunRequest) -> dict[str, Any]:
    return {
        "run_key": request.run_key,
        "job_name": request.job_name,
        "run_config": dict(request.run_config),
        "tags": dict(request.tags),
        "asset_selection": None
        if request.asset_selection is None
        else [asset.to_user_string() for asset in request.asset_selection],
    }
