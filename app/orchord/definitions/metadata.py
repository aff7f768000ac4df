"""Metadata: labelled values that users attach to what they define and to what their steps make.

Here are the kinds of values, how a plain Python value becomes one, and their JSON form. Tables are in table_schema.py.
"""

from __future__ import annotations

import builtins
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.table_schema import TableColumnLineage, TableRecord, TableSchema
from orchord.errors import InvalidDefinitionError, numbered


class _Factories(type):
    """The factories ``MetadataValue.text(...)`` and so on; on the metaclass, so that values do not carry them."""

    def text(cls, text: str) -> TextMetadataValue:
        """A text."""
        return TextMetadataValue(text)

    def url(cls, url: str) -> UrlMetadataValue:
        """An address, shown as a link."""
        return UrlMetadataValue(url)

    def path(cls, path: str | os.PathLike[str]) -> PathMetadataValue:
        """A path in a file system."""
        return PathMetadataValue(path)

    def notebook(cls, path: str | os.PathLike[str]) -> NotebookMetadataValue:
        """The path of a notebook."""
        return NotebookMetadataValue(path)

    def json(cls, data: Any) -> JsonMetadataValue:
        """Anything that JSON can hold."""
        return JsonMetadataValue(data)

    def md(cls, data: str) -> MarkdownMetadataValue:
        """A text in Markdown."""
        return MarkdownMetadataValue(data)

    def python_artifact(cls, python_artifact: Any) -> PythonArtifactMetadataValue:
        """A function or class, by its module and name."""
        return PythonArtifactMetadataValue(python_artifact.__module__, python_artifact.__qualname__)

    def float(cls, value: builtins.float) -> FloatMetadataValue:
        """A floating-point number."""
        return FloatMetadataValue(value)

    def int(cls, value: builtins.int) -> IntMetadataValue:
        """A whole number."""
        return IntMetadataValue(value)

    def bool(cls, value: builtins.bool) -> BoolMetadataValue:
        """True or False."""
        return BoolMetadataValue(value)

    def timestamp(cls, value: builtins.float | datetime) -> TimestampMetadataValue:
        """A moment: seconds since 1970, or an aware datetime."""
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise InvalidDefinitionError(
                    f"MetadataValue.timestamp got {value!r} without a time zone. Give an aware datetime."
                )
            return TimestampMetadataValue(value.timestamp())
        return TimestampMetadataValue(value)

    def dagster_run(cls, run_id: str) -> DagsterRunMetadataValue:
        """A run, by its id."""
        return DagsterRunMetadataValue(run_id)

    def asset(cls, asset_key: CoercibleToAssetKey) -> DagsterAssetMetadataValue:
        """An asset, by its key."""
        return DagsterAssetMetadataValue(asset_key)

    def job(
        cls, job_name: str, location_name: str | None = None, *, repository_name: str | None = None
    ) -> DagsterJobMetadataValue:
        """A job, by its name."""
        return DagsterJobMetadataValue(job_name, location_name, repository_name)

    def table(cls, records: Sequence[TableRecord], schema: TableSchema | None = None) -> TableMetadataValue:
        """A few records of a table."""
        return TableMetadataValue(records, schema)

    def table_schema(cls, schema: TableSchema) -> TableSchemaMetadataValue:
        """The columns of a table."""
        return TableSchemaMetadataValue(schema)

    def column_lineage(cls, lineage: TableColumnLineage) -> TableColumnLineageMetadataValue:
        """Which columns each column was made from; as ``table_column_lineage``."""
        return TableColumnLineageMetadataValue(lineage)

    def table_column_lineage(cls, lineage: TableColumnLineage) -> TableColumnLineageMetadataValue:
        """Which columns each column was made from."""
        return TableColumnLineageMetadataValue(lineage)

    def code_location(
        cls, file_path: str | os.PathLike[str], line_number: builtins.int = 1
    ) -> CodeReferenceMetadataValue:
        """A file and a line of code."""
        return CodeReferenceMetadataValue(file_path, line_number)

    def null(cls) -> NullMetadataValue:
        """Nothing."""
        return NullMetadataValue()


class MetadataValue(metaclass=_Factories):
    """One value of metadata. Make one by the factories: ``MetadataValue.int(3)``, ``.url(...)``, ``.table(...)``.

    Each kind has a class of its own, whose ``value`` is the Python value, and whose ``type_name`` tags its JSON.
    """

    type_name: ClassVar[str] = ""
    value: Any

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.type_name, repr(self.value)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"

    def to_json(self) -> dict[str, Any]:
        """Return ``{"type": <type_name>, "value": <JSON-able>}``; tables and jobs have further keys."""
        return {"type": self.type_name, "value": self.value}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> MetadataValue:
        """Return the value that ``to_json`` wrote; a type that this version does not know becomes ``json``."""
        cls = _CLASSES.get(data.get("type", ""))
        return JsonMetadataValue(dict(data)) if cls is None else cls._from_json(data)

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(data["value"])


