"""Between Arrow and BigQuery: the columns that a new table gets, and values brought to the columns that a table has.

Both kinds of DataFrames pass through Arrow, where their types meet BigQuery's. Loading is bigquery_client.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchord.errors import InvariantViolationError, did_you_mean, numbered

# BigQuery's own two decimals: digits in all, and behind the point.
_NUMERIC = (38, 9)
_BIGNUMERIC = (76, 38)


def fields_of(schema: Any) -> list[Any]:
    """Return the BigQuery columns (``SchemaField``) for an Arrow schema.

    Raises:
        InvariantViolationError: columns of types that BigQuery does not have, or names that differ in case alone.
    """
    mistakes: list[str] = []
    fields = [_field(column, column.name, mistakes) for column in schema]
    mistakes += _same_names(schema.names)
    if mistakes:
        raise InvariantViolationError(numbered("The DataFrame cannot be stored in BigQuery", mistakes))
    return fields


def fitted(table: Any, fields: Sequence[Any], table_id: str) -> Any:
    """Return an Arrow table with the columns of a BigQuery table, in its order: cast, and with NULLs where one lacks.

    Raises:
        InvariantViolationError: columns that the table does not have, required ones that are missing, values that do
            not fit; all of them.
    """
    import pyarrow  # noqa: PLC0415 - an optional package

    given = {name.lower(): index for index, name in enumerate(table.column_names)}
    known = {field.name.lower(): field.name for field in fields}
    mistakes = _same_names(table.column_names)
    mistakes += [
        f"the table has no column '{name}'.{did_you_mean(name, known.values())}"
        for name in table.column_names
        if name.lower() not in known
    ]
    columns, types = [], []
    for field in fields:
        index = given.get(field.name.lower())
        if index is None and field.mode == "REQUIRED":
            mistakes.append(f"the column '{field.name}', which the table requires, is missing.")
            continue
        if index is None or pyarrow.types.is_null(table.column(index).type):
            # All NULL, or no row at all: what the values would be cannot be seen from it.
            wanted = _arrow_type(field) or pyarrow.string()
            column = pyarrow.nulls(table.num_rows, wanted)
        else:
            column = table.column(index)
            wanted = _arrow_type(field) or column.type
            try:
                column = _plain(column).cast(wanted)
            except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
                mistakes.append(f"the column '{field.name}' is {field.field_type} there, {column.type} here: {error}.")
                continue
        columns.append(column)
        types.append(pyarrow.field(field.name, wanted))
    if mistakes:
        headline = f"The DataFrame does not fit the table {table_id}; write_mode='replace' would make it anew"
        raise InvariantViolationError(numbered(headline, mistakes))
    return pyarrow.table(columns, schema=pyarrow.schema(types))


def loadable(table: Any) -> Any:
    """Return an Arrow table without what Parquet has and BigQuery's loading has not: dictionaries, unsigned numbers."""
    import pyarrow  # noqa: PLC0415 - an optional package

    columns = [_plain(column) for column in table.columns]
    schema = pyarrow.schema(
        pyarrow.field(name, column.type) for name, column in zip(table.column_names, columns, strict=True)
    )
    return pyarrow.table(columns, schema=schema)


def _plain(column: Any) -> Any:
    import pyarrow  # noqa: PLC0415 - an optional package
    from pyarrow import types  # noqa: PLC0415 - an optional package

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_unsigned_integer(column.type):
        return column.cast(pyarrow.int64())
    if types.is_float16(column.type):
        return column.cast(pyarrow.float32())
    if types.is_null(column.type):
        return column.cast(pyarrow.string())
    if types.is_time(column.type):
        return column.cast(pyarrow.time64("us"))
    if types.is_date64(column.type):
        return column.cast(pyarrow.date32())
    return column


