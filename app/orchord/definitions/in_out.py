"""What an op or a graph declares about its inputs and outputs: In, Out, GraphIn, GraphOut.

What a function's signature says beside them is read in inference.py. Values on their way are output.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.types import Nothing, resolve_type


class NoValueSentinel:
    """The type of NO_VALUE."""

    def __repr__(self) -> str:
        """Read well in messages."""
        return "<no value>"

    def __bool__(self) -> bool:
        """A missing value is never true."""
        return False


NO_VALUE = NoValueSentinel()
"""Stands for "nothing was given" where None is a value."""

DEFAULT_IO_MANAGER_KEY = "io_manager"


@dataclass(frozen=True, eq=False)
class In:
    """Declares one input of an op.

    Args:
        dagster_type: the type that values are checked against: a Python type or a DagsterType. Inferred from the
            annotation when left out; ``Nothing`` makes the input an order and no value.
        description: for people.
        default_value: the value when nothing is connected. The signature's default is used when left out.
        metadata: for people and IO managers.
        asset_key: the asset that this input reads when nothing is connected.
        input_manager_key: the resource that loads this input instead of the IO manager that stored it.
    """

    dagster_type: Any = NO_VALUE
    description: str | None = None
    default_value: Any = NO_VALUE
    metadata: Mapping[str, Any] | None = None
    asset_key: Any = None
    input_manager_key: str | None = None

    @property
    def has_default_value(self) -> bool:
        """Whether a value stands in when nothing is connected."""
        return self.default_value is not NO_VALUE

    @property
    def is_nothing(self) -> bool:
        """Whether this input is an order and no value."""
        return self.dagster_type is Nothing

    def resolved(self, annotation: Any = NO_VALUE, default_value: Any = NO_VALUE) -> In:
        """Return a copy whose type is a DagsterType: what was declared, else the annotation, else Any."""
        declared = annotation if self.dagster_type is NO_VALUE else self.dagster_type
        default = default_value if self.default_value is NO_VALUE else self.default_value
        key = None if self.asset_key is None else AssetKey.from_coercible(self.asset_key)
        return replace(self, dagster_type=type_of(declared), default_value=default, asset_key=key)


@dataclass(frozen=True, eq=False)
class Out:
    """Declares one output of an op.

    Args:
        dagster_type: the type that values are checked against; inferred from the return annotation when left out.
            ``Nothing`` makes the output an order and no value.
        description: for people.
        is_required: False lets the op leave the output out; every consumer is then skipped.
        io_manager_key: the resource that stores this output.
        metadata: for people and IO managers.
        code_version: the version of the code that makes this output.
    """

    dagster_type: Any = NO_VALUE
    description: str | None = None
    is_required: bool = True
    io_manager_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    code_version: str | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether this output is an order and no value."""
        return self.dagster_type is Nothing

    @property
    def manager_key(self) -> str:
        """The resource that stores this output, the default one included."""
        return self.io_manager_key or DEFAULT_IO_MANAGER_KEY

    def resolved(self, annotation: Any = NO_VALUE) -> Out:
        """Return a copy whose type is a DagsterType: what was declared, else the annotation, else Any."""
        declared = annotation if self.dagster_type is NO_VALUE else self.dagster_type
        if declared in (None, type(None)):
            declared = Nothing
        return replace(self, dagster_type=type_of(declared), io_manager_key=self.manager_key)


@dataclass(frozen=True)
class GraphIn:
    """Declares one input of a graph.

    Args:
        description: for people.
    """

    description: str | None = None


@dataclass(frozen=True)
class GraphOut:
    """Declares one output of a graph.

    Args:
        description: for people.
    """

    description: str | None = None


def type_of(declared: Any) -> Any:
    """Return the DagsterType for what a user declared; nothing declared is Any."""
    return resolve_type(Any if declared is NO_VALUE else declared)
