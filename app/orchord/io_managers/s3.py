"""S3 for jobs: ``S3PickleIOManager``, and the resource that holds the settings and gives users a boto3 client.

Values are moved by obstore; boto3 is loaded only when user code asks the client for something.
"""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field as PydanticField
from pydantic import PrivateAttr, SecretStr

from orchord.definitions.config import BoolSource, Field, IntSource, Noneable, StringSource
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.io_manager import io_manager
from orchord.definitions.resources import (
    ConfigurableIOManager,
    ConfigurableResource,
    InitResourceContext,
    ResourceDependency,
    resource,
)
from orchord.errors import InvalidConfigError
from orchord.io_managers.lazy_client import LazyClient
from orchord.io_managers.object_store import PickledObjectIOManager
from orchord.io_managers.upath import checked_parts
from orchord.object_stores.s3 import s3_settings
from orchord.object_stores.settings import DEFAULT_ATTEMPTS, StoreSettings

DEFAULT_PREFIX = "dagster"


class S3Resource(ConfigurableResource["S3Resource"]):
    """How to reach S3: AWS's own, or any server that speaks it.

    Without an access key, credentials come from the environment, from AWS's own files or from the machine's role.
    """

    use_unsigned_session: bool = PydanticField(default=False, description="Send requests without credentials.")
    region_name: str | None = PydanticField(default=None, description="The region; else that of the environment.")
    endpoint_url: str | None = PydanticField(default=None, description="The server, where it is not AWS's.")
    max_attempts: int = PydanticField(default=DEFAULT_ATTEMPTS, ge=1, description="How often a request is tried.")
    profile_name: str | None = PydanticField(default=None, description="The profile of AWS's own files.")
    use_ssl: bool = PydanticField(default=True, description="Whether an endpoint without a scheme is reached by HTTPS.")
    verify: bool | None = PydanticField(default=None, description="Whether certificates are checked; they are.")
    aws_access_key_id: str | None = PydanticField(default=None, description="The access key.")
    aws_secret_access_key: SecretStr | str | None = PydanticField(
        default=None, union_mode="left_to_right", description="The access key's secret."
    )
    aws_session_token: SecretStr | str | None = PydanticField(
        default=None, union_mode="left_to_right", description="The token of a temporary key."
    )

    def settings_of(self, bucket: str) -> StoreSettings:
        """Return how to reach a bucket."""
        return s3_settings(
            bucket,
            endpoint_url=self.endpoint_url,
            region=self.region_name,
            access_key_id=self.aws_access_key_id,
            secret_access_key=revealed(self.aws_secret_access_key),
            session_token=revealed(self.aws_session_token),
            profile=self.profile_name,
            use_ssl=self.use_ssl,
            verify=self.verify,
            unsigned=self.use_unsigned_session,
            max_attempts=self.max_attempts,
        )

    def get_client(self) -> Any:
        """Return a new boto3 client of S3.

        Raises:
            ImportError: boto3 is not installed.
        """
        try:
            boto3, botocore, config = (importlib.import_module(name) for name in _BOTO)
        except ImportError as error:
            raise ImportError(
                "An S3 client is boto3's, which is not installed. Run: pip install 'orchord[s3]'."
            ) from error
        options: dict[str, Any] = {"retries": {"max_attempts": self.max_attempts}}
        if self.use_unsigned_session:
            options["signature_version"] = botocore.UNSIGNED
        return boto3.Session(profile_name=self.profile_name).client(
            "s3",
            region_name=self.region_name,
            endpoint_url=self.endpoint_url,
            use_ssl=self.use_ssl,
            verify=self.verify,
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=revealed(self.aws_secret_access_key),
            aws_session_token=revealed(self.aws_session_token),
            config=config.Config(**options),
        )


_BOTO = ("boto3", "botocore", "botocore.config")


class S3Client(LazyClient[S3Resource]):
    """A boto3 client of S3 that is made when it is first used: its attributes are the client's."""

    def __repr__(self) -> str:
        return f"S3Client({self._orchord_resource.endpoint_url or 'AWS'})"


class PickledObjectS3IOManager(PickledObjectIOManager):
    """The IO manager behind ``S3PickleIOManager``.

    Args:
        s3_bucket: the bucket.
        s3_session: an ``S3Resource``, what ``s3_resource`` provides, or any boto3 client of S3.
        s3_prefix: what all keys begin with.
    """

    def __init__(self, s3_bucket: str, s3_session: Any, s3_prefix: str | None = None) -> None:
        super().__init__(settings_of_session(s3_session, s3_bucket), s3_prefix)

    def get_op_output_relative_path(self, context: InputContext | OutputContext) -> PurePosixPath:
        """Return ``storage/<run id>/<step key>/<output name>``."""
        parts = checked_parts(context.get_identifier())
        return PurePosixPath("storage", *(part.replace("[", "--").replace("]", "") for part in parts))


