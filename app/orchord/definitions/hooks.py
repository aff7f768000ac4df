"""Hooks: functions that are called once after a step has succeeded or has failed for good.

Defined here, called in execution/hooks.py within the step's process; an error in a hook never fails the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from orchord.definitions.origin import origin_of
from orchord.definitions.tags import name_mistakes
from orchord.errors import InvalidDefinitionError, InvalidInvocationError

HookFn = Callable[[Any], Any]
Trigger = Literal["success", "failure"]


@dataclass(frozen=True, eq=False)
class HookDefinition:
    """A hook: its function, what it is called after, and the resources it needs.

    A hook is also a decorator: ``@my_hook`` above ``@job`` adds it to every op of the job.
    """

    name: str
    hook_fn: HookFn
    trigger: Trigger
    required_resource_keys: frozenset[str] = field(default_factory=frozenset)
    description: str | None = None

    def __call__(self, target: Any) -> Any:
        """Add the hook to a job, graph or invocation; given a context instead, call the hook's function.

        Raises:
            InvalidInvocationError: the target is a plain function or class, so a decorator stands in the wrong order.
        """
        if hasattr(target, "with_hooks"):
            return target.with_hooks({self})
        if callable(target):
            raise InvalidInvocationError(
                f"Hook '{self.name}' decorates {target!r}, which is not a job, graph or op. "
                f"Put @{self.name} above the @job, @graph or @op line, not below it."
            )
        return self.hook_fn(target)

    @property
    def decorated_fn(self) -> HookFn:
        """The user's function."""
        return self.hook_fn


@overload
def success_hook(name: HookFn) -> HookDefinition: ...
@overload
def success_hook(
    name: str | None = None, required_resource_keys: Iterable[str] | None = None
) -> Callable[[HookFn], HookDefinition]: ...
def success_hook(
    name: HookFn | str | None = None, required_resource_keys: Iterable[str] | None = None
) -> HookDefinition | Callable[[HookFn], HookDefinition]:
    """Make a hook of a function that takes a HookContext, called once after a step has succeeded.

    Args:
        name: the hook's name; the function's when left out.
        required_resource_keys: the resources that ``context.resources`` must have.
    """
    return _hook("success", name, required_resource_keys)


@overload
def failure_hook(name: HookFn) -> HookDefinition: ...
@overload
def failure_hook(
    name: str | None = None, required_resource_keys: Iterable[str] | None = None
) -> Callable[[HookFn], HookDefinition]: ...
def failure_hook(
    name: HookFn | str | None = None, required_resource_keys: Iterable[str] | None = None
) -> HookDefinition | Callable[[HookFn], HookDefinition]:
    """Make a hook of a function that takes a HookContext, called once after a step has failed for good.

    Args:
        name: the hook's name; the function's when left out.
        required_resource_keys: the resources that ``context.resources`` must have.
    """
    return _hook("failure", name, required_resource_keys)


def _hook(
    trigger: Trigger, name: HookFn | str | None, required_resource_keys: Iterable[str] | None
) -> HookDefinition | Callable[[HookFn], HookDefinition]:
    def define(function: HookFn) -> HookDefinition:
        hook_name = name if isinstance(name, str) else function.__name__
        for mistake in name_mistakes("a hook", hook_name):
            raise InvalidDefinitionError(f"Hook at {origin_of(function)}: {mistake}.")
        keys = frozenset(required_resource_keys or ())
        return HookDefinition(hook_name, function, trigger, keys, function.__doc__)

    return define(name) if callable(name) else define
