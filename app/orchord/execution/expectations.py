"""ExpectationResult: what a body yields to say that something it checked held or did not. It never fails the step.

Other events that a body may yield are in definitions/assets/results.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.definitions.metadata import MetadataValue, normalize_metadata


class ExpectationResult:
    """The outcome of a check that a body made.

    Args:
        success: whether it held.
        label: a short name of the check.
        description: one line on what was found.
        metadata: values that the console shows beside it.
    """

    __slots__ = ("description", "label", "metadata", "success")

    def __init__(
        self,
        success: bool,
        label: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.success = success
        self.label = label
        self.description = description
        self.metadata: dict[str, MetadataValue] = normalize_metadata(metadata)

    def __repr__(self) -> str:
        return f"ExpectationResult(success={self.success!r}, label={self.label!r}, description={self.description!r})"
