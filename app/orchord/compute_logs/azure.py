"""Compute logs on Azure Blob Storage, by the keys that instance files know it by.

How a container is reached is object_stores/azure.py; how logs come into one is store.py and shipping.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.compute_logs.object_store import ObjectLogStore
from orchord.compute_logs.store import DEFAULT_PREFIX, StoredComputeLogManager
from orchord.compute_logs.streams import DEFAULT_MAX_BYTES
from orchord.object_stores.azure import DEFAULT_ENDPOINT_SUFFIX, azure_settings, key_or_token


class AzureBlobComputeLogManager(StoredComputeLogManager):
    """Keeps compute logs in a container: ``<prefix>/storage/<run id>/compute_logs/<step key>.<attempt>.out``.

    Args:
        storage_account: the account.
        container: the container.
        access_key: the account's key.
        sas_token: a shared access signature.
        access_key_or_sas_token: either of the two; which one is seen from what it holds.
        client_id: a service principal, with ``client_secret`` and ``tenant_id``.
        client_secret: its secret.
        tenant_id: its tenant.
        secret_credential: the three of them as a mapping.
        default_azure_credential: arguments of azure-identity's DefaultAzureCredential, which then gets in.
        use_azure_cli: whether the ``az`` command gives the credentials.
        prefix: what all keys begin with.
        endpoint_suffix: the domain of the cloud.
        endpoint: the server, where it is another one, as with an emulator.
        allow_http: whether it may be one without TLS.
        allow_invalid_certificates: whether certificates are not checked.
        timeout: how long one request may take, as ``60s``.
        extra_azure_args: further options of obstore's AzureStore.
        local_dir: the folder of running steps' files.
        upload_interval: how often, in seconds, a running step's logs are uploaded.
        skip_empty_files: whether a silent stream gets no object; it never does.
        show_url_only: whether readers get the object's URL.
        max_bytes: how much of each stream is kept.
    """

    def __init__(
        self,
        storage_account: str,
        container: str,
        *,
        access_key: str | None = None,
        sas_token: str | None = None,
        access_key_or_sas_token: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        tenant_id: str | None = None,
        secret_credential: Mapping[str, str] | None = None,
        default_azure_credential: Mapping[str, Any] | None = None,
        use_azure_cli: bool = False,
        prefix: str = DEFAULT_PREFIX,
        endpoint_suffix: str = DEFAULT_ENDPOINT_SUFFIX,
        endpoint: str | None = None,
        allow_http: bool = False,
        allow_invalid_certificates: bool = False,
        timeout: str | None = None,
        extra_azure_args: Mapping[str, Any] | None = None,
        local_dir: str | None = None,
        upload_interval: int | None = None,
        skip_empty_files: bool = False,
        show_url_only: bool = False,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        given: dict[str, Any] = {
            "access_key": access_key,
            "sas_token": sas_token,
            "client_id": client_id,
            "client_secret": client_secret,
            "tenant_id": tenant_id,
            **(key_or_token(access_key_or_sas_token) if access_key_or_sas_token else {}),
            **(secret_credential or {}),
        }
        settings = azure_settings(
            container,
            storage_account=storage_account,
            default_credential=default_azure_credential,
            use_azure_cli=use_azure_cli,
            endpoint_suffix=endpoint_suffix,
            endpoint_url=endpoint,
            allow_http=allow_http,
            allow_invalid_certificates=allow_invalid_certificates,
            timeout=timeout,
            extra=extra_azure_args,
            **given,
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


#: The same by its other name.
AzureComputeLogManager = AzureBlobComputeLogManager
