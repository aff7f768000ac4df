"""SensorDefinition: a function that is evaluated again and again, and asks for runs when something has happened.

The kinds of sensors are in asset_sensors.py and run_status_sensors.py; all public names in sensors.py. When they are
evaluated is the daemon's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

from orchord.definitions.assets.labels import owner_mistakes
from orchord.definitions.assets.selection import AssetSelection, CoercibleToAssetSelection
from orchord.definitions.origin import calling_origin, origin_of
from orchord.definitions.requests import TickData
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.definitions.targets import job_name_target, jobs_of_targets
from orchord.definitions.tick import TickContext, TickFunction, read_result, requests_for_jobs, timeout_mistakes
from orchord.errors import InvalidDefinitionError

DEFAULT_INTERVAL_SECONDS = 30


class DefaultSensorStatus(Enum):
    """Whether a sensor runs before anybody has started or stopped it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class SensorType(Enum):
    """The kinds of sensors."""

    STANDARD = "STANDARD"
    ASSET = "ASSET"
    MULTI_ASSET = "MULTI_ASSET"
    RUN_STATUS = "RUN_STATUS"


class SensorEvaluationContext(TickContext):
    """What a sensor's function is given.

    ``may_go_on()`` says whether there is time for more work in this evaluation. ``last_tick_completion_time`` and
    ``last_sensor_start_time`` are in seconds since 1970, or None.
    """

    def __init__(
        self,
        instance: Any = None,
        cursor: str | None = None,
        sensor_name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        log: Any = None,
        *,
        last_run_key: str | None = None,
        last_tick_completion_time: datetime | float | None = None,
        last_sensor_start_time: datetime | float | None = None,
        repository_name: str | None = None,
        payload: Any = None,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(instance, resources, log)
        self._cursor = cursor
        self.sensor_name = sensor_name or ""
        self.repository_name = repository_name
        self.last_run_key = last_run_key
        self.last_tick_completion_time = _seconds(last_tick_completion_time)
        self.last_sensor_start_time = _seconds(last_sensor_start_time)
        self.cursor_updated = False
        self.may_go_on = may_go_on
        self._payload = payload

    @property
    def payload(self) -> Any:
        """The JSON body by which another system asked for this evaluation; None when it comes by the clock."""
        return self._payload

    @property
    def cursor(self) -> str | None:
        """The text that the sensor kept at its last evaluation, or None at its first."""
        return self._cursor

    def update_cursor(self, cursor: str | None) -> None:
        """Keep a text for the next evaluation. It is stored only if this evaluation succeeds.

        Raises:
            InvalidDefinitionError: the cursor is no text.
        """
        if cursor is not None and not isinstance(cursor, str):
            raise InvalidDefinitionError(f"A cursor is a string, not {cursor!r}. Convert it, by str() or json.dumps().")
        self._cursor = cursor
        self.cursor_updated = True

    @property
    def last_tick_completion_timestamp(self) -> float | None:
        """When the last evaluation ended, in seconds since 1970: the same as ``last_tick_completion_time``."""
        return self.last_tick_completion_time

    @property
    def is_first_tick_since_sensor_start(self) -> bool:
        """Whether this is the first evaluation since the sensor was started."""
        if self.last_tick_completion_time is None or self.last_sensor_start_time is None:
            return self.last_tick_completion_time is None
        return self.last_tick_completion_time < self.last_sensor_start_time


def _seconds(moment: datetime | float | None) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime) else moment


