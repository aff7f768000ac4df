"""PySpark DataFrames in BigQuery tables: by Spark's BigQuery connector where its jar is there, else through the driver.

Imports pyspark when it is first used, and not before. Column names are treated as bigquery_pandas.py does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.metadata import MetadataValue
from orchord.definitions.table_schema import TableColumn, TableSchema
from orchord.errors import OrchordError
from orchord.io_managers.bigquery import BigQueryIOManager, build_bigquery_io_manager
from orchord.io_managers.bigquery_client import BigQueryWriteMode
from orchord.io_managers.bigquery_handlers import BigQueryAccess, BigQueryTypeHandler
from orchord.io_managers.bigquery_tables import TableSlice

EXTRA = "pip install 'orchord[bigquery-pyspark]'"
CONNECTOR_CLASS = "com.google.cloud.spark.bigquery.BigQueryRelationProvider"


class BigQueryPySparkTypeHandler(BigQueryTypeHandler):
    """Stores and loads ``pyspark.sql.DataFrame``.

    Without the connector's jar, rows pass through the memory of the driver's process.
    """

    @property
    def supported_types(self) -> Sequence[type]:
        """``pyspark.sql.DataFrame``, which is every kind of DataFrame in PySpark 4."""
        try:
            from pyspark.sql import DataFrame  # noqa: PLC0415 - an optional package
        except ImportError as error:
            raise OrchordError(f"BigQueryPySparkIOManager needs pyspark, which is not installed: {EXTRA}") from error
        return [DataFrame]

    def handle_output(
        self, context: OutputContext, table_slice: TableSlice, obj: Any, access: BigQueryAccess
    ) -> Mapping[str, Any]:
        """Store a DataFrame; return its columns."""
        stored = obj.toDF(*[name.upper() for name in obj.columns])
        if has_connector(obj.sparkSession):
            if access.write_mode is BigQueryWriteMode.REPLACE:
                access.client.delete_table(table_slice.table_id, not_found_ok=True)
            appends = access.write_mode is BigQueryWriteMode.APPEND
            writer = stored.write.format("bigquery").options(**_write_options(table_slice, access))
            writer.mode("append" if appends else "overwrite").save()
        else:
            access.connection.write(access.client, table_slice, _collected(stored), access.write_mode)
        columns = [TableColumn(name=field.name, type=field.dataType.typeName()) for field in obj.schema.fields]
        return {"dataframe_columns": MetadataValue.table_schema(TableSchema(columns=columns))}

    def load_input(self, context: InputContext, table_slice: TableSlice, access: BigQueryAccess) -> Any:
        """Return a table's content as a DataFrame of the active session, or of a new one."""
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an optional package

        spark: Any = SparkSession.builder.getOrCreate()
        if has_connector(spark):
            reader = spark.read.format("bigquery").options(**_read_options(table_slice, access))
            loaded = reader.load(table_slice.select_statement())
        else:
            rows = access.connection.read(access.client, table_slice)
            loaded = _distributed(spark, rows)
        return loaded.toDF(*[name.lower() for name in loaded.columns])


class BigQueryPySparkIOManager(BigQueryIOManager):
    """Stores PySpark DataFrames as BigQuery tables. Needs ``pip install 'orchord[bigquery-pyspark]'``.

    Give the session Spark's BigQuery connector for tables that one process's memory cannot hold.
    """

    @staticmethod
    def type_handlers() -> Sequence[BigQueryTypeHandler]:
        """The handler of DataFrames."""
        return [BigQueryPySparkTypeHandler()]


bigquery_pyspark_io_manager = build_bigquery_io_manager([BigQueryPySparkTypeHandler()])


def has_connector(spark: Any) -> bool:
    """Return whether a session has Spark's BigQuery connector; by Spark Connect it cannot be told."""
    jvm = getattr(spark, "_jvm", None)
    if jvm is None:
        return False
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - an optional package

    try:
        jvm.org.apache.spark.util.Utils.getContextOrSparkClassLoader().loadClass(CONNECTOR_CLASS)
    except Py4JJavaError:
        return False
    return True


def _write_options(table_slice: TableSlice, access: BigQueryAccess) -> dict[str, str]:
    options = {"table": table_slice.table_id, "parentProject": access.connection.project}
    if access.temporary_gcs_bucket is None:
        options["writeMethod"] = "direct"
    else:
        options["temporaryGcsBucket"] = access.temporary_gcs_bucket
    return options | _credentials(access)


def _read_options(table_slice: TableSlice, access: BigQueryAccess) -> dict[str, str]:
    # A query's result is put into a table of this dataset, which the connector then reads.
    options = {"viewsEnabled": "true", "materializationDataset": table_slice.schema}
    return options | {"parentProject": access.connection.project} | _credentials(access)


def _credentials(access: BigQueryAccess) -> dict[str, str]:
    # The connector takes the key as it is in config; Spark masks options of this name in its plans.
    key = access.connection.gcp_credentials
    return {} if key is None else {"credentials": key}


def _collected(stored: Any) -> Any:
    """Return a DataFrame's rows as an Arrow table in this process."""
    if hasattr(stored, "toArrow"):
        return stored.toArrow()
    import pyarrow  # noqa: PLC0415 - an optional package

    return pyarrow.Table.from_pandas(stored.toPandas(), preserve_index=False)


def _distributed(spark: Any, rows: Any) -> Any:
    from pyspark import __version__  # noqa: PLC0415 - an optional package

    # Older ones take no Arrow tables.
    return spark.createDataFrame(rows if int(__version__.partition(".")[0]) >= 4 else rows.to_pandas())
