"""Schedules: jobs that start by the clock, and the functions that say with which config.

A schedule is evaluated here, given the time; who looks at the clock is the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchord.definitions.assets.labels import owner_mistakes
from orchord.definitions.cron import next_times
from orchord.definitions.origin import calling_origin, origin_of
from orchord.definitions.requests import RunRequest, TickData
from orchord.definitions.tags import name_mistakes, normalized_tags
from orchord.definitions.targets import job_name_target, jobs_of_targets
from orchord.definitions.tick import TickContext, TickFunction, read_result, requests_for_jobs, timeout_mistakes
from orchord.errors import InvalidDefinitionError, InvariantViolationError

_NICKNAMES = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"})


class DefaultScheduleStatus(Enum):
    """Whether a schedule runs before anybody has started or stopped it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class ScheduleEvaluationContext(TickContext):
    """What a schedule's function is given."""

    def __init__(
        self,
        instance: Any = None,
        scheduled_execution_time: datetime | None = None,
        resources: Mapping[str, Any] | None = None,
        log: Any = None,
    ) -> None:
        super().__init__(instance, resources, log)
        self._scheduled_execution_time = scheduled_execution_time

    @property
    def scheduled_execution_time(self) -> datetime:
        """The time that the cron schedule names; the evaluation may happen later.

        Raises:
            InvariantViolationError: the context was built without one.
        """
        if self._scheduled_execution_time is None:
            raise InvariantViolationError(
                "This context has no scheduled_execution_time. Give it to build_schedule_context(...)."
            )
        return self._scheduled_execution_time


def build_schedule_context(
    instance: Any = None,
    scheduled_execution_time: datetime | None = None,
    resources: Mapping[str, Any] | None = None,
) -> ScheduleEvaluationContext:
    """Build a context to call or evaluate a schedule with in a test. Use it in ``with`` if resources need tear-down."""
    return ScheduleEvaluationContext(instance, scheduled_execution_time, resources)


class ScheduleDefinition:
    """A job that starts by the clock.

    Args:
        name: its name; default: the job's with ``_schedule``.
        cron_schedule: a cron string of five fields, or several; a tick of any of them counts.
        job_name: the job, by name.
        run_config: the config of its runs.
        run_config_fn: makes that config of the context, instead.
        tags: tags of its runs.
        tags_fn: makes those tags of the context, instead.
        should_execute: says by the context whether to run at all.
        execution_timezone: the time zone of the cron schedule; default UTC.
        execution_fn: gives RunRequests or a SkipReason of the context, instead of all of the above.
        description: for people.
        job: the job itself, instead of its name.
        default_status: whether it runs before anybody has started it.
        required_resource_keys: resources that ``context.resources`` must have.
        target: a job, an asset, a list of assets or a selection, instead of ``job``.
        metadata: labelled values.
        owners: e-mail addresses and ``team:<name>``.
        timeout_seconds: how long one evaluation may take; default: what the instance file says, else 60 s.

    Mistakes, such as a cron string that cannot be, are reported by Definitions, with all others.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        cron_schedule: str | Sequence[str] | None = None,
        job_name: str | None = None,
        run_config: Any = None,
        run_config_fn: Callable[..., Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        tags_fn: Callable[..., Mapping[str, str]] | None = None,
        should_execute: Callable[..., bool] | None = None,
        execution_timezone: str | None = None,
        execution_fn: Callable[..., Any] | None = None,
        description: str | None = None,
        job: Any = None,
        default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
        required_resource_keys: Iterable[str] | None = None,
        target: Any = None,
        metadata: Mapping[str, Any] | None = None,
        owners: Sequence[str] | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self.origin = origin_of(execution_fn) or calling_origin()
        names, self.jobs = jobs_of_targets(name or "schedule", job_name_target(job_name), job, target)
        self.job_names = tuple(names)
        self.name = name if name is not None else f"{names[0]}_schedule" if names else "schedule"
        self.cron_schedules = _several(cron_schedule)
        self.execution_timezone = execution_timezone or "UTC"
        self.description = description if description is not None else getattr(execution_fn, "__doc__", None)
        self.default_status = default_status
        self.tags = normalized_tags(tags, f"schedule '{self.name}'")
        self.metadata = dict(metadata or {})
        self.owners = tuple(owners or ())
        self.timeout_seconds = timeout_seconds
        self._run_config = run_config
        self._functions = {
            what: None if function is None else TickFunction.of(function)
            for what, function in {
                "execution_fn": execution_fn,
                "run_config_fn": run_config_fn,
                "tags_fn": tags_fn,
                "should_execute": should_execute,
            }.items()
        }
        read = [function for function in self._functions.values() if function is not None]
        self.required_resource_keys = frozenset(required_resource_keys or ()).union(
            *(one.resource_names for one in read)
        )
        self._arguments_mistakes = self._contradictions(run_config, run_config_fn, tags, tags_fn, execution_fn)

    def __repr__(self) -> str:
        return f"<ScheduleDefinition '{self.name}'>"

    @property
    def cron_schedule(self) -> str | Sequence[str]:
        """The cron string, or the list of them."""
        return self.cron_schedules[0] if len(self.cron_schedules) == 1 else self.cron_schedules

    @property
    def job_name(self) -> str:
        """The job that it starts."""
        return self.job_names[0] if self.job_names else ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function as it is, as a test does.

        Raises:
            InvariantViolationError: the schedule was made without a function.
        """
        function = self._functions["execution_fn"]
        if function is None:
            raise InvariantViolationError(
                f"Schedule '{self.name}' has no function to call. Use evaluate_tick(context)."
            )
        return function.call_directly(self.name, ScheduleEvaluationContext, args, kwargs)

    def evaluate_tick(self, context: ScheduleEvaluationContext) -> TickData:
        """Return the runs that the schedule asks for at a time, or why it asks for none.

        Raises:
            InvariantViolationError: the function gives something that is no request.
        """
        what = f"Schedule '{self.name}'"
        should_execute = self._functions["should_execute"]
        if should_execute is not None and not should_execute.call(context):
            return TickData(skip_message=f"should_execute of '{self.name}' said no.")
        function = self._functions["execution_fn"]
        if function is None:
            tick = TickData((RunRequest(run_config=self._made("run_config_fn", context, self._run_config)),))
        else:
            tick = read_result(function.call(context), what, takes_config=True)
        tags = normalized_tags(self._made("tags_fn", context, self.tags), f"tags_fn of schedule '{self.name}'")
        named = requests_for_jobs(tick, self.job_names, what)
        return named.with_requests([request.with_tags(tags) for request in named.run_requests])

    def _made(self, what: str, context: ScheduleEvaluationContext, fixed: Any) -> Any:
        function = self._functions[what]
        return fixed if function is None else function.call(context)

    def mistakes(self) -> list[str]:
        """Return everything that is wrong with the schedule itself, one sentence each."""
        found = [*name_mistakes("a schedule", self.name), *self._arguments_mistakes]
        found += [*owner_mistakes(self.owners, "it"), *timeout_mistakes(self.timeout_seconds)]
        status: object = self.default_status
        if not isinstance(status, DefaultScheduleStatus):
            found.append(f"its default_status is {status!r}: give a DefaultScheduleStatus")
        if not self.job_names:
            found.append("it has no job: give it job=, job_name= or target=")
        if not self.cron_schedules:
            found.append("it has no cron_schedule: give one, such as '0 6 * * *'")
        found += [mistake for cron in self.cron_schedules for mistake in cron_mistakes(cron)]
        try:
            ZoneInfo(self.execution_timezone)
        except (ZoneInfoNotFoundError, TypeError, ValueError, OSError):
            found.append(
                f"its execution_timezone {self.execution_timezone!r} is unknown: give one such as 'Europe/Berlin'"
            )
        return found

    @staticmethod
    def _contradictions(run_config: Any, run_config_fn: Any, tags: Any, tags_fn: Any, execution_fn: Any) -> list[str]:
        given = [("run_config", run_config), ("run_config_fn", run_config_fn)]
        both = [name for name, value in given if value is not None]
        found = []
        if len(both) == 2:
            found.append("it has run_config= and run_config_fn=: keep one of them")
        if execution_fn is not None and both:
            found.append(
                f"it has execution_fn= and {both[0]}=: put the config into the RunRequest that the function gives"
            )
        if tags is not None and tags_fn is not None:
            found.append("it has tags= and tags_fn=: keep one of them")
        return found


