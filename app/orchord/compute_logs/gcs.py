"""Compute logs on Google Cloud Storage, by the keys that instance files know it by.

How a bucket is reached is object_stores/gcs.py; how logs come into one is store.py and shipping.py.
"""

from __future__ import annotations

from orchord.compute_logs.object_store import ObjectLogStore
from orchord.compute_logs.store import DEFAULT_PREFIX, StoredComputeLogManager
from orchord.compute_logs.streams import DEFAULT_MAX_BYTES
from orchord.object_stores.gcs import gcs_settings


class GCSComputeLogManager(StoredComputeLogManager):
    """Keeps compute logs in a bucket: ``<prefix>/storage/<run id>/compute_logs/<step key>.<attempt>.out``.

    Args:
        bucket: the bucket.
        service_account: the path of a service account's JSON file; also ``service_account_path``. Without any
            credentials, those of the environment or of the machine.
        service_account_path: the same.
        service_account_key: what stands in such a file.
        json_credentials_envvar: the environment variable that holds such text.
        prefix: what all keys begin with.
        endpoint: the server, where it is not Google's, as with an emulator.
        allow_http: whether it may be one without TLS.
        allow_invalid_certificates: whether certificates are not checked.
        timeout: how long one request may take, as ``60s``.
        local_dir: the folder of running steps' files.
        upload_interval: how often, in seconds, a running step's logs are uploaded.
        skip_empty_files: whether a silent stream gets no object; it never does.
        show_url_only: whether readers get the object's URL.
        max_bytes: how much of each stream is kept.
    """

    def __init__(
        self,
        bucket: str,
        *,
        service_account: str | None = None,
        service_account_path: str | None = None,
        service_account_key: str | None = None,
        json_credentials_envvar: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        endpoint: str | None = None,
        allow_http: bool = False,
        allow_invalid_certificates: bool = False,
        timeout: str | None = None,
        local_dir: str | None = None,
        upload_interval: int | None = None,
        skip_empty_files: bool = False,
        show_url_only: bool = False,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        settings = gcs_settings(
            bucket,
            service_account_path=service_account_path or service_account,
            service_account_key=service_account_key,
            credentials_variable=json_credentials_envvar,
            endpoint_url=endpoint,
            allow_http=allow_http,
            allow_invalid_certificates=allow_invalid_certificates,
            timeout=timeout,
        )
        super().__init__(
            ObjectLogStore(settings),
            prefix=prefix,
            local_dir=local_dir,
            upload_interval=upload_interval,
            skip_empty_files=skip_empty_files,
            show_url_only=show_url_only,
            max_bytes=max_bytes,
        )
