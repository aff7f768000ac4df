"""Reading an object as a file, from one answer of the store: a reader sees one version of it, and never two halves.

A connection that breaks in the middle is taken up again at the byte where it broke, if the object is still the same.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

from obstore.exceptions import BaseError

from orchord.object_stores.bucket import Bucket

_CHUNK_BYTES = 4 << 20
_MOST_BREAKS = 6
_FIRST_PAUSE_SECONDS = 0.2


class ObjectReader(io.RawIOBase):
    """An object as a raw file that is read from its beginning to its end; wrap it into ``io.BufferedReader``.

    Raises (opening and reading):
        FileNotFoundError: there is no such object.
        ReplacedError: the connection broke, and the object is another one now. Read it again from its beginning.
        PermissionError, ConnectionError: as ``Bucket`` says.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._position = 0
        self._rest = memoryview(b"")
        self._breaks = 0
        found = bucket.get(key)
        self._size = int(found.meta["size"])
        self._version: str | None = found.meta["e_tag"]
        self._chunks = self._chunks_of(found)

    @property
    def size(self) -> int:
        """How many bytes the object has."""
        return self._size

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as are at hand, at least one unless the object is at its end."""
        wanted = memoryview(buffer).cast("B")
        if not self._rest and self._position < self._size:
            self._rest = self._next_chunk()
        count = min(len(wanted), len(self._rest))
        wanted[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._position += count
        return count

    def _next_chunk(self) -> memoryview:
        while True:
            try:
                chunk = memoryview(next(self._chunks))
                if len(chunk):
                    self._breaks = 0
                    return chunk
            except StopIteration:
                self._take_up_again(None)
            except BaseError as error:
                self._take_up_again(error)

    def _take_up_again(self, error: BaseError | None) -> None:
        self._breaks += 1
        if self._breaks > _MOST_BREAKS:
            where = f"{self._bucket.url(self._key)} at byte {self._position} of {self._size}"
            if error is None:
                raise ConnectionError(f"The store ends {where}.")
            self._bucket.tell("read on", self._key, error)
        threading.Event().wait(_FIRST_PAUSE_SECONDS * 2 ** (self._breaks - 1))
        found = self._bucket.get(self._key, offset=self._position, version=self._version)
        self._chunks = self._chunks_of(found)

    def _chunks_of(self, found: Any) -> Iterator[Any]:
        return iter(found.stream(min_chunk_size=_CHUNK_BYTES))