class TextMetadataValue(MetadataValue):
    """A text."""

    type_name = "text"
    value: str

    @property
    def text(self) -> str:
        """The text."""
        return self.value


class UrlMetadataValue(MetadataValue):
    """An address that the console shows as a link."""

    type_name = "url"
    value: str

    @property
    def url(self) -> str:
        """The address."""
        return self.value


class PathMetadataValue(MetadataValue):
    """A path in a file system."""

    type_name = "path"
    value: str

    def __init__(self, value: str | os.PathLike[str]) -> None:
        super().__init__(os.fspath(value))

    @property
    def path(self) -> str:
        """The path."""
        return self.value


class NotebookMetadataValue(PathMetadataValue):
    """The path of a notebook."""

    type_name = "notebook"


class JsonMetadataValue(MetadataValue):
    """Anything that JSON can hold."""

    type_name = "json"

    def __init__(self, value: Any) -> None:
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise InvalidDefinitionError(
                f"MetadataValue.json needs a value that JSON can hold, not {value!r}: {error}"
            ) from None
        super().__init__(value)

    @property
    def data(self) -> Any:
        """The data."""
        return self.value


class MarkdownMetadataValue(MetadataValue):
    """A text in Markdown."""

    type_name = "md"
    value: str

    @property
    def md_str(self) -> str:
        """The text."""
        return self.value


class PythonArtifactMetadataValue(MetadataValue):
    """The module and name of a Python object."""

    type_name = "python_artifact"

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @property
    def value(self) -> PythonArtifactMetadataValue:
        """The artifact itself."""
        return self

    def __hash__(self) -> int:
        return hash((self.module, self.name))

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": {"module": self.module, "name": self.name}}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(**data["value"])


class FloatMetadataValue(MetadataValue):
    """A floating-point number; infinities and NaN are written as texts, since JSON has no numbers for them."""

    type_name = "float"
    value: float

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": self.value if math.isfinite(self.value) else str(self.value)}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(float(data["value"]))


class IntMetadataValue(MetadataValue):
    """A whole number."""

    type_name = "int"
    value: int


class BoolMetadataValue(MetadataValue):
    """True or False."""

    type_name = "bool"
    value: bool


class TimestampMetadataValue(MetadataValue):
    """A moment, in seconds since 1970 (UTC)."""

    type_name = "timestamp"
    value: float


class DagsterRunMetadataValue(MetadataValue):
    """The id of a run, shown as a link to it."""

    type_name = "dagster_run"
    value: str

    @property
    def run_id(self) -> str:
        """The id."""
        return self.value


class DagsterAssetMetadataValue(MetadataValue):
    """An asset, shown as a link to it."""

    type_name = "asset"
    value: AssetKey

    def __init__(self, value: CoercibleToAssetKey) -> None:
        super().__init__(AssetKey.from_coercible(value))

    @property
    def asset_key(self) -> AssetKey:
        """The asset's key."""
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": self.value.to_user_string()}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(AssetKey.from_user_string(data["value"]))


class DagsterJobMetadataValue(MetadataValue):
    """A job, shown as a link to it. ``value`` is its name."""

    type_name = "job"
    value: str

    def __init__(self, job_name: str, location_name: str | None = None, repository_name: str | None = None) -> None:
        super().__init__(job_name)
        self.location_name = location_name
        self.repository_name = repository_name

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        names = {"job_name": self.value, "location_name": self.location_name, "repository_name": self.repository_name}
        return {"type": self.type_name, "value": names}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(**data["value"])


class TableMetadataValue(MetadataValue):
    """A few records of a table. Without a schema, columns and types are read from the first record."""

    type_name = "table"

    def __init__(self, records: Sequence[TableRecord], schema: TableSchema | None = None) -> None:
        self.records = [record if isinstance(record, TableRecord) else TableRecord(record) for record in records]
        if schema is None:
            if not self.records:
                raise InvalidDefinitionError("MetadataValue.table without records needs schema=TableSchema(...).")
            schema = TableSchema.from_name_type_dict(
                {name: _COLUMN_TYPES.get(type(cell), "string") for name, cell in self.records[0].data.items()}
            )
        self.schema = schema

    @property
    def value(self) -> TableMetadataValue:
        """The table itself."""
        return self

    def __hash__(self) -> int:
        return hash(repr(self.records))

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        records = [record.data for record in self.records]
        return {"type": self.type_name, "value": {"records": records, "schema": self.schema.to_json()}}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        table = data["value"]
        return cls([TableRecord(record) for record in table["records"]], TableSchema.from_json(table["schema"]))


