"""pandas DataFrames in BigQuery tables. Imports pandas when it is first used, and not before.

Column names are upper case in tables that are made here, and lower case in what is loaded, as users of Dagster know it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.metadata import MetadataValue
from orchord.definitions.table_schema import TableColumn, TableSchema
from orchord.errors import InvariantViolationError, OrchordError
from orchord.io_managers.bigquery import BigQueryIOManager, build_bigquery_io_manager
from orchord.io_managers.bigquery_client import EXTRA
from orchord.io_managers.bigquery_handlers import BigQueryAccess, BigQueryTypeHandler
from orchord.io_managers.bigquery_tables import TableSlice


class BigQueryPandasTypeHandler(BigQueryTypeHandler):
    """Stores and loads ``pandas.DataFrame``. The index is not stored."""

    @property
    def supported_types(self) -> Sequence[type]:
        """``pandas.DataFrame``."""
        return [_pandas().DataFrame]

    def handle_output(
        self, context: OutputContext, table_slice: TableSlice, obj: Any, access: BigQueryAccess
    ) -> Mapping[str, Any]:
        """Store a DataFrame; return its number of rows and its columns.

        Raises:
            InvariantViolationError: a column cannot be stored, as its values are of several types.
        """
        import pyarrow  # noqa: PLC0415 - an optional package

        try:
            rows = pyarrow.Table.from_pandas(obj, preserve_index=False)
        except (ValueError, pyarrow.ArrowTypeError) as error:
            raise InvariantViolationError(
                f"The DataFrame cannot be stored in {table_slice.table_id}: {error}. "
                "Give each column a name of its own, and values of one type."
            ) from error
        rows = rows.rename_columns([name.upper() for name in rows.column_names])
        access.connection.write(access.client, table_slice, rows, access.write_mode)
        columns = [TableColumn(name=str(name), type=str(dtype)) for name, dtype in obj.dtypes.items()]
        return {
            "dagster/row_count": len(obj),
            "dataframe_columns": MetadataValue.table_schema(TableSchema(columns=columns)),
        }

    def load_input(self, context: InputContext, table_slice: TableSlice, access: BigQueryAccess) -> Any:
        """Return a table's content as a DataFrame."""
        rows = access.connection.read(access.client, table_slice)
        return rows.rename_columns([name.lower() for name in rows.column_names]).to_pandas()


class BigQueryPandasIOManager(BigQueryIOManager):
    """Stores pandas DataFrames as BigQuery tables. Needs ``pip install 'orchord[bigquery]'``."""

    @staticmethod
    def type_handlers() -> Sequence[BigQueryTypeHandler]:
        """The handler of DataFrames."""
        return [BigQueryPandasTypeHandler()]


bigquery_pandas_io_manager = build_bigquery_io_manager([BigQueryPandasTypeHandler()])


def _pandas() -> Any:
    try:
        import pandas  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise OrchordError(f"BigQueryPandasIOManager needs pandas, which is not installed: {EXTRA}") from error
    return pandas
