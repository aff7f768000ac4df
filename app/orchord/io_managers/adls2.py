"""Azure Data Lake Storage Gen2 for jobs: ``ADLS2PickleIOManager``, and the resource that gives users Azure's clients.

Values are moved by obstore through the account's Blob endpoint, where both services see the same objects. Azure's own
libraries are loaded only when user code asks for a client.
"""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field as PydanticField
from pydantic import PrivateAttr, SecretStr

from orchord.definitions.config import Field, Noneable, Permissive, Selector, StringSource
from orchord.definitions.config.config_class import Config
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
from orchord.io_managers.object_store import PickledObjectIOManager
from orchord.io_managers.s3 import DEFAULT_PREFIX, revealed
from orchord.object_stores.azure import DEFAULT_ENDPOINT_SUFFIX, azure_settings
from orchord.object_stores.settings import StoreSettings


class ADLS2SASToken(Config):
    """A shared access signature."""

    credential_type: Literal["sas"] = "sas"
    token: SecretStr | str | None = PydanticField(default=None, union_mode="left_to_right")


class ADLS2Key(Config):
    """The key of an account."""

    credential_type: Literal["key"] = "key"
    key: SecretStr | str | None = PydanticField(default=None, union_mode="left_to_right")


class ADLS2DefaultAzureCredential(Config):
    """What azure-identity's DefaultAzureCredential finds; ``kwargs`` are its arguments."""

    credential_type: Literal["default_azure_credential"] = "default_azure_credential"
    kwargs: dict[str, Any] = {}


class ADLS2Resource(ConfigurableResource["ADLS2Resource"]):
    """How to reach an account of Azure Data Lake Storage Gen2 (or Blob Storage), with a client for either API."""

    storage_account: str = PydanticField(description="The account's name.")
    credential: ADLS2SASToken | ADLS2Key | ADLS2DefaultAzureCredential = PydanticField(
        discriminator="credential_type", description="How to get in."
    )
    endpoint_suffix: str = PydanticField(default=DEFAULT_ENDPOINT_SUFFIX, description="The domain of the cloud.")
    endpoint_url: str | None = PydanticField(default=None, description="The Blob server, where it is another one.")

    def settings_of(self, file_system: str) -> StoreSettings:
        """Return how to reach a file system (a container)."""
        given: dict[str, Any] = {}
        if isinstance(self.credential, ADLS2SASToken):
            given["sas_token"] = revealed(self.credential.token)
        elif isinstance(self.credential, ADLS2Key):
            given["access_key"] = revealed(self.credential.key)
        else:
            given["default_credential"] = self.credential.kwargs
        return azure_settings(
            file_system,
            storage_account=self.storage_account,
            endpoint_suffix=self.endpoint_suffix,
            endpoint_url=self.endpoint_url,
            **given,
        )

    @property
    def adls2_client(self) -> Any:
        """A new ``azure.storage.filedatalake.DataLakeServiceClient``."""
        module = _azure("azure.storage.filedatalake")
        return module.DataLakeServiceClient(self._account_url("dfs"), credential=self._azure_credential())

    @property
    def blob_client(self) -> Any:
        """A new ``azure.storage.blob.BlobServiceClient``."""
        module = _azure("azure.storage.blob")
        return module.BlobServiceClient(self._account_url("blob"), credential=self._azure_credential())

    def _account_url(self, service: str) -> str:
        return self.endpoint_url or f"https://{self.storage_account}.{service}.{self.endpoint_suffix}"

    def _azure_credential(self) -> Any:
        if isinstance(self.credential, ADLS2SASToken):
            return revealed(self.credential.token)
        if isinstance(self.credential, ADLS2Key):
            return revealed(self.credential.key)
        return _azure("azure.identity").DefaultAzureCredential(**self.credential.kwargs)


