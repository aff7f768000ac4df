"""The port of what turns values into rows of a BigQuery table and back, one implementation for each type of value.

bigquery_pandas.py and bigquery_pyspark.py are the two that come with Orchord; the IO manager is bigquery.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.io_managers.bigquery_client import BigQueryConnection, BigQueryWriteMode
from orchord.io_managers.bigquery_tables import TableSlice


@dataclass(frozen=True)
class BigQueryAccess:
    """What a handler is given to work with.

    Attributes:
        client: a ``google.cloud.bigquery.Client``.
        connection: how that client was made; reads and writes Arrow tables.
        write_mode: what a new value does to the table that is there.
        temporary_gcs_bucket: where Spark may put data on its way to BigQuery; None: it goes there directly.
    """

    client: Any
    connection: BigQueryConnection
    write_mode: BigQueryWriteMode
    temporary_gcs_bucket: str | None = None


class BigQueryTypeHandler(ABC):
    """Stores and loads values of some types."""

    @property
    @abstractmethod
    def supported_types(self) -> Sequence[type]:
        """The types whose values it takes and gives."""

    @abstractmethod
    def handle_output(
        self, context: OutputContext, table_slice: TableSlice, obj: Any, access: BigQueryAccess
    ) -> Mapping[str, Any]:
        """Store a value; return metadata to show."""

    @abstractmethod
    def load_input(self, context: InputContext, table_slice: TableSlice, access: BigQueryAccess) -> Any:
        """Return a table's content."""
