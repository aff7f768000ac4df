"""What user code says of assets while it runs: that one was made, observed, and with which metadata.

These are values that ops and assets return, yield or log. How they become events is in execution/outputs.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.assets.labels import checked_tags
from orchord.definitions.in_out import NO_VALUE, NoValueSentinel
from orchord.definitions.metadata import MetadataValue, normalize_metadata

T = TypeVar("T")


class DataVersion:
    """A text that is equal for two materializations exactly if their data are the same."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataVersion) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"DataVersion({self.value!r})"


class _AssetResult:
    """What the four results share."""

    asset_key: AssetKey | None
    metadata: dict[str, Any]
    tags: dict[str, str]

    def _set(
        self,
        asset_key: CoercibleToAssetKey | None,
        metadata: Mapping[str, Any] | None,
        tags: Mapping[str, str] | None,
    ) -> None:
        self.asset_key = None if asset_key is None else AssetKey.from_coercible(asset_key)
        self.metadata = normalize_metadata(metadata)
        self.tags = checked_tags(tags, f"{type(self).__name__}(tags=...)")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value not in (None, {}))
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class MaterializeResult(_AssetResult, Generic[T]):
    """Says that an asset was made. Returned or yielded by the body of ``@asset`` and ``@multi_asset``.

    Args:
        asset_key: which asset; needed where a body makes several.
        metadata: what to record of this materialization.
        data_version: the version of the data.
        tags: tags of this materialization.
        value: when given, it is handed to the asset's IO manager; else nothing is stored.
    """

    def __init__(
        self,
        asset_key: CoercibleToAssetKey | None = None,
        metadata: Mapping[str, Any] | None = None,
        data_version: DataVersion | None = None,
        tags: Mapping[str, str] | None = None,
        value: T | NoValueSentinel = NO_VALUE,
    ) -> None:
        self._set(asset_key, metadata, tags)
        # As it was given: tests of a body compare with plain values. What is recorded is made of it later.
        self.metadata = dict(metadata or {})
        self.data_version = data_version
        self.value = value

    @property
    def has_value(self) -> bool:
        """Whether a value was given; it may be None."""
        return self.value is not NO_VALUE


class ObserveResult(_AssetResult):
    """Says that an asset was looked at, without having been made."""

    def __init__(
        self,
        asset_key: CoercibleToAssetKey | None = None,
        metadata: Mapping[str, Any] | None = None,
        data_version: DataVersion | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._set(asset_key, metadata, tags)
        self.metadata = dict(metadata or {})
        self.data_version = data_version


class AssetMaterialization(_AssetResult):
    """An event that says that an asset was made: logged or yielded by any op, or reported from outside a run.

    Args:
        asset_key: which asset.
        description: one line on what was made.
        metadata: what to record of it.
        partition: the partition that was made.
        tags: tags of this materialization.
    """

    asset_key: AssetKey
    metadata: dict[str, MetadataValue]

    def __init__(
        self,
        asset_key: CoercibleToAssetKey,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._set(asset_key, metadata, tags)
        self.description = description
        self.partition = partition

    @property
    def label(self) -> str:
        """The key as shown."""
        return self.asset_key.to_user_string()


class AssetObservation(_AssetResult):
    """An event that says that something was noticed of an asset. Takes what ``AssetMaterialization`` takes."""

    asset_key: AssetKey
    metadata: dict[str, MetadataValue]

    def __init__(
        self,
        asset_key: CoercibleToAssetKey,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._set(asset_key, metadata, tags)
        self.description = description
        self.partition = partition

    @property
    def label(self) -> str:
        """The key as shown."""
        return self.asset_key.to_user_string()