class TableSchemaMetadataValue(MetadataValue):
    """The columns of a table."""

    type_name = "table_schema"
    value: TableSchema

    @property
    def schema(self) -> TableSchema:
        """The schema."""
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": self.value.to_json()}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(TableSchema.from_json(data["value"]))


class TableColumnLineageMetadataValue(MetadataValue):
    """Which columns each column was made from."""

    type_name = "table_column_lineage"
    value: TableColumnLineage

    @property
    def column_lineage(self) -> TableColumnLineage:
        """The lineage."""
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": self.value.to_json()}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(TableColumnLineage.from_json(data["value"]))


class CodeReferenceMetadataValue(MetadataValue):
    """Where in the code something is defined: a file and a line."""

    type_name = "code_location"
    value: str

    def __init__(self, file_path: str | os.PathLike[str], line_number: int = 1) -> None:
        super().__init__(os.fspath(file_path))
        self.line_number = line_number

    @property
    def file_path(self) -> str:
        """The file."""
        return self.value

    def to_json(self) -> dict[str, Any]:
        """Return the tagged data."""
        return {"type": self.type_name, "value": {"file_path": self.value, "line_number": self.line_number}}

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> MetadataValue:
        return cls(**data["value"])


class NullMetadataValue(MetadataValue):
    """Nothing."""

    type_name = "null"

    def __init__(self, value: None = None) -> None:
        super().__init__(None)


_COLUMN_TYPES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "string"}
_CLASSES: dict[str, type[MetadataValue]] = {
    cls.type_name: cls
    for cls in (
        TextMetadataValue,
        UrlMetadataValue,
        PathMetadataValue,
        NotebookMetadataValue,
        JsonMetadataValue,
        MarkdownMetadataValue,
        PythonArtifactMetadataValue,
        FloatMetadataValue,
        IntMetadataValue,
        BoolMetadataValue,
        TimestampMetadataValue,
        DagsterRunMetadataValue,
        DagsterAssetMetadataValue,
        DagsterJobMetadataValue,
        TableMetadataValue,
        TableSchemaMetadataValue,
        TableColumnLineageMetadataValue,
        CodeReferenceMetadataValue,
        NullMetadataValue,
    )
}


RawMetadataValue = Any


def metadata_value(raw: RawMetadataValue) -> MetadataValue:
    """Return the metadata value that a plain Python value stands for.

    Raises:
        InvalidDefinitionError: no kind of metadata fits the value.
    """
    if isinstance(raw, MetadataValue):
        return raw
    for python_type, make in _BY_PYTHON_TYPE:
        if isinstance(raw, python_type):
            return make(raw)
    if raw is None:
        return NullMetadataValue()
    raise InvalidDefinitionError(
        f"{raw!r} (a {type(raw).__name__}) is no value of metadata. Use a string, a number, a bool, a list or dict that"
        " JSON can hold, or MetadataValue.<kind>(...)."
    )


# bool stands before int, of which it is a subclass.
_BY_PYTHON_TYPE: tuple[tuple[Any, Callable[[Any], MetadataValue]], ...] = (
    (str, TextMetadataValue),
    (bool, BoolMetadataValue),
    (int, IntMetadataValue),
    (float, FloatMetadataValue),
    ((dict, list, tuple), lambda raw: JsonMetadataValue(list(raw) if isinstance(raw, tuple) else raw)),
    (os.PathLike, PathMetadataValue),
    (AssetKey, DagsterAssetMetadataValue),
    (datetime, MetadataValue.timestamp),
    (TableSchema, TableSchemaMetadataValue),
    (TableColumnLineage, TableColumnLineageMetadataValue),
)


def normalize_metadata(metadata: Mapping[str, RawMetadataValue] | None) -> dict[str, MetadataValue]:
    """Return metadata with every value as a ``MetadataValue``.

    Raises:
        InvalidDefinitionError: some label is not a string, or some value fits no kind; all are listed.
    """
    values: dict[str, MetadataValue] = {}
    mistakes: list[str] = []
    for label, raw in dict[Any, Any](metadata or {}).items():
        if not isinstance(label, str):
            mistakes.append(f"the label {label!r} is not a string")
            continue
        try:
            values[label] = metadata_value(raw)
        except InvalidDefinitionError as error:
            mistakes.append(f"'{label}': {error}")
    if mistakes:
        raise InvalidDefinitionError(numbered("Metadata is not valid", mistakes))
    return values


def metadata_to_json(metadata: Mapping[str, RawMetadataValue] | None) -> dict[str, dict[str, Any]]:
    """Return metadata of a definition as JSON-able data; values that fit no kind are named by their type alone."""
    result = {}
    for label, raw in (metadata or {}).items():
        try:
            value = metadata_value(raw)
        except InvalidDefinitionError:
            value = TextMetadataValue(f"[{type(raw).__name__}] (not shown)")
        result[str(label)] = value.to_json()
    return result
