"""Metadata values: every kind by its factory, from plain Python values, and to JSON and back."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

import orchord as dg
from orchord.definitions.metadata import MetadataValue, metadata_to_json, normalize_metadata
from orchord.errors import InvalidDefinitionError

SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("id", "int", "The id.", dg.TableColumnConstraints(nullable=False, unique=True), {"pii": "no"}),
        dg.TableColumn("name"),
    ],
    constraints=dg.TableConstraints(other=["id < 10"]),
)
LINEAGE = dg.TableColumnLineage({"total": [dg.TableColumnDep(dg.AssetKey(["shop", "orders"]), "amount")]})
EVERY_KIND = [
    (MetadataValue.text("a"), "text", "a"),
    (MetadataValue.int(3), "int", 3),
    (MetadataValue.float(1.5), "float", 1.5),
    (MetadataValue.bool(True), "bool", True),
    (MetadataValue.url("https://x.io"), "url", "https://x.io"),
    (MetadataValue.path(Path("/a/b")), "path", "/a/b"),
    (MetadataValue.notebook("/a.ipynb"), "notebook", "/a.ipynb"),
    (MetadataValue.json({"a": [1, None]}), "json", {"a": [1, None]}),
    (MetadataValue.md("# a"), "md", "# a"),
    (MetadataValue.python_artifact(Path), "python_artifact", {"module": Path.__module__, "name": "Path"}),
    (MetadataValue.dagster_run("r1"), "dagster_run", "r1"),
    (MetadataValue.asset(["a", "b"]), "asset", "a/b"),
    (MetadataValue.job("j", "l"), "job", {"job_name": "j", "location_name": "l", "repository_name": None}),
    (MetadataValue.table_schema(SCHEMA), "table_schema", SCHEMA.to_json()),
    (
        MetadataValue.table([dg.TableRecord({"id": 1, "name": "x"})]),
        "table",
        {
            "records": [{"id": 1, "name": "x"}],
            "schema": dg.TableSchema.from_name_type_dict({"id": "int", "name": "string"}).to_json(),
        },
    ),
    (
        MetadataValue.column_lineage(LINEAGE),
        "table_column_lineage",
        {"total": [{"asset_key": "shop/orders", "column": "amount"}]},
    ),
    (MetadataValue.code_location("/a.py", 7), "code_location", {"file_path": "/a.py", "line_number": 7}),
    (MetadataValue.timestamp(datetime(1970, 1, 1, 0, 1, tzinfo=UTC)), "timestamp", 60.0),
    (MetadataValue.null(), "null", None),
]


@pytest.mark.parametrize(("value", "type_name", "data"), EVERY_KIND, ids=[kind for _, kind, _ in EVERY_KIND])
def test_json_and_back(value, type_name, data):
    written = value.to_json()
    assert written == {"type": type_name, "value": data}
    assert MetadataValue.from_json(json.loads(json.dumps(written))) == value
    assert hash(value) == hash(MetadataValue.from_json(written))


def test_numbers_that_json_lacks_survive():
    for number in (math.inf, -math.inf):
        assert MetadataValue.from_json(json.loads(json.dumps(MetadataValue.float(number).to_json()))).value == number
    assert math.isnan(MetadataValue.from_json(MetadataValue.float(math.nan).to_json()).value)


def test_a_type_of_a_later_version_is_kept_as_json():
    assert MetadataValue.from_json({"type": "hologram", "value": 1}).value == {"type": "hologram", "value": 1}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a", MetadataValue.text("a")),
        (True, MetadataValue.bool(True)),
        (3, MetadataValue.int(3)),
        (1.5, MetadataValue.float(1.5)),
        ({"a": 1}, MetadataValue.json({"a": 1})),
        ([1], MetadataValue.json([1])),
        ((1,), MetadataValue.json([1])),
        (None, MetadataValue.null()),
        (Path("/a"), MetadataValue.path("/a")),
        (dg.AssetKey("a"), MetadataValue.asset("a")),
        (SCHEMA, MetadataValue.table_schema(SCHEMA)),
        (LINEAGE, MetadataValue.column_lineage(LINEAGE)),
        (MetadataValue.md("a"), MetadataValue.md("a")),
    ],
    ids=repr,
)
def test_plain_values_become_kinds(raw, value):
    assert normalize_metadata({"label": raw}) == {"label": value}


def test_all_that_fits_no_kind_is_told_at_once():
    with pytest.raises(InvalidDefinitionError) as caught:
        normalize_metadata({"a": object(), "b": {"x": object()}, 3: "c"})
    text = str(caught.value)
    assert text.startswith("Metadata is not valid (3 mistakes):")
    assert "'a': <object object" in text
    assert "is no value of metadata. Use a string, a number, a bool" in text
    assert "'b': MetadataValue.json needs a value that JSON can hold" in text
    assert "the label 3 is not a string" in text


def test_metadata_of_definitions_may_hold_anything_and_shows_only_types_of_the_rest():
    assert metadata_to_json({"a": object(), "b": 1}) == {
        "a": {"type": "text", "value": "[object] (not shown)"},
        "b": {"type": "int", "value": 1},
    }


def test_values_say_what_they_hold_by_the_fields_names():
    assert MetadataValue.url("u").url == "u"
    assert MetadataValue.text("t").text == "t"
    assert MetadataValue.path("p").path == "p"
    assert MetadataValue.md("m").md_str == "m"
    assert MetadataValue.json([1]).data == [1]
    assert MetadataValue.asset("a").asset_key == dg.AssetKey("a")
    assert MetadataValue.dagster_run("r").run_id == "r"
    assert MetadataValue.job("j").job_name == "j"
    assert MetadataValue.table([dg.TableRecord({"a": 1})]).schema.columns[0].type == "int"
    assert MetadataValue.table_schema(SCHEMA).schema is SCHEMA
    assert MetadataValue.column_lineage(LINEAGE).column_lineage is LINEAGE
    assert MetadataValue.table_column_lineage(LINEAGE) == MetadataValue.column_lineage(LINEAGE)
    assert MetadataValue.code_location("/a.py").file_path == "/a.py"


def test_a_table_without_records_needs_a_schema():
    with pytest.raises(InvalidDefinitionError, match="MetadataValue.table without records needs schema"):
        MetadataValue.table([])


def test_a_time_without_zone_is_refused():
    with pytest.raises(InvalidDefinitionError, match="without a time zone. Give an aware datetime"):
        MetadataValue.timestamp(datetime(2026, 1, 1))