class S3PickleIOManager(ConfigurableIOManager):
    """Stores each value as one pickle in a bucket of S3.

    An asset is ``<prefix>/<key part>/<key part>``, an op's output ``<prefix>/storage/<run id>/<step key>/<name>``.
    """

    s3_resource: ResourceDependency[S3Resource]
    s3_bucket: str = PydanticField(description="The bucket.")
    s3_prefix: str = PydanticField(default=DEFAULT_PREFIX, description="What all keys begin with.")
    _inner: PickledObjectS3IOManager | None = PrivateAttr(default=None)

    def inner_io_manager(self) -> PickledObjectS3IOManager:
        """Return what moves the values."""
        if self._inner is None:
            self._inner = PickledObjectS3IOManager(self.s3_bucket, self.s3_resource, self.s3_prefix)
        return self._inner

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value."""
        self.inner_io_manager().handle_output(context, obj)

    def load_input(self, context: InputContext) -> Any:
        """Read a value."""
        return self.inner_io_manager().load_input(context)


_Text = Noneable(StringSource)
_S3_CONFIG = {
    "use_unsigned_session": Field(BoolSource, default_value=False, description="Send requests without credentials."),
    "region_name": Field(_Text, is_required=False, description="The region; else that of the environment."),
    "endpoint_url": Field(_Text, is_required=False, description="The server, where it is not AWS's."),
    "max_attempts": Field(IntSource, default_value=DEFAULT_ATTEMPTS, description="How often a request is tried."),
    "profile_name": Field(_Text, is_required=False, description="The profile of AWS's own files."),
    "use_ssl": Field(BoolSource, default_value=True, description="Whether endpoints without a scheme mean HTTPS."),
    "verify": Field(Noneable(BoolSource), is_required=False, description="Whether certificates are checked."),
    "aws_access_key_id": Field(_Text, is_required=False, description="The access key."),
    "aws_secret_access_key": Field(_Text, is_required=False, is_secret=True, description="Its secret."),
    "aws_session_token": Field(_Text, is_required=False, is_secret=True, description="A temporary key's token."),
}


@resource(config_schema=_S3_CONFIG, description="A boto3 client of S3, and the settings of S3PickleIOManager.")
def s3_resource(context: InitResourceContext) -> S3Client:
    """Make a client from config."""
    return S3Client(S3Resource(**context.resource_config))


@io_manager(
    config_schema={
        "s3_bucket": Field(StringSource, description="The bucket."),
        "s3_prefix": Field(StringSource, default_value=DEFAULT_PREFIX, description="What all keys begin with."),
    },
    required_resource_keys={"s3"},
    description="Stores each value as one pickle in a bucket of S3, which the resource 's3' reaches.",
)
def s3_pickle_io_manager(context: InitResourceContext) -> PickledObjectS3IOManager:
    """Make a PickledObjectS3IOManager from config."""
    config = context.resource_config
    return PickledObjectS3IOManager(config["s3_bucket"], context.resources.s3, config.get("s3_prefix"))


def settings_of_session(session: Any, bucket: str) -> StoreSettings:
    """Return how to reach a bucket, by a resource or by a client.

    Raises:
        InvalidConfigError: it is neither.
    """
    if isinstance(session, S3Client):
        session = session._orchord_resource
    if isinstance(session, S3Resource):
        return session.settings_of(bucket)
    meta, credentials = getattr(session, "meta", None), getattr(session, "_get_credentials", None)
    if meta is None or credentials is None:
        raise InvalidConfigError(
            "Pickles cannot be stored on S3",
            [f"resource 's3' is a {type(session).__name__}. Give s3_resource, an S3Resource, or a boto3 client of S3."],
        )
    found = credentials()
    frozen = None if found is None else found.get_frozen_credentials()
    return s3_settings(
        bucket,
        endpoint_url=meta.endpoint_url,
        region=meta.region_name,
        access_key_id=frozen and frozen.access_key,
        secret_access_key=frozen and frozen.secret_key,
        session_token=frozen and frozen.token,
        unsigned=frozen is None,
    )


def revealed(secret: SecretStr | str | None) -> str | None:
    """Return what a secret field holds."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
