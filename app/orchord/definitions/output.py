"""Output: a value that an op returns or yields, with the name of the output it is for and metadata about it.

What an op declares about its outputs is ``Out`` in in_out.py; storing values is execution/ and the IO managers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")

DEFAULT_OUTPUT = "result"


class Output(Generic[T]):
    """A value for one output of an op.

    Args:
        value: the value itself.
        output_name: which output it is for; an op's only output is ``result`` unless it says otherwise.
        metadata: values that the console shows beside the output.
        data_version: a version of the data that the user computed.
        tags: tags of the materialization, when the output is an asset.
    """

    __slots__ = ("data_version", "metadata", "output_name", "tags", "value")

    def __init__(
        self,
        value: T,
        output_name: str | None = DEFAULT_OUTPUT,
        metadata: Mapping[str, Any] | None = None,
        *,
        data_version: Any = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.value = value
        self.output_name = output_name or DEFAULT_OUTPUT
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.data_version = data_version
        self.tags: dict[str, str] = dict(tags or {})

    def __repr__(self) -> str:
        """Leave the value out: it may be large or secret."""
        return f"Output(output_name={self.output_name!r}, value=<{type(self.value).__name__}>)"

    def __eq__(self, other: object) -> bool:
        """Compare by everything the output says."""
        if not isinstance(other, Output):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]
