"""BigQueryIOManager: values as BigQuery tables. Config, and the way from a context to a table and a handler.

Handlers for the types of values are bigquery_pandas.py and bigquery_pyspark.py; names of tables are bigquery_tables.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from orchord.definitions.config import Field as ConfigField
from orchord.definitions.config import StringSource
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import IOManager, IOManagerDefinition
from orchord.definitions.resources import ConfigurableIOManagerFactory, InitResourceContext
from orchord.errors import InvariantViolationError
from orchord.io_managers.bigquery_client import BigQueryConnection, BigQueryWriteMode
from orchord.io_managers.bigquery_handlers import BigQueryAccess, BigQueryTypeHandler
from orchord.io_managers.bigquery_tables import table_slice


class BigQueryTables(IOManager):
    """Stores values as tables by the handlers that it is given. Made by BigQueryIOManager.

    Args:
        connection: how BigQuery is reached.
        handlers: what stores and loads values; two for one type are refused.
        dataset: the dataset of values that name none.
        write_mode: what a new value does to the table that is there.
        temporary_gcs_bucket: where Spark may put data on its way to BigQuery.
    """

    def __init__(
        self,
        connection: BigQueryConnection,
        handlers: Sequence[BigQueryTypeHandler],
        *,
        dataset: str | None = None,
        write_mode: BigQueryWriteMode = BigQueryWriteMode.TRUNCATE,
        temporary_gcs_bucket: str | None = None,
    ) -> None:
        self.connection = connection
        self.dataset = dataset
        self.write_mode = write_mode
        self.temporary_gcs_bucket = temporary_gcs_bucket
        self._by_type: dict[type, BigQueryTypeHandler] = {}
        for handler in handlers:
            for type_ in handler.supported_types:
                if type_ in self._by_type:
                    raise InvariantViolationError(
                        f"{type(handler).__name__} and {type(self._by_type[type_]).__name__} both handle "
                        f"{type_.__name__}. Return one of them from type_handlers()."
                    )
                self._by_type[type_] = handler

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value and note its table, its size and the query that reads it.

        Raises:
            InvariantViolationError: no handler takes such values, or the value does not fit.
        """
        handler = self._handler(type(obj), f"The value is of the type {_shown(type(obj))}")
        wanted = table_slice(context, context, project=self.connection.project, dataset=self.dataset)
        with self.connection.client() as client:
            metadata = handler.handle_output(context, wanted, obj, self._access(client))
        context.add_output_metadata(
            {
                "dagster/storage_kind": "bigquery",
                "dagster/table_name": wanted.table_id,
                "Query": wanted.select_statement(),
                **metadata,
            }
        )

    def load_input(self, context: InputContext) -> Any:
        """Return a table's content, as what the input's annotation says.

        Raises:
            FileNotFoundError: there is no such table.
            InvariantViolationError: no handler gives such values.
        """
        annotated = context.dagster_type.typing_type if context.dagster_type is not None else Any
        if annotated is Any or not isinstance(annotated, type):
            if len(self._by_type) != 1:
                known = " or ".join(_shown(type_) for type_ in self._by_type)
                raise InvariantViolationError(
                    f"The input '{context.name}' has no type, and several could be loaded. Annotate it: {known}."
                )
            handler = next(iter(self._by_type.values()))
        else:
            handler = self._handler(annotated, f"The input '{context.name}' is annotated as {_shown(annotated)}")
        wanted = table_slice(context, context.upstream_output, project=self.connection.project, dataset=self.dataset)
        with self.connection.client() as client:
            return handler.load_input(context, wanted, self._access(client))

    def _access(self, client: Any) -> BigQueryAccess:
        return BigQueryAccess(client, self.connection, self.write_mode, self.temporary_gcs_bucket)

    def _handler(self, wanted: type, what: str) -> BigQueryTypeHandler:
        for type_, handler in self._by_type.items():
            if issubclass(wanted, type_):
                return handler
        known = ", ".join(_shown(type_) for type_ in self._by_type)
        raise InvariantViolationError(f"{what}, which this BigQuery IO manager does not handle. It handles: {known}.")


class BigQueryIOManager(ConfigurableIOManagerFactory):
    """Stores values as BigQuery tables: subclass it and say in ``type_handlers`` which types of values.

    A table bears the name of its asset or output. Its dataset is the metadata ``schema`` of the asset or ``Out``, else
    ``dataset``, else the last prefix of the asset's key, else ``public``. The metadata ``columns`` of an ``In`` or
    ``AssetIn`` is a list of the columns to load. A new value takes the place of the old one by one load job, so a
    reader sees the one or the other.
    """

    project: str = Field(description="The Google Cloud project.")
    dataset: str | None = Field(default=None, description="The dataset of values that name none.")
    location: str | None = Field(
        default=None, description="Where datasets are made. With Spark's connector, the session says it."
    )
    gcp_credentials: str | None = Field(
        default=None,
        repr=False,
        description="A service account's key file in Base64. Without it, the machine's own credentials are used.",
    )
    temporary_gcs_bucket: str | None = Field(
        default=None, description="A bucket through which Spark's connector writes; without it, it writes directly."
    )
    timeout: float | None = Field(default=None, description="Seconds that one request to BigQuery may take.")
    write_mode: BigQueryWriteMode = Field(
        default=BigQueryWriteMode.TRUNCATE, description="What a new value does to the table: truncate, append, replace."
    )
    api_endpoint: str | None = Field(
        default=None, description="Another server than Google's, such as http://127.0.0.1:9050 of an emulator."
    )

    @staticmethod
    @abstractmethod
    def type_handlers() -> Sequence[BigQueryTypeHandler]:
        """Return what stores and loads values."""

    def create_io_manager(self, context: InitResourceContext) -> BigQueryTables:
        """Return the IO manager."""
        return BigQueryTables(
            BigQueryConnection(
                project=self.project,
                location=self.location,
                gcp_credentials=self.gcp_credentials,
                api_endpoint=self.api_endpoint,
                timeout=self.timeout,
            ),
            self.type_handlers(),
            dataset=self.dataset,
            write_mode=self.write_mode,
            temporary_gcs_bucket=self.temporary_gcs_bucket,
        )


_OPTIONAL_KEYS = ("dataset", "location", "gcp_credentials", "temporary_gcs_bucket", "write_mode", "api_endpoint")


def build_bigquery_io_manager(type_handlers: Sequence[BigQueryTypeHandler]) -> IOManagerDefinition:
    """Make an IO manager's definition of handlers, to be given config by ``.configured`` or in run config."""

    def make(context: InitResourceContext) -> BigQueryTables:
        config = dict(context.resource_config)
        dataset, bucket = config.pop("dataset", None), config.pop("temporary_gcs_bucket", None)
        mode = BigQueryWriteMode(config.pop("write_mode", BigQueryWriteMode.TRUNCATE))
        return BigQueryTables(
            BigQueryConnection(**config),
            type_handlers,
            dataset=dataset,
            write_mode=mode,
            temporary_gcs_bucket=bucket,
        )

    schema: dict[str, Any] = {name: ConfigField(StringSource, is_required=False) for name in _OPTIONAL_KEYS}
    schema |= {"project": StringSource, "timeout": ConfigField(float, is_required=False)}
    return IOManagerDefinition(make, schema, "Stores values as BigQuery tables.")


def _shown(type_: type) -> str:
    return f"{type_.__module__}.{type_.__qualname__}".removeprefix("builtins.")
