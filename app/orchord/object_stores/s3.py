"""Settings of an S3 bucket: AWS's own, or any server that speaks S3, by the names that boto3 and obstore use.

What is done with the bucket is bucket.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchord.errors import InvalidConfigError, did_you_mean
from orchord.object_stores.settings import DEFAULT_ATTEMPTS, StoreSettings, check_endpoint, http_options
from orchord.settings import environment_value

DEFAULT_REGION = "us-east-1"

# boto3's names of what is set on uploaded objects, and ours: of the store, or of the object.
_STORE_ARGUMENTS = {"ServerSideEncryption": "server_side_encryption", "SSEKMSKeyId": "sse_kms_key_id"}
_OBJECT_ARGUMENTS = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "StorageClass": "Storage-Class",
}
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def s3_settings(
    bucket: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    profile: str | None = None,
    use_ssl: bool = True,
    verify: bool | None = True,
    verify_cert_path: str | None = None,
    unsigned: bool = False,
    timeout: str | None = None,
    max_attempts: int = DEFAULT_ATTEMPTS,
    upload_extra_args: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> StoreSettings:
    """Return the settings of a bucket.

    Args:
        bucket: its name.
        endpoint_url: the server, where it is not AWS's; with or without ``http://``.
        region: AWS's region; else that of the environment.
        access_key_id: the key; without one, the credentials come from the environment, from AWS's own files, or from
            the machine's role.
        secret_access_key: its secret.
        session_token: its token, for temporary keys.
        profile: the profile of AWS's own files.
        use_ssl: whether an endpoint without ``http://`` or ``https://`` is reached by HTTPS.
        verify: whether certificates are checked.
        verify_cert_path: a file of certificates to trust.
        unsigned: whether requests are sent without credentials, as to public buckets.
        timeout: how long one request may take, as ``60s``.
        max_attempts: how often a request is tried.
        upload_extra_args: what boto3's uploads take, such as ``ServerSideEncryption``.
        extra: further options of the library's store, as they are.

    Raises:
        InvalidConfigError: an argument of uploads that is not known, or an endpoint that holds credentials.
    """
    options: dict[str, Any] = {
        "region": region or _environment("AWS_REGION", "AWS_DEFAULT_REGION") or DEFAULT_REGION,
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "session_token": session_token,
        "skip_signature": True if unsigned else None,
    }
    endpoint = _endpoint(endpoint_url or _environment(*_ENDPOINT_VARIABLES), use_ssl, options["region"])
    check_endpoint(endpoint)
    if endpoint is not None:
        options["endpoint"] = endpoint
    certificate = Path(verify_cert_path).read_text() if verify_cert_path and verify is not False else None
    stored, attributes = _upload_arguments(upload_extra_args or {})
    given = {**options, **stored, **{name.removeprefix("aws_"): value for name, value in (extra or {}).items()}}
    return StoreSettings(
        kind="s3",
        bucket=bucket,
        url=f"s3://{bucket}",
        options={name: value for name, value in given.items() if value is not None},
        client_options=http_options(
            allow_http=None if endpoint is None else endpoint.startswith("http://"),
            allow_invalid_certificates=verify is False,
            timeout=timeout,
            root_certificate=certificate,
        ),
        attributes=attributes,
        max_attempts=max_attempts,
        profile=None if unsigned else _profile(profile, access_key_id),
    )


def _endpoint(given: str | None, use_ssl: bool, region: str) -> str | None:
    if given:
        return given if "://" in given else f"{'https' if use_ssl else 'http'}://{given}"
    return None if use_ssl else f"http://s3.{region}.amazonaws.com"


def _profile(given: str | None, access_key_id: str | None) -> str | None:
    """Return the profile that gives credentials; empty for the default one, None where no profile is needed."""
    if given:
        return given
    if access_key_id or _environment("AWS_ACCESS_KEY_ID"):
        return None
    named = _environment("AWS_PROFILE")
    if named:
        return named
    file = Path(_environment("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    return "" if file.exists() else None


def _upload_arguments(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    stored = {_STORE_ARGUMENTS[name]: value for name, value in given.items() if name in _STORE_ARGUMENTS}
    attributes = {_OBJECT_ARGUMENTS[name]: value for name, value in given.items() if name in _OBJECT_ARGUMENTS}
    attributes.update(given.get("Metadata") or {})
    known = {*_STORE_ARGUMENTS, *_OBJECT_ARGUMENTS, "Metadata"}
    unknown = [f"'{name}' is not among them.{did_you_mean(name, known)}" for name in given if name not in known]
    if unknown:
        raise InvalidConfigError(f"Uploads to S3 take {', '.join(sorted(known))}", unknown)
    return stored, attributes


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := environment_value(name))), None)
