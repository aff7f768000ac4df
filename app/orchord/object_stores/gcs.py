"""Settings of a bucket of Google Cloud Storage.

What is done with the bucket is bucket.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchord.errors import InvalidConfigError
from orchord.object_stores.settings import DEFAULT_ATTEMPTS, StoreSettings, check_endpoint, http_options
from orchord.settings import environment_value

# The variable by which Google's own libraries are pointed at an emulator.
_EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"


def gcs_settings(
    bucket: str,
    *,
    service_account_path: str | None = None,
    service_account_key: str | None = None,
    credentials_variable: str | None = None,
    endpoint_url: str | None = None,
    allow_http: bool = False,
    allow_invalid_certificates: bool = False,
    timeout: str | None = None,
    max_attempts: int = DEFAULT_ATTEMPTS,
    extra: Mapping[str, Any] | None = None,
) -> StoreSettings:
    """Return the settings of a bucket.

    Args:
        bucket: its name.
        service_account_path: the JSON file of a service account; without any credentials, those of the environment
            (``GOOGLE_APPLICATION_CREDENTIALS``, gcloud's own) or of the machine.
        service_account_key: what stands in such a file, as text.
        credentials_variable: the environment variable that holds such text.
        endpoint_url: the server, where it is not Google's, as with an emulator; it is used without credentials unless
            they are given. ``STORAGE_EMULATOR_HOST`` means the same.
        allow_http: whether an endpoint without TLS may be used.
        allow_invalid_certificates: whether certificates are not checked.
        timeout: how long one request may take, as ``60s``.
        max_attempts: how often a request is tried.
        extra: further options of the library's store, as they are.

    Raises:
        InvalidConfigError: the variable is not set, a key is no JSON, or the endpoint holds credentials.
    """
    key = service_account_key or _from_variable(credentials_variable)
    if key is not None:
        _check_key(key, credentials_variable)
    endpoint = endpoint_url or environment_value(_EMULATOR_VARIABLE)
    if endpoint:
        endpoint = endpoint.rstrip("/") if "://" in endpoint else f"http://{endpoint}"
    check_endpoint(endpoint)
    options: dict[str, Any] = {
        "service_account": service_account_path if key is None else None,
        "service_account_key": key,
        "base_url": endpoint,
    }
    if endpoint and not (key or service_account_path):
        options = {"service_account_key": _key_of_nobody(endpoint)}
    given = {**options, **{name.removeprefix("google_"): value for name, value in (extra or {}).items()}}
    return StoreSettings(
        kind="gcs",
        bucket=bucket,
        url=f"gs://{bucket}",
        options={name: value for name, value in given.items() if value is not None},
        client_options=http_options(
            allow_http=allow_http or bool(endpoint and endpoint.startswith("http://")),
            allow_invalid_certificates=allow_invalid_certificates,
            timeout=timeout,
        ),
        max_attempts=max_attempts,
    )


def _from_variable(name: str | None) -> str | None:
    if not name:
        return None
    value = environment_value(name)
    if value is None:
        raise InvalidConfigError(
            "The credentials for Google Cloud Storage cannot be read",
            [f"environment variable '{name}' is not set. Let it hold a service account's key as JSON."],
        )
    return value


def _check_key(key: str, variable: str | None) -> None:
    try:
        found = json.loads(key)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        where = f"environment variable '{variable}'" if variable else "service_account_key"
        raise InvalidConfigError(
            "The credentials for Google Cloud Storage cannot be read",
            [f"{where} (not shown) is no JSON object. Give a service account's key as Google's file holds it."],
        )


def _key_of_nobody(endpoint: str) -> str:
    """Return a key with which the library asks nobody for a token, as it would for requests without a signature."""
    nothing = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    return json.dumps({"gcs_base_url": endpoint, "disable_oauth": True, **nothing})
