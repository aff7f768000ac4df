"""Values as pickles in a bucket: what the IO managers of S3, GCS and Azure share.

Their settings and the layout of their keys are s3.py, gcs.py and adls2.py; what a bucket does is object_stores/.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.metadata import MetadataValue
from orchord.errors import InvariantViolationError
from orchord.io_managers.pickling import dump
from orchord.io_managers.upath import UPathIOManager, checked_parts
from orchord.object_stores.bucket import Bucket, ReplacedError
from orchord.object_stores.reading import ObjectReader
from orchord.object_stores.settings import StoreSettings

# What pickle raises for a value that it cannot take; errors of the store are OSErrors and pass as they are.
_PICKLE_ERRORS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError, NotImplementedError)
_READ_BUFFER_BYTES = 1 << 16
_MOST_READS = 4


class PickledObjectIOManager(UPathIOManager):
    """Stores each value as one pickle in a bucket, as it is made: only the value itself is large in memory.

    An object is replaced whole or not at all, and read as one version of it.

    Args:
        settings: how to reach the bucket.
        prefix: what all keys begin with; text with slashes, or empty.
    """

    def __init__(self, settings: StoreSettings, prefix: str | None) -> None:
        super().__init__(PurePosixPath(*(part for part in (prefix or "").split("/") if part)))
        self.bucket = Bucket(settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bucket.url(str(self._base_path))})"

    def dump_to_path(self, context: OutputContext, obj: Any, path: PurePosixPath) -> None:
        """Store a value.

        Raises:
            InvariantViolationError: the value cannot be pickled. What was stored before stays.
        """
        try:
            with self.bucket.writing(str(path)) as writer:
                dump(obj, writer)
        except _PICKLE_ERRORS as error:
            raise InvariantViolationError(_not_picklable(context, obj, error)) from error

    def load_from_path(self, context: InputContext, path: PurePosixPath) -> Any:
        """Read a value.

        Raises:
            FileNotFoundError: nothing is stored; the message says where.
        """
        for number in range(1, _MOST_READS + 1):
            try:
                with io.BufferedReader(ObjectReader(self.bucket, str(path)), _READ_BUFFER_BYTES) as file:
                    return pickle.load(file)
            except ReplacedError:
                # The connection broke while somebody stored a new value: that one is read, from its beginning.
                if number == _MOST_READS:
                    raise
        raise AssertionError("the last read returns or raises")

    def get_metadata(self, context: OutputContext, obj: Any) -> Mapping[str, Any]:
        """Return the value's URI."""
        return {"uri": MetadataValue.path(self.uri_of(self._get_path(context)))}

    def uri_of(self, path: PurePosixPath) -> str:
        """Return where a value is, for people."""
        return self.bucket.url(str(path))

    def get_op_output_relative_path(self, context: InputContext | OutputContext) -> PurePosixPath:
        """Return ``storage/<run id>/files/<step key>/<output name>``."""
        run_id, *parts = checked_parts(context.get_identifier())
        return PurePosixPath("storage", run_id, "files", *parts)

    def make_directory(self, path: Any) -> None:
        """Do nothing: buckets have no folders."""

    def path_exists(self, path: PurePosixPath) -> bool:
        """Return whether an object is there."""
        return self.bucket.size(str(path)) is not None

    def unlink(self, path: PurePosixPath) -> None:
        """Remove an object."""
        self.bucket.delete(str(path))

    def get_loading_input_log_message(self, path: Any) -> str:
        """Return what is logged before a value is read."""
        return f"Loading {self.uri_of(path)}"

    def get_writing_output_log_message(self, path: Any) -> str:
        """Return what is logged before a value is written."""
        return f"Writing {self.uri_of(path)}"


def _not_picklable(context: OutputContext, obj: Any, error: BaseException) -> str:
    type_name = f"{type(obj).__module__}.{type(obj).__qualname__}".removeprefix("builtins.")
    return (
        f"Output '{context.name}' of step '{context.step_key}' is a value of type '{type_name}', which cannot be "
        f"pickled: {error}. Return data rather than open handles or functions, or give the output an IO manager that "
        "can store it."
    )
