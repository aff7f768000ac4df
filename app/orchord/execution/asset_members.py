"""The members of a context that speak of assets: keys of inputs and outputs, the selection, metadata by asset.

Mixed into OpExecutionContext in contexts.py, so that an op that makes assets has them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchord.definitions.asset_key import AssetKey, CoercibleToAssetKey
from orchord.definitions.io_context import note_metadata
from orchord.errors import InvariantViolationError, did_you_mean

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.definitions.assets.results import DataVersion
    from orchord.execution.contexts import Said
    from orchord.execution.step_assets import StepAssets
    from orchord.runs import Run


class AssetMembers:
    """What a context knows of assets."""

    #: Assets are not partitioned here; code that asks is told so.
    has_partition_key: bool = False
    has_partition_key_range: bool = False

    run: Run
    _assets: StepAssets
    _said: Said

    @property
    def has_assets_def(self) -> bool:
        """Whether the body belongs to an asset."""
        return self._assets.definition is not None

    @property
    def assets_def(self) -> AssetsDefinition:
        """The definition of the assets that the body makes."""
        if self._assets.definition is None:
            raise InvariantViolationError("This body belongs to an op, not to an asset, so it has no assets_def.")
        return self._assets.definition

    @property
    def asset_key(self) -> AssetKey:
        """The key of the one asset that the body makes.

        Raises:
            InvariantViolationError: it makes none, or several.
        """
        keys = list(dict.fromkeys(self._assets.outputs.values()))
        if len(keys) != 1:
            found = ", ".join(key.to_user_string() for key in keys) or "none"
            raise InvariantViolationError(
                f"asset_key asks for the one asset that the body makes; it makes {found}. "
                "Use selected_asset_keys or asset_key_for_output(name)."
            )
        return keys[0]

    @property
    def selected_output_names(self) -> set[str]:
        """The outputs that this run wants; a body that can be subset makes no others."""
        return set(self._assets.selected_outputs(self.run.asset_selection))

    @property
    def selected_asset_keys(self) -> set[AssetKey]:
        """The assets that this run wants; a body that can be subset makes no others."""
        return set(self._assets.selected_outputs(self.run.asset_selection).values())

    @property
    def is_subset(self) -> bool:
        """Whether the run wants some of the body's assets and not all."""
        return bool(self._assets.left_out) or len(self.selected_output_names) < len(self._assets.outputs)

    def asset_key_for_output(self, output_name: str = "result") -> AssetKey:
        """Return the asset that an output makes."""
        return _found(self._assets.outputs, output_name, "output")

    def asset_key_for_input(self, input_name: str) -> AssetKey:
        """Return the asset that an input reads."""
        return _found(self._assets.inputs, input_name, "input")

    def output_for_asset_key(self, asset_key: AssetKey) -> str:
        """Return the name of the output that makes an asset."""
        return self._assets.output_of(asset_key)

    def add_asset_metadata(self, metadata: Mapping[str, Any], asset_key: CoercibleToAssetKey | None = None) -> None:
        """Add metadata to the materialization of an asset that the body makes.

        Args:
            metadata: values by name.
            asset_key: which asset; may be left out when there is one.
        """
        key = self.asset_key if asset_key is None else AssetKey.from_coercible(asset_key)
        noted = self._said.metadata.setdefault(self._assets.output_of(key), {})
        note_metadata(noted, metadata, f"asset '{key.to_user_string()}'")

    def set_data_version(self, asset_key: CoercibleToAssetKey, data_version: DataVersion) -> None:
        """Set the version of the data of an asset that the body makes."""
        key = AssetKey.from_coercible(asset_key)
        self._assets.output_of(key)
        self._said.data_versions[key] = data_version.value


def _found(keys: Mapping[str, AssetKey], name: str, kind: str) -> AssetKey:
    if name not in keys:
        raise InvariantViolationError(f"No {kind} '{name}' is an asset.{did_you_mean(name, keys)}")
    return keys[name]