class PickledObjectADLS2IOManager(PickledObjectIOManager):
    """The IO manager behind ``ADLS2PickleIOManager``.

    Args:
        file_system: the file system.
        adls2: an ``ADLS2Resource``.
        prefix: what all keys begin with.
    """

    def __init__(self, file_system: str, adls2: Any, prefix: str = DEFAULT_PREFIX) -> None:
        if not isinstance(adls2, ADLS2Resource):
            raise InvalidConfigError(
                "Pickles cannot be stored on Azure",
                [f"resource 'adls2' is a {type(adls2).__name__}. Give adls2_resource or an ADLS2Resource."],
            )
        super().__init__(adls2.settings_of(file_system), prefix)
        self._place = f"abfss://{file_system}@{adls2.storage_account}.dfs.{adls2.endpoint_suffix}"

    def uri_of(self, path: PurePosixPath) -> str:
        """Return where a value is, as Spark and Azure's own tools write it."""
        return f"{self._place}/{path}"


class ADLS2PickleIOManager(ConfigurableIOManager):
    """Stores each value as one pickle in a file system of Azure Data Lake Storage Gen2.

    An asset is ``<prefix>/<key part>/<key part>``, an op's output
    ``<prefix>/storage/<run id>/files/<step key>/<name>``. Objects are replaced whole, so that no lease is needed:
    ``lease_duration`` is taken, and has no effect.
    """

    adls2: ResourceDependency[ADLS2Resource]
    adls2_file_system: str = PydanticField(description="The file system.")
    adls2_prefix: str = PydanticField(default=DEFAULT_PREFIX, description="What all keys begin with.")
    lease_duration: int = PydanticField(default=60, description="Has no effect.")
    _inner: PickledObjectADLS2IOManager | None = PrivateAttr(default=None)

    def inner_io_manager(self) -> PickledObjectADLS2IOManager:
        """Return what moves the values."""
        if self._inner is None:
            self._inner = PickledObjectADLS2IOManager(self.adls2_file_system, self.adls2, self.adls2_prefix)
        return self._inner

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value."""
        self.inner_io_manager().handle_output(context, obj)

    def load_input(self, context: InputContext) -> Any:
        """Read a value."""
        return self.inner_io_manager().load_input(context)


@resource(
    config_schema={
        "storage_account": Field(StringSource, description="The account's name."),
        "credential": Field(
            Selector(
                {
                    "sas": Field(StringSource, is_secret=True, description="A SAS token."),
                    "key": Field(StringSource, is_secret=True, description="The account's key."),
                    "DefaultAzureCredential": Field(Permissive(), description="Arguments of azure-identity's class."),
                }
            ),
            description="How to get in.",
        ),
        "endpoint_suffix": Field(
            StringSource, default_value=DEFAULT_ENDPOINT_SUFFIX, description="The domain of the cloud."
        ),
        "endpoint_url": Field(
            Noneable(StringSource), is_required=False, description="The Blob server, where it is another one."
        ),
    },
    description="Clients of Azure Data Lake Storage Gen2, and the settings of ADLS2PickleIOManager.",
)
def adls2_resource(context: InitResourceContext) -> ADLS2Resource:
    """Make an ADLS2Resource from config."""
    config = dict(context.resource_config)
    ((kind, value),) = config.pop("credential").items()
    made: dict[str, Any] = {
        "sas": lambda: ADLS2SASToken(token=value),
        "key": lambda: ADLS2Key(key=value),
        "DefaultAzureCredential": lambda: ADLS2DefaultAzureCredential(kwargs=dict(value)),
    }
    return ADLS2Resource(credential=made[kind](), **config)


@io_manager(
    config_schema={
        "adls2_file_system": Field(StringSource, description="The file system."),
        "adls2_prefix": Field(StringSource, default_value=DEFAULT_PREFIX, description="What all keys begin with."),
        "lease_duration": Field(int, default_value=60, description="Has no effect: objects are replaced whole."),
    },
    required_resource_keys={"adls2"},
    description="Stores each value as one pickle in a file system of Azure, which the resource 'adls2' reaches.",
)
def adls2_pickle_io_manager(context: InitResourceContext) -> PickledObjectADLS2IOManager:
    """Make a PickledObjectADLS2IOManager from config."""
    config = context.resource_config
    return PickledObjectADLS2IOManager(config["adls2_file_system"], context.resources.adls2, config["adls2_prefix"])


def _azure(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is one of Azure's own libraries, and not installed. Run: pip install 'orchord[azure]'."
        ) from error
