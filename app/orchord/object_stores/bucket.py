"""One bucket: storing, reading, looking for and removing objects, with the library's errors told in our words.

An object is replaced whole or not at all: services make it visible once all of it is there. Reading on after a broken
connection is reading.py; how to reach the bucket is settings.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from orchord.object_stores.settings import StoreSettings, open_store

if TYPE_CHECKING:
    from obstore import GetOptions

#: How much is sent at once of a large object. Services take 10,000 parts at most, so that objects of 160 GB fit.
PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 4
_DELETED_AT_ONCE = 1000

_ABSENT = (NotFoundError, FileNotFoundError)
_BARRED = (PermissionDeniedError, UnauthenticatedError, PermissionError)
_REFUSED = re.compile(r"\b(401 Unauthorized|403 Forbidden)\b")

#: The process in which the library's threads run. A fork does not take them along, and its calls would wait for ever.
_process_of_threads: int | None = None


class ReplacedError(OSError):
    """An object was replaced while it was read."""


class Bucket:
    """A bucket, reached when it is first used. It may be shared by threads.

    Raises (each method):
        FileNotFoundError: the bucket is missing; or the object, where a method does not say what it does then.
        PermissionError: the credentials are missing, wrong, or do not allow it.
        ConnectionError: the store cannot be reached, or fails, after as many attempts as the settings say.
        RuntimeError: this process was forked from one that had used a store.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings

    def __repr__(self) -> str:
        return f"Bucket({self.settings.url})"

    def close(self) -> None:
        """Close idle connections; they come back when needed."""
        self.__dict__.pop("_store", None)

    def url(self, key: str) -> str:
        """Return where an object is, for people."""
        return f"{self.settings.url}/{key}"

    def put(self, key: str, data: Path | bytes) -> None:
        """Store an object; a file is read piece by piece."""
        with self._told("write", key):
            obstore.put(
                self._store,
                key,
                data,
                attributes=self.settings.attributes or None,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    @contextmanager
    def writing(self, key: str) -> Iterator[Writer]:
        """Return a context in which an object is written piece by piece (``write(buffer)``).

        It appears at the end as a whole. If the context ends by an exception, it does not, and what was there stays.
        """
        with self._told("write", key):
            made = obstore.open_writer(
                self._store,
                key,
                attributes=self.settings.attributes or None,
                buffer_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        try:
            yield Writer(self, key, made)
        except BaseException as error:
            with suppress(OSError, BaseError):
                # Ending it so takes back the parts that were sent.
                made.__exit__(type(error), error, error.__traceback__)
            raise
        with self._told("write", key):
            made.close()

    def get(self, key: str, *, offset: int = 0, version: str | None = None) -> Any:
        """Return the library's result of a read from a byte on.

        Args:
            key: the object.
            offset: the first byte wanted.
            version: the ETag that the object must still have.

        Raises:
            ReplacedError: it has another one.
        """
        options: GetOptions = {}
        if offset:
            options["range"] = {"offset": offset}
        if version is not None:
            options["if_match"] = version
        with self._told("read", key):
            return obstore.get(self._store, key, options=options or None)

    def get_range(self, key: str, offset: int, limit: int) -> bytes | None:
        """Return up to ``limit`` bytes from byte ``offset`` on, empty at the end; None if there is no such object."""
        size = self.size(key)
        if size is None:
            return None
        length = min(limit, size - offset)
        if length <= 0:
            return b""
        with self._told("read", key):
            try:
                return bytes(obstore.get_range(self._store, key, start=offset, length=length))
            except _ABSENT:
                return None

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is none."""
        with self._told("look for", key):
            try:
                return int(obstore.head(self._store, key)["size"])
            except _ABSENT:
                return None

    def delete(self, key: str) -> None:
        """Remove an object; none is no error."""
        with self._told("remove", key):
            try:
                obstore.delete(self._store, key)
            except _ABSENT:
                return

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key begins so; none is no error."""
        with self._told("remove", prefix):
            # The library lists whole folders only: what begins so inside one is chosen here.
            folder = prefix.rpartition("/")[0]
            for page in obstore.list(self._store, folder or None, chunk_size=_DELETED_AT_ONCE):
                keys = [entry["path"] for entry in page if entry["path"].startswith(prefix)]
                if keys:
                    obstore.delete(self._store, keys)

    @cached_property
    def _store(self) -> Any:
        return open_store(self.settings)

    @contextmanager
    def _told(self, deed: str, key: str) -> Iterator[None]:
        _check_process()
        try:
            yield
        except BaseError as error:
            self.tell(deed, key, error)
        except OSError as error:
            # As files, the library's writers raise errors of files.
            self.tell(deed, key, error)

    def tell(self, deed: str, key: str, error: BaseError | OSError) -> NoReturn:
        """Raise the library's error in our words."""
        where, said = self.url(key), self.settings.redacted(str(error))
        # What the library says at length shows requests and their signatures.
        if isinstance(error, PreconditionError):
            raise ReplacedError(f"{where} was replaced while it was read.") from None
        if isinstance(error, _ABSENT) or "NoSuchBucket" in said:
            raise FileNotFoundError(f"Nothing is stored at {where}, or there is no such bucket.") from None
        if isinstance(error, _BARRED) or _REFUSED.search(said):
            raise PermissionError(f"Not allowed to {deed} {where}. Check the credentials: {said}") from None
        raise ConnectionError(f"Failed to {deed} {where}: {said}") from None


class Writer:
    """An object that is being written; made by ``Bucket.writing``."""

    def __init__(self, bucket: Bucket, key: str, made: Any) -> None:
        self._bucket = bucket
        self._key = key
        self._made = made

    def write(self, buffer: Any) -> None:
        """Take the next bytes; they may be sent after this has returned, and must not change before the end."""
        try:
            self._made.write(buffer)
        except (BaseError, OSError) as error:
            self._bucket.tell("write", self._key, error)


def _check_process() -> None:
    global _process_of_threads
    process = os.getpid()
    if _process_of_threads is None:
        _process_of_threads = process
    elif _process_of_threads != process:
        raise RuntimeError(
            "An object store was used in the process that this one was forked from, and cannot be used in both. Start "
            "processes by 'spawn' or 'forkserver', or use the store only after the fork."
        )