def _several(crons: Any) -> tuple[str, ...]:
    """Return one or many cron strings as many. What is neither stays, for ``mistakes`` to name."""
    if isinstance(crons, Iterable) and not isinstance(crons, str):
        return tuple(crons)
    return () if crons is None else (crons,)


def cron_mistakes(cron: Any) -> list[str]:
    """Return what is wrong with a cron string: nothing, or one sentence."""
    # croniter is heavy, and needed only where there are schedules.
    from croniter import croniter  # noqa: PLC0415

    if not isinstance(cron, str):
        return [f"its cron_schedule {cron!r} is no string: give one, such as '0 6 * * *'"]
    is_valid = cron in _NICKNAMES or (len(cron.split()) == 5 and croniter.is_valid(cron))
    if is_valid:
        is_due = next(next_times([cron], "UTC", datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
        return [] if is_due else [f"its cron_schedule {cron!r} is never due: no year has such a day"]
    fields = "minute, hour, day of month, month, day of week"
    return [f"its cron_schedule {cron!r} cannot be: give five fields ({fields}), such as '0 6 * * *'"]


def schedule(
    cron_schedule: str | Sequence[str],
    *,
    job_name: str | None = None,
    name: str | None = None,
    tags: Mapping[str, Any] | None = None,
    tags_fn: Callable[..., Mapping[str, str]] | None = None,
    metadata: Mapping[str, Any] | None = None,
    should_execute: Callable[..., bool] | None = None,
    execution_timezone: str | None = None,
    description: str | None = None,
    job: Any = None,
    default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
    required_resource_keys: Iterable[str] | None = None,
    target: Any = None,
    owners: Sequence[str] | None = None,
    timeout_seconds: float | None = None,
) -> Callable[[Callable[..., Any]], ScheduleDefinition]:
    """Make a schedule of a function that gives a RunRequest, several, a run config, or a SkipReason.

    The function takes a ScheduleEvaluationContext, or nothing, and parameters annotated with resource classes. See
    ScheduleDefinition for the arguments.
    """
    if callable(cron_schedule):
        raise InvalidDefinitionError(
            "@schedule is used without parentheses. Write @schedule(cron_schedule='0 6 * * *', job=...)."
        )

    def define(function: Callable[..., Any]) -> ScheduleDefinition:
        return ScheduleDefinition(
            name or function.__name__,
            cron_schedule=cron_schedule,
            job_name=job_name,
            tags=tags,
            tags_fn=tags_fn,
            metadata=metadata,
            should_execute=should_execute,
            execution_timezone=execution_timezone,
            execution_fn=function,
            description=description,
            job=job,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            target=target,
            owners=owners,
            timeout_seconds=timeout_seconds,
        )

    return define
