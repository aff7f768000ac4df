"""Resources: what ``context.resources`` is, and the error for a key that is not in it.

How its values are made is opening.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchord.errors import InvalidInvocationError, did_you_mean


class UnknownResourceError(InvalidInvocationError, AttributeError):
    """Code asks for a resource that is not there. An AttributeError too, so that ``hasattr`` works."""


class Resources:
    """Resources by key, as attributes: ``context.resources.db``."""

    __slots__ = ("_values", "_why_missing")

    def __init__(self, values: Mapping[str, Any], why_missing: str = "") -> None:
        self._values = dict(values)
        self._why_missing = why_missing

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return self.get(key)

    def get(self, key: str) -> Any:
        """Return a resource.

        Raises:
            UnknownResourceError: there is none of this key; the text names the nearest.
        """
        try:
            return self._values[key]
        except KeyError:
            raise UnknownResourceError(
                f"No resource '{key}' is here.{did_you_mean(key, self._values)} "
                f"{self._why_missing or 'Name it in required_resource_keys, or as a parameter.'}"
            ) from None

    def only(self, keys: Iterator[str] | frozenset[str] | set[str], why_missing: str = "") -> Resources:
        """Return those of the given keys that are here."""
        return Resources({key: self._values[key] for key in keys if key in self._values}, why_missing)

    def _asdict(self) -> dict[str, Any]:
        """Return the resources by key."""
        return dict(self._values)

    @property
    def original_resource_dict(self) -> dict[str, Any]:
        """The resources by key."""
        return dict(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values.values())

    def __repr__(self) -> str:
        # Values may hold secrets in their repr; keys do not.
        return f"Resources({', '.join(sorted(self._values))})"
