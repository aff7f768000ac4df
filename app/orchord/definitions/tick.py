"""Evaluating a schedule or sensor once: calling the user's function, and reading what it gives back.

Pure but for the user's code: the clock, the cursor and the instance come in by the context. Recording ticks and
starting runs is the daemon's.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from orchord.definitions.assets.job import IMPLICIT_JOB_NAME
from orchord.definitions.requests import RunRequest, SensorResult, SkipReason, TickData
from orchord.definitions.resources.opening import build_resources
from orchord.definitions.resources.param import is_resource_annotation
from orchord.definitions.resources.values import Resources
from orchord.definitions.type_hints import type_hints
from orchord.errors import InvalidInvocationError, InvariantViolationError, did_you_mean

_log = logging.getLogger("orchord.ticks")

if TYPE_CHECKING:
    from orchord.definitions.definitions_object import Definitions
    from orchord.instance import OrchordInstance


def resources_of(definitions: Definitions | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the resources of a code location, with those that are given in their place."""
    return {**({} if definitions is None else definitions.resolve().resource_defs), **(given or {})}


class TickContext:
    """What schedules' and sensors' contexts share: the instance, resources and a logger.

    Resources are set up when they are first asked for, and torn down by ``close()`` or at the end of ``with``.
    """

    def __init__(self, instance: Any = None, resources: Mapping[str, Any] | None = None, log: Any = None) -> None:
        self._instance = instance
        self._resource_defs = dict(resources or {})
        self._resources: Resources | None = None
        self._stack = ExitStack()
        self._log = log if log is not None else _log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Tear down the resources."""
        self._stack.close()
        self._resources = None

    @property
    def instance(self) -> OrchordInstance:
        """The instance.

        Raises:
            InvariantViolationError: the context was built without one.
        """
        if self._instance is None:
            raise InvariantViolationError(f"This {type(self).__name__} has no instance. Build it with instance=...")
        instance: OrchordInstance = self._instance
        return instance

    @property
    def log(self) -> Any:
        """A logger; in the daemon its records are the tick's."""
        return self._log

    @property
    def resources(self) -> Resources:
        """The resources by attribute."""
        if self._resources is None:
            self._resources = self._stack.enter_context(build_resources(self._resource_defs, instance=self._instance))
        return self._resources


