"""Compute logs on S3, by the keys that instance files know it by.

How a bucket is reached is object_stores/s3.py; how logs come into one is store.py and shipping.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.compute_logs.object_store import ObjectLogStore
from orchord.compute_logs.store import DEFAULT_PREFIX, StoredComputeLogManager
from orchord.compute_logs.streams import DEFAULT_MAX_BYTES
from orchord.object_stores.s3 import s3_settings


class S3ComputeLogManager(StoredComputeLogManager):
    """Keeps compute logs in a bucket of S3: ``<prefix>/storage/<run id>/compute_logs/<step key>.<attempt>.out``.

    Keys that mean the same are taken in both of their spellings.

    Args:
        bucket: the bucket.
        prefix: what all keys begin with.
        endpoint: the server, where it is not AWS's; also ``endpoint_url``.
        endpoint_url: the same.
        region: AWS's region.
        access_key_id: the access key; without one, the environment's, that of AWS's own files, or the machine's role.
        secret_access_key: its secret.
        session_token: the token of a temporary key.
        allow_http: taken for completeness; an endpoint that begins with ``http://`` is used without it.
        allow_invalid_certificates: whether certificates are not checked.
        use_ssl: whether an endpoint without a scheme is reached by HTTPS.
        verify: whether certificates are checked.
        verify_cert_path: a file of certificates to trust.
        timeout: how long one request may take, as ``60s``.
        upload_extra_args: what boto3's uploads take, such as ``ServerSideEncryption``.
        extra_s3_args: further options of obstore's S3Store.
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
        prefix: str = DEFAULT_PREFIX,
        endpoint: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        allow_http: bool = False,
        allow_invalid_certificates: bool = False,
        use_ssl: bool = True,
        verify: bool = True,
        verify_cert_path: str | None = None,
        timeout: str | None = None,
        upload_extra_args: Mapping[str, Any] | None = None,
        extra_s3_args: Mapping[str, Any] | None = None,
        local_dir: str | None = None,
        upload_interval: int | None = None,
        skip_empty_files: bool = False,
        show_url_only: bool = False,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        settings = s3_settings(
            bucket,
            endpoint_url=endpoint or endpoint_url,
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            use_ssl=use_ssl,
            verify=verify and not allow_invalid_certificates,
            verify_cert_path=verify_cert_path,
            timeout=timeout,
            upload_extra_args=upload_extra_args,
            extra=extra_s3_args,
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
