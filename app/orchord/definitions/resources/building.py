"""Building an InitResourceContext for a test, with resources of its own that are torn down with it.

How resources are set up and torn down is opening.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from orchord.definitions.resources.context import InitResourceContext
from orchord.definitions.resources.opening import build_resources


class BuiltInitResourceContext(InitResourceContext):
    """A context for a test. Its resources are torn down by ``close()`` or at the end of ``with``."""

    _stack: ExitStack | None = None

    def close(self) -> None:
        """Tear the context's resources down."""
        if self._stack is not None:
            self._stack.close()

    def __enter__(self) -> BuiltInitResourceContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def build_init_resource_context(
    config: Any = None,
    resources: Mapping[str, Any] | None = None,
    instance: Any = None,
) -> BuiltInitResourceContext:
    """Build a context to set a resource up with in a test.

    Args:
        config: What ``resource_config`` holds.
        resources: Resources, definitions or plain values, by key. They are set up here, and torn down by the
            context's ``close()`` or at the end of ``with context:``.
        instance: What ``instance`` is.
    """
    stack = ExitStack()
    values = stack.enter_context(build_resources(resources or {}, instance=instance))
    context = BuiltInitResourceContext(resource_config=config, resources=values, instance=instance)
    context._stack = stack
    return context