def _field(column: Any, path: str, mistakes: list[str]) -> Any:
    """Return one column; what BigQuery has no type for is added to ``mistakes``."""
    from google.cloud.bigquery import SchemaField  # noqa: PLC0415 - an optional package
    from pyarrow import types  # noqa: PLC0415 - an optional package

    type_, mode = column.type, "NULLABLE"
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        type_, mode = type_.value_type, "REPEATED"
        if types.is_list(type_) or types.is_large_list(type_):
            mistakes.append(f"the column '{path}' holds lists of lists, which BigQuery does not have.")
            return None
    if types.is_dictionary(type_):
        type_ = type_.value_type
    if types.is_struct(type_):
        inner = [
            _field(type_.field(index), f"{path}.{type_.field(index).name}", mistakes) for index in range(len(type_))
        ]
        return SchemaField(column.name, "RECORD", mode=mode, fields=[field for field in inner if field is not None])
    name = _type_name(type_)
    if name is None:
        mistakes.append(f"the column '{path}' is of the type {type_}, which BigQuery does not have; convert it first.")
        return None
    return SchemaField(column.name, name, mode=mode)


def _type_name(type_: Any) -> str | None:
    from pyarrow import types  # noqa: PLC0415 - an optional package

    if types.is_timestamp(type_):
        return "DATETIME" if type_.tz is None else "TIMESTAMP"
    if types.is_decimal(type_):
        small = type_.scale <= _NUMERIC[1] and type_.precision - type_.scale <= _NUMERIC[0] - _NUMERIC[1]
        return "NUMERIC" if small else "BIGNUMERIC"
    for is_it, name in (
        (types.is_boolean, "BOOLEAN"),
        (types.is_integer, "INTEGER"),
        (types.is_floating, "FLOAT"),
        (types.is_string, "STRING"),
        (types.is_large_string, "STRING"),
        (types.is_string_view, "STRING"),
        (types.is_null, "STRING"),
        (types.is_binary, "BYTES"),
        (types.is_large_binary, "BYTES"),
        (types.is_fixed_size_binary, "BYTES"),
        (types.is_date, "DATE"),
        (types.is_time, "TIME"),
    ):
        if is_it(type_):
            return name
    return None


def _arrow_type(field: Any) -> Any:
    """Return what values of a column are in Arrow; None: they are taken as they come."""
    import pyarrow  # noqa: PLC0415 - an optional package

    if field.field_type in ("RECORD", "STRUCT"):
        inner = [(part.name, _arrow_type(part)) for part in field.fields]
        found = None if any(type_ is None for _, type_ in inner) else pyarrow.struct(inner)
    else:
        found = _arrow_scalar(field.field_type)
    return found if found is None or field.mode != "REPEATED" else pyarrow.list_(found)


def _arrow_scalar(name: str) -> Any:
    import pyarrow  # noqa: PLC0415 - an optional package

    return {
        "BOOLEAN": pyarrow.bool_(),
        "BOOL": pyarrow.bool_(),
        "INTEGER": pyarrow.int64(),
        "INT64": pyarrow.int64(),
        "FLOAT": pyarrow.float64(),
        "FLOAT64": pyarrow.float64(),
        "STRING": pyarrow.string(),
        "JSON": pyarrow.string(),
        "GEOGRAPHY": pyarrow.string(),
        "BYTES": pyarrow.binary(),
        "DATE": pyarrow.date32(),
        "TIME": pyarrow.time64("us"),
        "DATETIME": pyarrow.timestamp("us"),
        "TIMESTAMP": pyarrow.timestamp("us", tz="UTC"),
        "NUMERIC": pyarrow.decimal128(*_NUMERIC),
        "BIGNUMERIC": pyarrow.decimal256(*_BIGNUMERIC),
    }.get(name)


def _same_names(names: Sequence[str]) -> list[str]:
    """Return which names are the same to BigQuery, which does not tell capital letters from small ones."""
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    return [f"the columns {twice} have the same name to BigQuery, which does not look at case."] if twice else []