@dataclass(frozen=True)
class TickFunction:
    """A user's function with what it takes: a context, and resources by parameter name."""

    function: Callable[..., Any]
    context_name: str | None
    resource_names: tuple[str, ...]
    other_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any], others: Sequence[str] = ()) -> TickFunction:
        """Read a function. Its first parameter that is no resource is the context; ``others`` come after it."""
        try:
            parameters = inspect.signature(function).parameters
        except ValueError:
            # Some of Python's own functions do not say what they take; such a one is called with nothing.
            return cls(function, None, ())
        hints = type_hints(function)
        plain: list[str] = []
        resources: list[str] = []
        for name, parameter in parameters.items():
            if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                continue
            (resources if name in hints and is_resource_annotation(hints[name]) else plain).append(name)
        context_name = plain[0] if plain else None
        return cls(function, context_name, tuple(resources), tuple(plain[1 : 1 + len(others)]))

    def call(self, context: TickContext, *others: Any, given: Mapping[str, Any] | None = None) -> Any:
        """Call the function with a context, further arguments, and the resources that it names."""
        arguments: dict[str, Any] = {}
        if self.context_name is not None:
            arguments[self.context_name] = context
        arguments.update(zip(self.other_names, others, strict=False))
        for name in self.resource_names:
            arguments[name] = (given or {})[name] if name in (given or {}) else context.resources.get(name)
        return self.function(**arguments)

    def call_directly(
        self, name: str, context_cls: type[TickContext], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call the function as a test does: a context first, if it takes one, resources by name.

        Raises:
            InvalidInvocationError: arguments do not fit what the function takes.
        """
        takes = [*((self.context_name,) if self.context_name else ()), *self.other_names]
        positional = dict(zip(takes, args, strict=False))
        if len(args) > len(takes):
            raise InvalidInvocationError(f"'{name}' takes {len(takes)} positional arguments, and is given {len(args)}.")
        known = (*takes, *self.resource_names)
        unknown = [key for key in kwargs if key not in known]
        if unknown:
            raise InvalidInvocationError(f"'{name}' has no parameter '{unknown[0]}'.{did_you_mean(unknown[0], known)}")
        values = {**positional, **kwargs}
        context = values.get(self.context_name) if self.context_name else None
        if self.context_name and not isinstance(context, context_cls):
            raise InvalidInvocationError(
                f"'{name}' takes a {context_cls.__name__} first, and is given {context!r}. Build one by the function"
                f" build_..._context."
            )
        resources = context if context is not None else TickContext()
        others = [values[other] for other in self.other_names if other in values]
        return self.call(resources, *others, given={key: values[key] for key in self.resource_names if key in values})


def read_result(result: Any, what: str, *, takes_config: bool = False) -> TickData:
    """Return what a function's result comes to.

    Args:
        result: a RunRequest, a SkipReason, a SensorResult, a list or generator of requests, None, or (for schedules)
            a run config.
        what: how messages call the schedule or sensor.
        takes_config: whether a dict is a run config.

    Raises:
        InvariantViolationError: the result is something else, or says both that runs are asked for and that not.
    """
    if takes_config and isinstance(result, Mapping):
        return TickData((RunRequest(run_config=result),))
    items = [item for item in _items(result, what) if item is not None]
    results = [item for item in items if isinstance(item, SensorResult)]
    if results:
        if len(items) > 1:
            raise InvariantViolationError(
                f"{what} gives a SensorResult and something else. Give one SensorResult alone."
            )
        found = results[0]
        reason = found.skip_reason
        assert reason is None or isinstance(reason, SkipReason)
        return _tick(
            found.run_requests or (), [reason] if reason else [], found.cursor, tuple(found.asset_events), what
        )
    requests = [item for item in items if isinstance(item, RunRequest)]
    reasons = [item for item in items if isinstance(item, SkipReason)]
    for item in items:
        if not isinstance(item, (RunRequest, SkipReason)):
            raise InvariantViolationError(f"{what} gives {item!r}. Give RunRequests, or a SkipReason.")
    return _tick(requests, reasons, None, (), what)


def _items(result: Any, what: str) -> Iterable[Any]:
    if isinstance(result, (RunRequest, SkipReason, SensorResult)):
        return [result]
    if inspect.isgenerator(result) or isinstance(result, (list, tuple)):
        items: list[Any] = []
        for item in result:
            items += item if isinstance(item, list) else [item]
        return items
    if inspect.isawaitable(result):
        raise InvariantViolationError(f"{what} is an async function. Make it an ordinary one.")
    return [result]


def _tick(
    requests: Iterable[RunRequest],
    reasons: Sequence[SkipReason],
    cursor: str | None,
    asset_events: tuple[Any, ...],
    what: str,
) -> TickData:
    found = tuple(requests)
    if found and reasons:
        raise InvariantViolationError(
            f"{what} gives both a RunRequest and a SkipReason. Give the reason only when no run is asked for."
        )
    message = None
    if not found:
        message = (reasons[0].skip_message if reasons else None) or "It gave nothing, so no run was asked for."
    return TickData(found, message, cursor, asset_events)


def timeout_mistakes(timeout_seconds: Any) -> list[str]:
    """Return what is wrong with the time limit of a schedule or sensor: nothing, or one sentence."""
    is_number = isinstance(timeout_seconds, (int, float)) and not isinstance(timeout_seconds, bool)
    if timeout_seconds is None or (is_number and 0 < timeout_seconds < math.inf):
        return []
    return [f"its timeout_seconds is {timeout_seconds!r}: give a number of seconds above 0"]


def requests_for_jobs(tick: TickData, job_names: Sequence[str], what: str) -> TickData:
    """Return the tick with each request's job named.

    Raises:
        InvariantViolationError: a request names no job where there are several, or a job that is none of them.
    """
    requests = []
    for given in tick.run_requests:
        request = given
        if request.job_name is None:
            if not job_names and request.asset_selection is not None:
                request = request.with_job_name(IMPLICIT_JOB_NAME)
            elif len(job_names) != 1:
                known = (
                    f"It has several: {', '.join(job_names)}." if job_names else "It has no job: give it job= or jobs=."
                )
                raise InvariantViolationError(f"{what} asks for a run without job_name. {known}")
            else:
                request = request.with_job_name(job_names[0])
        elif job_names and request.job_name not in job_names:
            hint = did_you_mean(request.job_name, job_names)
            raise InvariantViolationError(
                f"{what} asks for a run of '{request.job_name}', which is none of its jobs.{hint}"
            )
        requests.append(request)
    return tick.with_requests(requests)
