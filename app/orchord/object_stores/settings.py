"""How to reach one bucket, as plain data: what the settings of every kind of store are turned into.

Plain data can be handed to another process (uploader.py). The makers of settings are s3.py, azure.py and gcs.py.
"""

from __future__ import annotations

import importlib
import re
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from orchord.errors import InvalidConfigError

StoreKind = Literal["s3", "azure", "gcs"]

#: How often a request is tried when the store, or the way to it, fails.
DEFAULT_ATTEMPTS = 10
_RETRY_SECONDS = 180
_CONNECT_TIMEOUT = "10s"
# No byte for so long means that the connection is dead. A whole transfer may take as long as it takes.
_SILENCE_TIMEOUT = "60s"
_TRANSFER_TIMEOUT = "6h"

_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"')]*")
_SECRET_OPTIONS = (
    "secret_access_key",
    "session_token",
    "account_key",
    "sas_key",
    "client_secret",
    "service_account_key",
    "bearer_token",
    "sse_customer_key_base64",
)
_SHORTEST_SECRET = 4


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bucket is and how to get in.

    Attributes:
        kind: which service it is.
        bucket: the bucket; Azure calls it a container.
        url: what a key is appended to, to show a person where an object is.
        options: what the library's store takes, secrets among them.
        client_options: what its HTTP client takes.
        attributes: what is set on each object, such as its storage class.
        max_attempts: how often a request is tried.
        profile: the profile of AWS's own files that gives credentials; empty for the default one.
        azure_identity: the arguments of azure-identity's DefaultAzureCredential, if that gives credentials.
    """

    kind: StoreKind
    bucket: str
    url: str
    options: dict[str, Any] = {}
    client_options: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    max_attempts: int = DEFAULT_ATTEMPTS
    profile: str | None = None
    azure_identity: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"StoreSettings({self.url})"

    def redacted(self, text: str) -> str:
        """Return a text without secrets: neither the credentials, nor the query of a signed URL."""
        # What follows the first line are dumps of the request.
        text = _QUERY.sub(r"\1", text.partition("\n")[0])
        for name in _SECRET_OPTIONS:
            secret = self.options.get(name)
            if isinstance(secret, str) and len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "******")
        return text


def check_endpoint(url: str | None) -> None:
    """Refuse a server's URL that holds credentials: it is shown in errors and metadata.

    Raises:
        InvalidConfigError: it has a user or a query. The message shows neither.
    """
    parts = urlsplit(url or "")
    if "@" in parts.netloc or parts.query:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise InvalidConfigError(
            "The store cannot be reached",
            [f"the URL of the server, {shown}, has a user or a query. Leave it out; credentials have keys."],
        )


def http_options(
    *,
    allow_http: bool | None,
    allow_invalid_certificates: bool,
    timeout: str | None,
    root_certificate: str | None = None,
) -> dict[str, Any]:
    """Return what a store's HTTP client is told; what is None or False is left to its defaults.

    Args:
        allow_http: whether an address without TLS may be used; None: nothing is said of it.
        allow_invalid_certificates: whether certificates are not checked.
        timeout: how long one request may take, as ``60s``.
        root_certificate: certificates to trust, as PEM.
    """
    options: dict[str, Any] = {} if allow_http is None else {"allow_http": allow_http}
    if allow_invalid_certificates:
        options["allow_invalid_certificates"] = True
    elif root_certificate:
        options["root_certificate"] = root_certificate
    if timeout:
        options["timeout"] = timeout
    return options


def open_store(settings: StoreSettings) -> ObjectStore:
    """Make the library's store. It connects when it is first used."""
    arguments: dict[str, Any] = {
        **settings.options,
        "client_options": {
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": _SILENCE_TIMEOUT,
            "timeout": _TRANSFER_TIMEOUT,
            **settings.client_options,
        },
        "retry_config": {
            "max_retries": max(settings.max_attempts - 1, 0),
            "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
        },
    }
    if settings.kind == "s3":
        if settings.profile is not None:
            arguments["credential_provider"] = _aws_credentials(settings.profile)
        return S3Store(settings.bucket, **arguments)
    if settings.kind == "azure":
        if settings.azure_identity is not None:
            arguments["credential_provider"] = _azure_credentials(settings.azure_identity)
        return AzureStore(settings.bucket, **arguments)
    return GCSStore(settings.bucket, **arguments)


def _aws_credentials(profile: str) -> Any:
    try:
        boto3 = importlib.import_module("boto3")
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - needs boto3
    except ImportError as error:
        raise ImportError(
            "AWS's profiles are read by boto3, which is not installed. Run: pip install 'orchord[s3]', or give the "
            "access key and its secret."
        ) from error
    return Boto3CredentialProvider(boto3.Session(profile_name=profile or None))


def _azure_credentials(arguments: dict[str, Any]) -> Any:
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - optional
        from obstore.auth.azure import AzureCredentialProvider  # noqa: PLC0415 - needs azure-identity
    except ImportError as error:
        raise ImportError(
            "DefaultAzureCredential is azure-identity's, which is not installed. Run: pip install 'orchord[azure]', "
            "or give an access key or a SAS token."
        ) from error
    return AzureCredentialProvider(DefaultAzureCredential(**arguments))
