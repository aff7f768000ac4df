"""Values as BigQuery tables, by the real client against an emulator: what is stored is what is loaded."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import orchord as dg

pytestmark = [pytest.mark.bigquery, pytest.mark.timeout(300)]
PROJECT = "orchord-test"
SPARK_SCRIPT = Path(__file__).parent / "spark_through_bigquery.py"


@pytest.fixture
def pandas() -> Any:
    return pytest.importorskip("pandas")


class Tables:
    """An IO manager over the emulator, called as a run calls it."""

    def __init__(self, endpoint: str, dataset: str, **fields: Any) -> None:
        self.manager = dg.BigQueryPandasIOManager(
            project=PROJECT, dataset=dataset, api_endpoint=endpoint, **fields
        ).process_config_and_initialize()

    def store(self, name: str, value: Any) -> dict[str, Any]:
        context = dg.build_output_context(asset_key=[name])
        self.manager.handle_output(context, value)
        return {key: found.value for key, found in context.get_logged_metadata().items()}

    def load(self, name: str, **context: Any) -> Any:
        upstream = dg.build_output_context(asset_key=[name])
        return self.manager.load_input(dg.build_input_context(asset_key=[name], upstream_output=upstream, **context))


@pytest.fixture
def tables(bigquery_endpoint: str, bigquery_dataset: str, pandas: Any) -> Tables:
    return Tables(bigquery_endpoint, bigquery_dataset)


def rows(frame: Any) -> list[dict[str, Any]]:
    return frame.to_dict(orient="records")


def test_BigQueryPandasIOManager_stores_assets_and_loads_them(
    bigquery_endpoint: str, bigquery_dataset: str, pandas: Any
) -> None:
    @dg.asset(key_prefix=[bigquery_dataset])
    def orders() -> Any:
        return pandas.DataFrame({"customer": ["a", "b", "a"], "amount": [1, 2, 3]})

    @dg.asset(key_prefix=[bigquery_dataset], ins={"orders": dg.AssetIn(key=[bigquery_dataset, "orders"])})
    def totals(orders: Any) -> Any:
        return orders.groupby("customer", as_index=False).sum()

    manager = dg.BigQueryPandasIOManager(project=PROJECT, api_endpoint=bigquery_endpoint)
    found = dg.materialize([orders, totals], resources={"io_manager": manager})

    assert found.success
    [made] = found.asset_materializations_for_node(f"{bigquery_dataset}__totals")
    assert made.metadata["dagster/row_count"].value == 2
    assert made.metadata["dagster/table_name"].value == f"{PROJECT}.{bigquery_dataset}.totals"
    again = Tables(bigquery_endpoint, bigquery_dataset)
    assert sorted(rows(again.load("totals")), key=str) == [
        {"customer": "a", "amount": 4},
        {"customer": "b", "amount": 2},
    ]


def test_an_ops_output_has_the_table_and_dataset_of_its_metadata(
    bigquery_endpoint: str, bigquery_dataset: str, pandas: Any
) -> None:
    @dg.op(out=dg.Out(metadata={"schema": bigquery_dataset, "table": "made_here"}))
    def make() -> Any:
        return pandas.DataFrame({"a": [1], "b": [2]})

    @dg.op(ins={"made": dg.In(metadata={"columns": ["b"]})}, out=dg.Out(io_manager_key="memory"))
    def columns_of(made: Any) -> list[str]:
        return list(made.columns)

    configured = dg.bigquery_pandas_io_manager.configured({"project": PROJECT, "api_endpoint": bigquery_endpoint})

    @dg.job(resource_defs={"io_manager": configured, "memory": dg.mem_io_manager})
    def work() -> None:
        columns_of(make())

    found = work.execute_in_process()
    assert found.output_for_node("columns_of") == ["b"]
    assert rows(Tables(bigquery_endpoint, bigquery_dataset).load("made_here")) == [{"a": 1, "b": 2}]


def test_values_of_all_types_come_back_as_they_were(tables: Tables, pandas: Any) -> None:
    moment = pandas.to_datetime(["2020-01-01T12:00:00.000001", "2021-01-01"], format="ISO8601")
    frame = pandas.DataFrame(
        {
            "whole": [1, 2],
            "text": ["x", None],
            "part": [1.5, 2.5],
            "at": moment.tz_localize("UTC"),
            "local": moment,
            "kind": pandas.Categorical(["a", "b"]),
            "price": [decimal.Decimal("1.50"), decimal.Decimal("2")],
            "day": [dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
            "flag": [True, False],
            "raw": [b"\x00\xff", b""],
            "many": [[1, 2], [3]],
            "nested": [{"x": 1}, {"x": 2}],
        }
    )
    tables.store("types", frame)
    loaded = tables.load("types").sort_values("whole")
    for name in ("whole", "part", "at", "local", "kind", "price", "day", "flag", "raw", "nested"):
        assert list(loaded[name]) == list(frame[name]), name
    assert [list(each) for each in loaded["many"]] == [[1, 2], [3]]
    assert loaded["text"].isna().tolist() == [False, True]


def test_a_new_value_takes_the_place_of_the_old_one_and_leaves_columns_that_it_lacks_empty(
    tables: Tables, pandas: Any
) -> None:
    tables.store("numbers", pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    tables.store("numbers", pandas.DataFrame({"A": [3]}))
    [only] = rows(tables.load("numbers"))
    assert only["a"] == 3
    assert pandas.isna(only["b"])


def test_an_empty_value_empties_the_table_and_keeps_its_columns(tables: Tables, pandas: Any) -> None:
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    tables.store("numbers", frame)
    tables.store("numbers", frame.iloc[:0])
    assert list(tables.load("numbers").columns) == ["a", "b"]
    assert len(tables.load("numbers")) == 0
    assert tables.store("never_filled", frame.iloc[:0])["dagster/row_count"] == 0
    assert len(tables.load("never_filled")) == 0


def test_append_adds_rows(bigquery_endpoint: str, bigquery_dataset: str, pandas: Any) -> None:
    tables = Tables(bigquery_endpoint, bigquery_dataset, write_mode="append")
    tables.store("numbers", pandas.DataFrame({"a": [1]}))
    tables.store("numbers", pandas.DataFrame({"a": [2]}))
    assert sorted(tables.load("numbers")["a"]) == [1, 2]


def test_replace_makes_the_table_anew_with_other_columns(
    bigquery_endpoint: str, bigquery_dataset: str, pandas: Any
) -> None:
    tables = Tables(bigquery_endpoint, bigquery_dataset, write_mode="replace")
    tables.store("numbers", pandas.DataFrame({"a": [1, 2]}))
    tables.store("numbers", pandas.DataFrame({"c": ["x"]}))
    assert rows(tables.load("numbers")) == [{"c": "x"}]


def test_all_columns_that_do_not_fit_are_told_at_once(tables: Tables, pandas: Any) -> None:
    tables.store("numbers", pandas.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(dg.InvariantViolationError) as caught:
        tables.store("numbers", pandas.DataFrame({"a": ["x"], "more": [1]}))
    told = str(caught.value)
    assert "the table has no column 'MORE'" in told
    assert "the column 'A' is INTEGER there, large_string here" in told or "the column 'A' is INTEGER there" in told
    assert "write_mode='replace'" in told
    assert rows(tables.load("numbers")) == [{"a": 1, "b": 2}]


def test_columns_that_differ_in_case_alone_are_refused(tables: Tables, pandas: Any) -> None:
    with pytest.raises(dg.InvariantViolationError, match="have the same name to BigQuery"):
        tables.store("numbers", pandas.DataFrame([[1, 2]], columns=["a", "A"]))


def test_a_table_that_is_not_there_is_told_of(tables: Tables) -> None:
    with pytest.raises(FileNotFoundError, match=rf"There is no table {PROJECT}\.lake_\d+\.nothing in BigQuery"):
        tables.load("nothing")


def test_a_value_of_another_type_is_refused_with_the_types_that_are_taken(tables: Tables) -> None:
    with pytest.raises(dg.InvariantViolationError, match=r"type int, .* It handles: pandas.DataFrame"):
        tables.store("numbers", 5)


def test_two_million_rows_pass_by_an_upload_in_parts(tables: Tables, pandas: Any) -> None:
    tables.store("many", pandas.DataFrame({"a": range(2_000_000)}))
    tables.store("many", pandas.DataFrame({"a": range(2_000_000)}))
    assert tables.load("many")["a"].sum() == sum(range(2_000_000))


@pytest.mark.parametrize("key", ["not base64!", base64.b64encode(b'{"private_key": "top-secret"}').decode()])
def test_credentials_that_cannot_be_read_are_not_shown(key: str, pandas: Any) -> None:
    manager = dg.BigQueryPandasIOManager(project=PROJECT, gcp_credentials=key)
    assert key not in repr(manager)
    with pytest.raises(dg.InvariantViolationError, match="gcp_credentials cannot be read") as caught:
        manager.process_config_and_initialize().handle_output(
            dg.build_output_context(asset_key=["a"]), pandas.DataFrame({"a": [1]})
        )
    assert "top-secret" not in str(caught.value)
    assert key not in str(caught.value)


@pytest.fixture(scope="session")
def spark_report(bigquery_server: str) -> dict[str, Any]:
    """What a process with a Spark of its own has stored and loaded."""
    pytest.importorskip("pyspark")
    command = [sys.executable, "-W", "ignore", str(SPARK_SCRIPT), bigquery_server]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    if "JAVA_GATEWAY_EXITED" in done.stderr:
        pytest.skip("needs Java")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_BigQueryPySparkIOManager_stores_assets_and_loads_them(spark_report: dict[str, Any]) -> None:
    assert spark_report["success"] is True
    assert spark_report["totals"] == [["a", 4], ["b", 2]]
    assert spark_report["columns"] == ["customer", "amount"]


@pytest.mark.slow
def test_spark_values_of_all_types_come_back_as_they_were(spark_report: dict[str, Any]) -> None:
    assert spark_report["types_before"] == spark_report["types_after"]


@pytest.mark.slow
def test_an_empty_spark_value_empties_the_table(spark_report: dict[str, Any]) -> None:
    assert spark_report["rows_after_empty"] == 0


@pytest.mark.slow
def test_spark_goes_by_its_connector_where_there_is_one(spark_report: dict[str, Any]) -> None:
    assert spark_report["has_connector"] is False
    written, read = spark_report["connector_options"]
    assert written["table"] == f"{PROJECT}.spark.by_connector"
    assert written["writemethod"] == "direct"
    assert read["materializationdataset"] == "spark"
    assert read["path"] == f"SELECT * FROM `{PROJECT}.spark.by_connector`"
