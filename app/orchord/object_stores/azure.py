"""Settings of a container of Azure Blob Storage or Data Lake Storage Gen2.

What is done with the container is bucket.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord.errors import InvalidConfigError
from orchord.object_stores.settings import DEFAULT_ATTEMPTS, StoreSettings, check_endpoint, http_options

DEFAULT_ENDPOINT_SUFFIX = "core.windows.net"


def azure_settings(
    container: str,
    *,
    storage_account: str,
    access_key: str | None = None,
    sas_token: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
    tenant_id: str | None = None,
    default_credential: Mapping[str, Any] | None = None,
    use_azure_cli: bool = False,
    endpoint_suffix: str = DEFAULT_ENDPOINT_SUFFIX,
    endpoint_url: str | None = None,
    allow_http: bool = False,
    allow_invalid_certificates: bool = False,
    timeout: str | None = None,
    max_attempts: int = DEFAULT_ATTEMPTS,
    extra: Mapping[str, Any] | None = None,
) -> StoreSettings:
    """Return the settings of a container.

    Args:
        container: its name.
        storage_account: the account that it belongs to.
        access_key: the account's key.
        sas_token: a shared access signature, in place of the key.
        client_id: a service principal, with ``client_secret`` and ``tenant_id``.
        client_secret: its secret.
        tenant_id: its tenant.
        default_credential: arguments of azure-identity's DefaultAzureCredential, which then gives the credentials.
        use_azure_cli: whether the ``az`` command gives them.
        endpoint_suffix: the domain of the cloud, such as ``core.usgovcloudapi.net``.
        endpoint_url: the server, where it is not the account's own, as with an emulator.
        allow_http: whether an endpoint without TLS may be used.
        allow_invalid_certificates: whether certificates are not checked.
        timeout: how long one request may take, as ``60s``.
        max_attempts: how often a request is tried.
        extra: further options of the library's store, as they are.

    Raises:
        InvalidConfigError: more than one kind of credentials is given, or a part of one, or the endpoint holds some.
    """
    _check_credentials(access_key, sas_token, (client_id, client_secret, tenant_id), default_credential)
    check_endpoint(endpoint_url)
    own_url = f"https://{storage_account}.blob.{endpoint_suffix}"
    url = (endpoint_url or own_url).rstrip("/")
    options: dict[str, Any] = {
        "account_name": storage_account,
        "account_key": access_key,
        "sas_key": sas_token.lstrip("?") if sas_token else None,
        "client_id": client_id,
        "client_secret": client_secret,
        "tenant_id": tenant_id,
        "use_azure_cli": True if use_azure_cli else None,
        "endpoint": None if url == f"https://{storage_account}.blob.{DEFAULT_ENDPOINT_SUFFIX}" else url,
    }
    given = {**options, **{name.removeprefix("azure_storage_"): value for name, value in (extra or {}).items()}}
    return StoreSettings(
        kind="azure",
        bucket=container,
        url=f"{url}/{container}",
        options={name: value for name, value in given.items() if value is not None},
        client_options=http_options(
            allow_http=allow_http or url.startswith("http://"),
            allow_invalid_certificates=allow_invalid_certificates,
            timeout=timeout,
        ),
        max_attempts=max_attempts,
        azure_identity=None if default_credential is None else dict(default_credential),
    )


def key_or_token(value: str) -> dict[str, str]:
    """Return an account's key or a SAS token, told apart, as arguments of ``azure_settings``."""
    return {"sas_token": value} if "sig=" in value else {"access_key": value}


def _check_credentials(
    access_key: str | None,
    sas_token: str | None,
    principal: tuple[str | None, str | None, str | None],
    default_credential: Mapping[str, Any] | None,
) -> None:
    kinds = {
        "an access key": access_key,
        "a SAS token": sas_token,
        "a service principal": any(principal) or None,
        "a default credential": default_credential,
    }
    given = [name for name, value in kinds.items() if value is not None]
    mistakes = [f"{' and '.join(given)} are given; give one kind of credentials."] if len(given) > 1 else []
    missing = [
        name for name, value in zip(("client_id", "client_secret", "tenant_id"), principal, strict=True) if not value
    ]
    if any(principal) and missing:
        mistakes.append(f"a service principal needs {' and '.join(missing)} too.")
    if mistakes:
        raise InvalidConfigError("The credentials for Azure cannot be used", mistakes)
