"""Tables as metadata: their columns, constraints, a few records, and which columns a column was made from.

Plain values that users attach to assets and outputs. How they become JSON is in metadata.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchord.definitions.asset_key import AssetKey


@dataclass(frozen=True)
class TableColumnConstraints:
    """What holds for every value of a column; ``other`` are constraints in words."""

    nullable: bool = True
    unique: bool = False
    other: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "other", tuple(self.other))


@dataclass(frozen=True)
class TableColumn:
    """One column: its name, its type as the database words it, and what holds for it."""

    name: str
    type: str = "string"
    description: str | None = None
    constraints: TableColumnConstraints = field(default_factory=TableColumnConstraints)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableConstraints:
    """What holds for a table as a whole, in words."""

    other: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "other", tuple(self.other))


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, in order."""

    columns: Sequence[TableColumn]
    constraints: TableConstraints = field(default_factory=TableConstraints)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))

    @classmethod
    def from_name_type_dict(cls, types: Mapping[str, str]) -> TableSchema:
        """Return the schema that names each column with its type."""
        return cls(columns=[TableColumn(name, type_) for name, type_ in types.items()])

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON-able data."""
        columns = [
            {
                "name": column.name,
                "type": column.type,
                "description": column.description,
                "constraints": {
                    "nullable": column.constraints.nullable,
                    "unique": column.constraints.unique,
                    "other": list(column.constraints.other),
                },
                "tags": dict(column.tags),
            }
            for column in self.columns
        ]
        return {"columns": columns, "constraints": {"other": list(self.constraints.other)}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableSchema:
        """Return the schema that ``to_json`` wrote."""
        columns = [
            TableColumn(
                name=column["name"],
                type=column["type"],
                description=column.get("description"),
                constraints=TableColumnConstraints(**column.get("constraints", {})),
                tags=column.get("tags", {}),
            )
            for column in data["columns"]
        ]
        return cls(columns, TableConstraints(data.get("constraints", {}).get("other", ())))


class TableRecord:
    """One row of a table, for show: column names and values. Values are strings, numbers, booleans or None."""

    __slots__ = ("data",)

    def __init__(self, data: Mapping[str, str | int | float | bool | None], **columns: Any) -> None:
        self.data = {**data, **columns}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableRecord) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TableRecord({self.data!r})"


@dataclass(frozen=True)
class TableColumnDep:
    """A column of an asset that another column was made from."""

    asset_key: AssetKey
    column_name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "asset_key", AssetKey.from_coercible(self.asset_key))


@dataclass(frozen=True)
class TableColumnLineage:
    """For each column, the columns that it was made from."""

    deps_by_column: Mapping[str, Sequence[TableColumnDep]]

    def __post_init__(self) -> None:
        columns = {column: tuple(deps) for column, deps in self.deps_by_column.items()}
        object.__setattr__(self, "deps_by_column", columns)

    def to_json(self) -> dict[str, Any]:
        """Return the lineage as JSON-able data."""
        return {
            column: [{"asset_key": dep.asset_key.to_user_string(), "column": dep.column_name} for dep in deps]
            for column, deps in self.deps_by_column.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableColumnLineage:
        """Return the lineage that ``to_json`` wrote."""
        return cls(
            {
                column: [TableColumnDep(AssetKey.from_user_string(dep["asset_key"]), dep["column"]) for dep in deps]
                for column, deps in data.items()
            }
        )
