"""SourceAsset: an asset that nothing in the location makes, but that others read.

A plain AssetSpec in ``Definitions(assets=[...])`` is the same without an IO manager of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.spec import AssetSpec
from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.resources.configurable import as_resource_definition
from orchord.errors import InvalidDefinitionError

IO_MANAGER_METADATA = "dagster/io_manager_key"


class SourceAsset:
    """An asset that is made elsewhere, and read here by an IO manager.

    Args:
        key: the asset's key.
        metadata: labelled values.
        io_manager_key: the resource that loads it.
        io_manager_def: the IO manager itself, instead of a key of one.
        description: what it is, in words.
        group_name: the group that it is shown in.
        resource_defs: resources that come with it, by key.
        tags: labels to select by.
        owners: e-mail addresses and ``team:<name>``.

    Raises:
        InvalidDefinitionError: both io_manager_key and io_manager_def are given, or labels are not valid.
    """

    def __init__(
        self,
        key: CoercibleToAssetKey,
        metadata: Mapping[str, Any] | None = None,
        io_manager_key: str | None = None,
        io_manager_def: Any = None,
        description: str | None = None,
        group_name: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        owners: Sequence[str] | None = None,
    ) -> None:
        self.spec = AssetSpec(
            key, metadata=metadata, description=description, group_name=group_name, tags=tags, owners=owners
        )
        resources = dict(resource_defs or {})
        if io_manager_def is not None:
            if io_manager_key is not None:
                raise InvalidDefinitionError(
                    f"SourceAsset {self.spec.key.to_user_string()} has both io_manager_key and io_manager_def;"
                    " give one of them."
                )
            io_manager_key = self.spec.key.to_python_identifier("io_manager")
            resources[io_manager_key] = io_manager_def
        self.io_manager_key = io_manager_key or io_manager_key_of_spec(self.spec)
        self.resource_defs = {name: as_resource_definition(value) for name, value in resources.items()}

    @classmethod
    def from_spec(cls, spec: AssetSpec, io_manager_key: str | None = None) -> SourceAsset:
        """Return the external asset of a spec."""
        made = cls(spec.key, io_manager_key=io_manager_key or io_manager_key_of_spec(spec))
        made.spec = spec
        return made

    def __repr__(self) -> str:
        return f"<SourceAsset {self.spec.key.to_user_string()}>"

    @property
    def key(self) -> AssetKey:
        """The asset's key."""
        return self.spec.key

    @property
    def description(self) -> str | None:
        """What it is, in words."""
        return self.spec.description

    @property
    def group_name(self) -> str:
        """The group that it is shown in."""
        return self.spec.group

    def to_spec(self) -> AssetSpec:
        """Return what is known of it."""
        return self.spec


def io_manager_key_of_spec(spec: AssetSpec) -> str:
    """Return the resource that loads an external asset: what its metadata says, else the default one."""
    return str(spec.metadata.get(IO_MANAGER_METADATA, DEFAULT_IO_MANAGER_KEY))
