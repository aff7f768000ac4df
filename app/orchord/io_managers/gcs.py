"""Google Cloud Storage for jobs: ``GCSPickleIOManager``, and the resource that gives users Google's own client.

Values are moved by obstore; google-cloud-storage is loaded only when user code asks the client for something.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from pydantic import Field as PydanticField
from pydantic import PrivateAttr, SecretStr

from orchord.definitions.config import Field, Noneable, StringSource
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
from orchord.io_managers.s3 import DEFAULT_PREFIX, revealed
from orchord.object_stores.gcs import gcs_settings
from orchord.object_stores.settings import StoreSettings


class GCSResource(ConfigurableResource["GCSResource"]):
    """How to reach Google Cloud Storage. Without credentials, those of the environment or of the machine are used."""

    project: str | None = PydanticField(default=None, description="The project of the client.")
    service_account_path: str | None = PydanticField(default=None, description="The JSON file of a service account.")
    service_account_key: SecretStr | str | None = PydanticField(
        default=None, union_mode="left_to_right", description="What such a file holds."
    )
    endpoint_url: str | None = PydanticField(default=None, description="The server, where it is not Google's.")

    def settings_of(self, bucket: str) -> StoreSettings:
        """Return how to reach a bucket."""
        return gcs_settings(
            bucket,
            service_account_path=self.service_account_path,
            service_account_key=revealed(self.service_account_key),
            endpoint_url=self.endpoint_url,
        )

    def get_client(self) -> Any:
        """Return a new ``google.cloud.storage.Client``.

        Raises:
            ImportError: google-cloud-storage is not installed.
        """
        try:
            storage = importlib.import_module("google.cloud.storage")
        except ImportError as error:
            raise ImportError(
                "A client of Google Cloud Storage is google-cloud-storage's, which is not installed. "
                "Run: pip install 'orchord[gcs]'."
            ) from error
        options = {"client_options": {"api_endpoint": self.endpoint_url}} if self.endpoint_url else {}
        if self.service_account_path:
            return storage.Client.from_service_account_json(self.service_account_path, project=self.project, **options)
        key = revealed(self.service_account_key)
        if key:
            return storage.Client.from_service_account_info(json.loads(key), project=self.project, **options)
        if self.endpoint_url:
            anonymous = importlib.import_module("google.auth.credentials").AnonymousCredentials()
            return storage.Client(project=self.project or "none", credentials=anonymous, **options)
        return storage.Client(project=self.project)


class GCSClient(LazyClient[GCSResource]):
    """A ``google.cloud.storage.Client`` that is made when it is first used: its attributes are the client's."""

    def __repr__(self) -> str:
        return f"GCSClient(project={self._orchord_resource.project!r})"


class PickledObjectGCSIOManager(PickledObjectIOManager):
    """The IO manager behind ``GCSPickleIOManager``.

    Args:
        bucket: the bucket.
        client: a ``GCSResource``, or what ``gcs_resource`` provides; without one, the environment's credentials.
        prefix: what all keys begin with.
    """

    def __init__(self, bucket: str, client: Any = None, prefix: str = DEFAULT_PREFIX) -> None:
        found = client._orchord_resource if isinstance(client, GCSClient) else client
        if not (found is None or isinstance(found, GCSResource)):
            raise InvalidConfigError(
                "Pickles cannot be stored on Google Cloud Storage",
                [f"resource 'gcs' is a {type(found).__name__}. Give gcs_resource or a GCSResource."],
            )
        super().__init__((found or GCSResource()).settings_of(bucket), prefix)


class GCSPickleIOManager(ConfigurableIOManager):
    """Stores each value as one pickle in a bucket of Google Cloud Storage.

    An asset is ``<prefix>/<key part>/<key part>``, an op's output
    ``<prefix>/storage/<run id>/files/<step key>/<name>``.
    """

    gcs: ResourceDependency[GCSResource]
    gcs_bucket: str = PydanticField(description="The bucket.")
    gcs_prefix: str = PydanticField(default=DEFAULT_PREFIX, description="What all keys begin with.")
    _inner: PickledObjectGCSIOManager | None = PrivateAttr(default=None)

    def inner_io_manager(self) -> PickledObjectGCSIOManager:
        """Return what moves the values."""
        if self._inner is None:
            self._inner = PickledObjectGCSIOManager(self.gcs_bucket, self.gcs, self.gcs_prefix)
        return self._inner

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value."""
        self.inner_io_manager().handle_output(context, obj)

    def load_input(self, context: InputContext) -> Any:
        """Read a value."""
        return self.inner_io_manager().load_input(context)


_Text = Noneable(StringSource)


@resource(
    config_schema={
        "project": Field(_Text, is_required=False, description="The project of the client."),
        "service_account_path": Field(_Text, is_required=False, description="The JSON file of a service account."),
        "service_account_key": Field(_Text, is_required=False, is_secret=True, description="What such a file holds."),
        "endpoint_url": Field(_Text, is_required=False, description="The server, where it is not Google's."),
    },
    description="A google.cloud.storage.Client, and the settings of GCSPickleIOManager.",
)
def gcs_resource(context: InitResourceContext) -> GCSClient:
    """Make a client from config."""
    return GCSClient(GCSResource(**context.resource_config))


@io_manager(
    config_schema={
        "gcs_bucket": Field(StringSource, description="The bucket."),
        "gcs_prefix": Field(StringSource, default_value=DEFAULT_PREFIX, description="What all keys begin with."),
    },
    required_resource_keys={"gcs"},
    description="Stores each value as one pickle in a bucket of Google Cloud Storage, by the resource 'gcs'.",
)
def gcs_pickle_io_manager(context: InitResourceContext) -> PickledObjectGCSIOManager:
    """Make a PickledObjectGCSIOManager from config."""
    config = context.resource_config
    return PickledObjectGCSIOManager(config["gcs_bucket"], context.resources.gcs, config["gcs_prefix"])
