"""Compute logs in a bucket: the store under the managers of S3, Azure and GCS.

The port that it fills is store.py; each service's settings are s3.py, azure.py and gcs.py.
"""

from __future__ import annotations

from pathlib import Path

from orchord.compute_logs.store import LogStore
from orchord.object_stores.bucket import Bucket
from orchord.object_stores.settings import StoreSettings
from orchord.object_stores.uploader import Uploader


class ObjectLogStore(LogStore):
    """A bucket. It is read by whoever asks, and changed by a process of its own.

    Logs are uploaded by processes that go on to fork, which those that use an object store themselves must not.

    Args:
        settings: how to reach the bucket.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self._bucket = Bucket(settings)
        self._uploader = Uploader(settings)

    def __repr__(self) -> str:
        return f"ObjectLogStore({self.settings.url})"

    def put(self, key: str, data: Path | bytes) -> None:
        """Store an object as a whole."""
        self._uploader.put(key, data)

    def get_range(self, key: str, offset: int, limit: int) -> bytes | None:
        """Return up to ``limit`` bytes from byte ``offset`` on; None if there is no such object."""
        return self._bucket.get_range(key, offset, limit)

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is no such object."""
        return self._uploader.size(key)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._uploader.delete(key)

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key begins so."""
        self._uploader.delete_prefix(prefix)

    def url(self, key: str) -> str:
        """Return where an object is, for people."""
        return f"{self.settings.url}/{key}"

    def dispose(self) -> None:
        """End the process that uploads, and close idle connections."""
        self._uploader.close()
        self._bucket.close()
