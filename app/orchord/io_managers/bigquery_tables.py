"""Which BigQuery table holds a value, and the SQL that reads it: names as pure decisions, checked before they are used.

Talking to BigQuery is bigquery_client.py; who decides how a value becomes rows is bigquery_handlers.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.metadata import MetadataValue
from orchord.errors import InvariantViolationError, numbered

DEFAULT_DATASET = "public"

# What BigQuery takes; anything else could also leave the quotes that names stand in.
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[\w -]{1,1024}")
_COLUMN = re.compile(r"[\w -]{1,300}")


@dataclass(frozen=True)
class TableSlice:
    """A table, and the columns of it that are wanted.

    Attributes:
        table: the table's name.
        schema: the dataset that it is in.
        database: the Google Cloud project that the dataset is in.
        columns: the columns to read; None: all of them.
    """

    table: str
    schema: str
    database: str
    columns: tuple[str, ...] | None = None

    @property
    def dataset_id(self) -> str:
        """The dataset, with its project."""
        return f"{self.database}.{self.schema}"

    @property
    def table_id(self) -> str:
        """The table, with its project and dataset."""
        return f"{self.database}.{self.schema}.{self.table}"

    def select_statement(self) -> str:
        """Return the SQL that reads it."""
        columns = "*" if self.columns is None else ", ".join(f"`{column}`" for column in self.columns)
        return f"SELECT {columns} FROM `{self.table_id}`"


def table_slice(
    context: InputContext | OutputContext, output: OutputContext | None, *, project: str, dataset: str | None
) -> TableSlice:
    """Return where a value is.

    The table is the last part of an asset's key, or the name of an op's output (or its metadata ``table``). The
    dataset is the metadata ``schema`` of the output, else the manager's own, else the key's last prefix.

    Raises:
        InvariantViolationError: names that BigQuery does not take; all of them.
    """
    made = output if output is not None else context
    metadata = made.definition_metadata
    if context.has_asset_key:
        path = context.asset_key.path
        table, prefix = path[-1], path[-2] if len(path) > 1 else None
    else:
        table, prefix = str(_plain(metadata.get("table")) or made.name), None
        mapping_key = output.mapping_key if output is not None else None
        # Each of the values of a dynamic output has a table of its own.
        table = f"{table}_{mapping_key}" if mapping_key else table
    columns = _plain(context.definition_metadata.get("columns")) if isinstance(context, InputContext) else None
    found = TableSlice(
        table=table,
        schema=str(_plain(metadata.get("schema")) or dataset or prefix or DEFAULT_DATASET),
        database=project,
        columns=None if columns is None else _listed(columns),
    )
    mistakes = _mistakes(found)
    if mistakes:
        raise InvariantViolationError(numbered("BigQuery cannot hold this value under its name", mistakes))
    return found


def _listed(columns: Any) -> tuple[str, ...]:
    # One name in place of a list is easily written, and would be read as its letters.
    return (columns,) if isinstance(columns, str) else tuple(str(column) for column in columns)


def _mistakes(found: TableSlice) -> list[str]:
    mistakes = []
    if not _PROJECT.fullmatch(found.database):
        mistakes.append(f"the project is {found.database!r}; give the id of a Google Cloud project.")
    if not _DATASET.fullmatch(found.schema):
        mistakes.append(
            f"the dataset is {found.schema!r}; it may have letters, digits and underscores only. Name another one by "
            'metadata={"schema": ...}, or by the dataset of the IO manager.'
        )
    if not _TABLE.fullmatch(found.table):
        mistakes.append(
            f"the table is {found.table!r}; it may have letters, digits, underscores, dashes and spaces only. Rename "
            'the asset, or name an op\'s table by metadata={"table": ...}.'
        )
    if found.columns is not None and not found.columns:
        mistakes.append("the metadata 'columns' is empty; leave it out to read all columns.")
    mistakes += [
        f"the column {column!r} in the metadata 'columns' is no column's name; expressions are not taken."
        for column in found.columns or ()
        if not _COLUMN.fullmatch(column)
    ]
    return mistakes


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, MetadataValue) else value
