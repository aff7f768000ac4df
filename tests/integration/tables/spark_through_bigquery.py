"""A program of its own with a Spark session: stores and loads DataFrames, and prints what it saw as JSON.

Spark leaves threads and connections behind as long as its process lives, so no test has one of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import google.cloud.bigquery.client
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceWriter, WriterCommitMessage

import orchord as dg
from orchord.io_managers import bigquery_pyspark

google.cloud.bigquery.client._GENERIC_CONTENT_TYPE = "application/octet-stream"
PROJECT = "orchord-test"
OPTIONS_FILE = "/tmp/orchord-spark-options-{}.jsonl"


class Noting(DataSourceWriter, DataSourceReader):
    """Takes rows and gives none; the connector itself is a jar that no test has."""

    def write(self, iterator: Iterator[Any]) -> WriterCommitMessage:
        list(iterator)
        return WriterCommitMessage()

    def read(self, partition: Any) -> Iterator[tuple[Any, ...]]:
        return iter([(1,)])


class StandIn(DataSource):
    """A source called as the connector is, that notes the options that it is given."""

    @classmethod
    def name(cls) -> str:
        return "bigquery"

    def schema(self) -> str:
        return "A int"

    def _note(self) -> Noting:
        with open(OPTIONS_FILE.format(self.options["parentproject"]), "a", encoding="utf-8") as file:
            file.write(json.dumps({key.lower(): value for key, value in self.options.items()}) + "\n")
        return Noting()

    def writer(self, schema: Any, overwrite: bool) -> Any:
        return self._note()

    def reader(self, schema: Any) -> Any:
        return self._note()


def main(endpoint: str) -> dict[str, Any]:
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    manager = dg.BigQueryPySparkIOManager(project=PROJECT, dataset="spark", api_endpoint=endpoint)

    @dg.asset
    def orders() -> DataFrame:
        return spark.createDataFrame([("a", 1), ("b", 2), ("a", 3)], "customer string, amount long")

    @dg.asset
    def totals(orders: DataFrame) -> DataFrame:
        return orders.groupBy("customer").sum("amount").withColumnRenamed("sum(amount)", "amount")

    found = dg.materialize([orders, totals], resources={"io_manager": manager})
    tables = manager.process_config_and_initialize()

    def load(name: str) -> DataFrame:
        upstream = dg.build_output_context(asset_key=[name])
        return tables.load_input(dg.build_input_context(asset_key=[name], upstream_output=upstream))

    loaded = load("totals")
    types = spark.sql(
        "select 1L as whole, 'x' as text, 1.5D as part, timestamp'2020-01-01 12:00:00' as at, date'2020-02-02' as day, "
        "timestamp_ntz'2020-01-01 12:00:00' as local, array(1L, 2L) as many, named_struct('x', 1L) as nested, "
        "true as flag union all "
        "select 2L, null, null, null, null, null, array(), named_struct('x', 2L), null"
    )
    tables.handle_output(dg.build_output_context(asset_key=["types"]), types)
    after = load("types")
    tables.handle_output(dg.build_output_context(asset_key=["totals"]), loaded.limit(0))
    report = {
        "success": found.success,
        "totals": sorted(list(row) for row in loaded.collect()),
        "columns": loaded.columns,
        "types_before": sorted(str(row) for row in types.collect()),
        "types_after": sorted(str(row) for row in after.collect()),
        "rows_after_empty": load("totals").count(),
        "has_connector": bigquery_pyspark.has_connector(spark),
    }
    spark.dataSource.register(StandIn)
    bigquery_pyspark.has_connector = lambda session: True
    append = dg.BigQueryPySparkIOManager(project=PROJECT, dataset="spark", api_endpoint=endpoint, write_mode="append")
    tables = append.process_config_and_initialize()
    tables.handle_output(dg.build_output_context(asset_key=["by_connector"]), spark.sql("select 1 as a"))
    load("by_connector").collect()
    with open(OPTIONS_FILE.format(PROJECT), encoding="utf-8") as file:
        noted = [json.loads(line) for line in file]
    report["connector_options"] = [
        next(one for one in noted if "table" in one),
        next(one for one in noted if "table" not in one),
    ]
    spark.stop()
    return report


if __name__ == "__main__":
    OPTIONS_FILE = OPTIONS_FILE.replace("{}", "{}-" + sys.argv[1].rpartition(":")[2])
    print(json.dumps(main(sys.argv[1])))
