"""One IO manager's connection to BigQuery: reading a table, and putting a new state of it in place at once.

Nothing secret is held longer than it takes to make credentials of it, nor written to a file or the environment. Which
table it is, is bigquery_tables.py; types of columns are bigquery_arrow.py.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any

from orchord.errors import InvariantViolationError, OrchordError
from orchord.io_managers.bigquery_arrow import fields_of, fitted, loadable
from orchord.io_managers.bigquery_tables import TableSlice

EXTRA = "pip install 'orchord[bigquery]'"


class BigQueryWriteMode(StrEnum):
    """What a new value does to the table that is there. TRUNCATE keeps its columns, REPLACE makes it anew."""

    TRUNCATE = "truncate"
    APPEND = "append"
    REPLACE = "replace"


@dataclass(frozen=True)
class BigQueryConnection:
    """How BigQuery is reached.

    Attributes:
        project: the Google Cloud project that is billed, and that holds the datasets.
        location: where datasets are made and jobs run; None: BigQuery's own choice.
        gcp_credentials: a service account's key, as JSON in Base64; None: the machine's own credentials.
        api_endpoint: another server than Google's. One without TLS is sent no credentials.
        timeout: seconds that one request may take.
    """

    project: str
    location: str | None = None
    gcp_credentials: str | None = field(default=None, repr=False)
    api_endpoint: str | None = None
    timeout: float | None = None

    @property
    def is_emulator(self) -> bool:
        """Whether the server is one without TLS, as Google has none."""
        return self.api_endpoint is not None and self.api_endpoint.startswith("http://")

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Provide a ``google.cloud.bigquery.Client``.

        Raises:
            OrchordError: the packages for it are not installed.
            InvariantViolationError: the credentials cannot be read.
        """
        try:
            from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - an optional package
            from google.cloud import bigquery  # noqa: PLC0415 - an optional package
        except ImportError as error:
            raise OrchordError(f"BigQuery needs packages that are not installed ({error}): {EXTRA}") from error
        credentials: Any = None
        if self.gcp_credentials:
            credentials = _credentials(self.gcp_credentials)
        elif self.is_emulator:
            credentials = AnonymousCredentials()
        options = None if self.api_endpoint is None else {"api_endpoint": self.api_endpoint}
        client = bigquery.Client(
            project=self.project, credentials=credentials, location=self.location, client_options=options
        )
        try:
            yield client
        finally:
            client.close()

    def read(self, client: Any, wanted: TableSlice) -> Any:
        """Return a table's rows, or some columns of them, as an Arrow table.

        Raises:
            FileNotFoundError: there is no such table.
        """
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - an optional package

        try:
            rows = client.query(wanted.select_statement(), project=self.project, timeout=self.timeout).result(
                timeout=self.timeout
            )
        except NotFound as error:
            raise FileNotFoundError(
                f"There is no table {wanted.table_id} in BigQuery. Materialize the asset, or run the op, first."
            ) from error
        # The quicker way of reading is a service of its own, which emulators serve elsewhere or not at all.
        return rows.to_arrow(create_bqstorage_client=not self.is_emulator)

    def write(self, client: Any, wanted: TableSlice, rows: Any, mode: BigQueryWriteMode) -> None:
        """Store an Arrow table by one load job, which takes effect whole or not at all.

        Raises:
            InvariantViolationError: the rows do not fit the table, or BigQuery.
        """
        from google.cloud import bigquery  # noqa: PLC0415 - an optional package

        standing = self._standing(client, wanted)
        config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET)
        if standing is not None and mode is BigQueryWriteMode.REPLACE and not _same(standing.schema, rows):
            # Only then is there a moment without a table: BigQuery changes columns by no load job.
            client.delete_table(wanted.table_id, not_found_ok=True, timeout=self.timeout)
            standing = None
        if standing is None:
            rows = loadable(rows)
            config.schema = fields_of(rows.schema)
            client.create_table(bigquery.Table(wanted.table_id, schema=config.schema), exists_ok=True)
        else:
            rows = fitted(rows, standing.schema, wanted.table_id)
            # What a load that truncates does not name, it takes away.
            config.schema = standing.schema
            config.time_partitioning = standing.time_partitioning
            config.range_partitioning = standing.range_partitioning
            config.clustering_fields = standing.clustering_fields
        config.parquet_options = bigquery.ParquetOptions()
        config.parquet_options.enable_list_inference = True
        appends = mode is BigQueryWriteMode.APPEND
        config.write_disposition = (
            bigquery.WriteDisposition.WRITE_APPEND if appends else bigquery.WriteDisposition.WRITE_TRUNCATE
        )
        with _parquet(rows) as (file, size_bytes):
            job = client.load_table_from_file(
                file,
                wanted.table_id,
                size=size_bytes,
                project=self.project,
                location=self.location,
                job_config=config,
                timeout=self.timeout,
            )
            job.result(timeout=self.timeout)

    def _standing(self, client: Any, wanted: TableSlice) -> Any:
        """Return the table that is there; without one, see to it that its dataset is."""
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - an optional package
        from google.cloud import bigquery  # noqa: PLC0415 - an optional package

        try:
            return client.get_table(wanted.table_id, timeout=self.timeout)
        except NotFound:
            pass
        try:
            client.get_dataset(wanted.dataset_id, timeout=self.timeout)
        except NotFound:
            made = bigquery.Dataset(wanted.dataset_id)
            if self.location is not None:
                made.location = self.location
            client.create_dataset(made, exists_ok=True, timeout=self.timeout)
        return None


def _credentials(key: str) -> Any:
    from google.oauth2 import service_account  # noqa: PLC0415 - an optional package

    try:
        return service_account.Credentials.from_service_account_info(json.loads(base64.b64decode(key, validate=False)))
    except (ValueError, binascii.Error, KeyError, TypeError) as error:
        # The parser's own words would quote the key.
        raise InvariantViolationError(
            f"gcp_credentials cannot be read ({type(error).__name__}). Give a service account's key file in Base64: "
            "base64 -w0 key.json"
        ) from None


def _same(fields: Any, rows: Any) -> bool:
    """Return whether a table has just these columns."""
    wanted = fields_of(loadable(rows).schema)
    shape = [(one.name.lower(), one.field_type, one.mode == "REPEATED", one.fields) for one in wanted]
    return shape == [(one.name.lower(), one.field_type, one.mode == "REPEATED", one.fields) for one in fields]


@contextmanager
def _parquet(rows: Any) -> Iterator[tuple[IO[bytes], int]]:
    """Provide the rows as a Parquet file, and its size in bytes."""
    import pyarrow.parquet  # noqa: PLC0415 - an optional package

    with tempfile.TemporaryFile(prefix="orchord-bigquery-") as file:
        # BigQuery keeps microseconds.
        pyarrow.parquet.write_table(
            rows, file, coerce_timestamps="us", allow_truncated_timestamps=True, compression="snappy"
        )
        size_bytes = file.tell()
        file.seek(0)
        yield file, size_bytes
