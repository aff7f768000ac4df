"""A service's own client, made when it is first used: what user code gets as a resource.

The IO managers move bytes without it, so that nobody who does not ask for the client needs its library.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar


class MakesClient(Protocol):
    """A resource that can make its service's client."""

    def get_client(self) -> Any:
        """Make the client."""


Resource = TypeVar("Resource", bound=MakesClient)


class LazyClient(Generic[Resource]):
    """Stands for the client of a resource: its attributes are the client's."""

    def __init__(self, resource: Resource) -> None:
        self._orchord_resource = resource

    @cached_property
    def _orchord_client(self) -> Any:
        return self._orchord_resource.get_client()

    def __getattr__(self, name: str) -> Any:
        # Copying and pickling ask for names that no client has; they must not make one.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._orchord_client, name)