class SensorDefinition:
    """A function that is evaluated again and again, and asks for runs.

    Args:
        name: its name; the function's when left out.
        evaluation_fn: takes a SensorEvaluationContext, or nothing, and resources by name. It returns or yields
            RunRequests, a SkipReason, or one SensorResult.
        job_name: the job, by name.
        minimum_interval_seconds: the time between evaluations, at least; default 30 s.
        description: for people; the docstring when left out.
        job: the job itself.
        jobs: several jobs; each RunRequest then names one.
        default_status: whether it runs before anybody has started it.
        asset_selection: assets that it starts runs of.
        required_resource_keys: resources that ``context.resources`` must have.
        tags: tags of its runs.
        metadata: labelled values.
        target: a job, jobs, assets or a selection, instead of ``job`` and ``jobs``.
        owners: e-mail addresses and ``team:<name>``.
        timeout_seconds: how long one evaluation may take; default: what the instance file says, else 60 s.

    Mistakes, such as a job that does not exist, are reported by Definitions, with all others.
    """

    sensor_type: ClassVar[SensorType] = SensorType.STANDARD
    context_cls: ClassVar[type[TickContext]] = SensorEvaluationContext

    def __init__(
        self,
        name: str | None = None,
        *,
        evaluation_fn: Callable[..., Any],
        job_name: str | None = None,
        minimum_interval_seconds: int | None = None,
        description: str | None = None,
        job: Any = None,
        jobs: Sequence[Any] | None = None,
        default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
        asset_selection: CoercibleToAssetSelection | None = None,
        required_resource_keys: Iterable[str] | None = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        target: Any = None,
        owners: Sequence[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self.name = name if name is not None else evaluation_fn.__name__
        self.origin = origin_of(evaluation_fn) or calling_origin()
        selection = None if asset_selection is None else AssetSelection.from_coercible(asset_selection)
        names, self.jobs = jobs_of_targets(self.name, job_name_target(job_name), job, jobs, target, selection)
        self.job_names = tuple(names)
        self.asset_selection = selection
        self.minimum_interval_seconds = minimum_interval_seconds
        self.description = description if description is not None else evaluation_fn.__doc__
        self.default_status = default_status
        self.tags = normalized_tags(tags, f"sensor '{self.name}'")
        self.metadata = dict(metadata or {})
        self.owners = tuple(owners or ())
        self.timeout_seconds = timeout_seconds
        self._function = TickFunction.of(evaluation_fn, self._further_parameters())
        self.required_resource_keys = frozenset(required_resource_keys or ()).union(self._function.resource_names)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}'>"

    def _further_parameters(self) -> tuple[str, ...]:
        """What the function takes after the context, in words; kinds of sensors add to it."""
        return ()

    @property
    def job_name(self) -> str | None:
        """The job that it starts, when it is one."""
        return self.job_names[0] if len(self.job_names) == 1 else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function as it is, as a test does."""
        return self._function.call_directly(self.name, self.context_cls, args, kwargs)

    def evaluate_tick(self, context: SensorEvaluationContext) -> TickData:
        """Return the runs that the sensor asks for, or why it asks for none, and its cursor.

        Raises:
            InvariantViolationError: the function gives something that is no request.
        """
        return self._finished(self._function.call(context), context)

    def _finished(self, result: Any, context: SensorEvaluationContext) -> TickData:
        """Read what the function gave. Generators run here, so that the cursor is read after they have ended."""
        what = f"Sensor '{self.name}'"
        tick = requests_for_jobs(read_result(result, what), self.job_names, what)
        requests = tuple(request.with_tags(self.tags) for request in tick.run_requests)
        cursor = tick.cursor if tick.cursor is not None else context.cursor
        return TickData(requests, tick.skip_message, cursor, tick.asset_events)

    def mistakes(self) -> list[str]:
        """Return everything that is wrong with the sensor itself, one sentence each."""
        found = [*name_mistakes("a sensor", self.name), *owner_mistakes(self.owners, "it")]
        status: object = self.default_status
        if not isinstance(status, DefaultSensorStatus):
            found.append(f"its default_status is {status!r}: give a DefaultSensorStatus")
        interval = self.minimum_interval_seconds
        if interval is not None and (
            isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval < 0
        ):
            found.append(f"its minimum_interval_seconds is {interval!r}: give a number of seconds, 0 or more")
        return [*found, *timeout_mistakes(self.timeout_seconds)]


def decorating(decorator: str, maybe_function: Any) -> None:
    """Refuse a decorator that needs parentheses and was used without.

    Raises:
        InvalidDefinitionError: the decorator's first argument is the function.
    """
    if callable(maybe_function) and hasattr(maybe_function, "__code__"):
        raise InvalidDefinitionError(f"@{decorator} is used without parentheses. Write @{decorator}(...).")
