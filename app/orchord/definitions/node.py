"""What ops and graphs share as members of a graph: a name, inputs and outputs by name, and how a use of them is made.

``NodeDefinition`` is the shared face, ``Node`` one use inside a graph, ``PendingNode`` a use that is being described
(``op.alias("x")``). Tracing the uses in a graph function is composition.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from orchord.definitions.composition import current_composition
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.tags import normalized_tags
from orchord.errors import InvalidDefinitionError, InvalidInvocationError


class NodeDefinition(ABC):
    """An op or a graph, as something that a graph can use."""

    name: str
    description: str | None
    tags: dict[str, str]

    @property
    @abstractmethod
    def kind(self) -> str:
        """How messages call it: ``op`` or ``graph``."""

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Inputs in the order in which positional arguments bind to them."""

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Outputs in the order in which a call returns them."""

    @abstractmethod
    def input_types(self, name: str) -> list[Any]:
        """The DagsterTypes that a value of this input must fit; a graph's input may go to several ops."""

    @abstractmethod
    def output_type(self, name: str) -> Any:
        """The DagsterType of this output."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Use this in the graph that is being put together, or execute it directly when there is none."""
        composition = current_composition()
        if composition is not None:
            return composition.invoke(PendingNode(self), args, kwargs)
        return self.invoke_directly(args, kwargs)

    @abstractmethod
    def invoke_directly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Answer a call that stands in no graph."""

    def alias(self, name: str) -> PendingNode:
        """Return a use of this under another name."""
        return PendingNode(self).alias(name)

    def tag(self, tags: Mapping[str, Any]) -> PendingNode:
        """Return a use of this with further tags."""
        return PendingNode(self).tag(tags)

    def with_hooks(self, hook_defs: Iterable[HookDefinition]) -> Any:
        """Return a use of this with further hooks."""
        return PendingNode(self).with_hooks(hook_defs)

    def with_retry_policy(self, retry_policy: RetryPolicy) -> PendingNode:
        """Return a use of this with another retry policy."""
        return PendingNode(self).with_retry_policy(retry_policy)


DefinitionT = TypeVar("DefinitionT", bound=NodeDefinition)


@dataclass(frozen=True, eq=False)
class Node(Generic[DefinitionT]):
    """One use of an op or a graph inside a graph. ``origin`` is the user's file and line."""

    name: str
    definition: DefinitionT
    tags: Mapping[str, str] = field(default_factory=dict)
    hook_defs: frozenset[HookDefinition] = frozenset()
    retry_policy: RetryPolicy | None = None
    origin: str = ""

    def describe(self) -> str:
        """Name this node for a message, with its op's name when it has an alias."""
        same = self.name == self.definition.name
        return f"{self.definition.kind} '{self.name}'" + ("" if same else f" (an alias of '{self.definition.name}')")


@dataclass(frozen=True, eq=False)
class PendingNode:
    """A use of an op or a graph that is still being described. Calling it in a graph function makes the node."""

    definition: NodeDefinition
    given_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    hook_defs: frozenset[HookDefinition] = frozenset()
    retry_policy: RetryPolicy | None = None

    def alias(self, name: str) -> PendingNode:
        """Return the same use under another name."""
        return replace(self, given_name=name)

    def tag(self, tags: Mapping[str, Any]) -> PendingNode:
        """Return the same use with further tags."""
        added = normalized_tags(tags, f"{self.definition.kind} '{self.definition.name}'")
        return replace(self, tags={**self.tags, **added})

    def with_hooks(self, hook_defs: Iterable[HookDefinition]) -> PendingNode:
        """Return the same use with further hooks."""
        return replace(self, hook_defs=self.hook_defs | checked_hooks(hook_defs, f"'{self.definition.name}'"))

    def with_retry_policy(self, retry_policy: RetryPolicy) -> PendingNode:
        """Return the same use with another retry policy."""
        return replace(self, retry_policy=retry_policy)

    def node(self, name: str, origin: str) -> Node[Any]:
        """Return the node that this use is, once its name is known."""
        return Node(name, self.definition, self.tags, self.hook_defs, self.retry_policy, origin)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Use this in the graph that is being put together.

        Raises:
            InvalidInvocationError: no graph is being put together.
        """
        composition = current_composition()
        if composition is None:
            raise InvalidInvocationError(
                f"'{self.definition.name}' with an alias, tags, hooks or a retry policy is called outside a graph. "
                f"Call it in a function under @graph or @job; to run it by itself, call '{self.definition.name}'."
            )
        return composition.invoke(self, args, kwargs)


def checked_hooks(hook_defs: Iterable[Any], owner: str) -> frozenset[HookDefinition]:
    """Return the hooks as a set.

    Raises:
        InvalidDefinitionError: a member is no hook.
    """
    hooks = [hook_defs] if isinstance(hook_defs, HookDefinition) else list(hook_defs)
    for hook in hooks:
        if not isinstance(hook, HookDefinition):
            raise InvalidDefinitionError(
                f"Hooks of {owner} hold {hook!r}, which is no hook. Decorate it with @success_hook or @failure_hook."
            )
    return frozenset(hooks)
