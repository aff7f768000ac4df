"""The assets of one step: which its inputs read, which its outputs make, and which of them this run wants.

Computed once per job and step; what a body does with them goes through contexts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from orchord.definitions.asset_key import AssetKey
from orchord.errors import InvariantViolationError, did_you_mean

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.definitions.assets.spec import AssetSpec
    from orchord.definitions.job import JobDefinition


@dataclass(frozen=True)
class StepAssets:
    """The assets of one step.

    Attributes:
        definition: the assets definition that the step carries out; None for a plain op.
        inputs: the asset that an input reads, by input name.
        outputs: the asset that an output makes, by output name.
        specs: what is known of each of them.
        left_out: outputs of the body whose assets the job does not make.
    """

    definition: AssetsDefinition | None
    inputs: Mapping[str, AssetKey]
    outputs: Mapping[str, AssetKey]
    specs: Mapping[AssetKey, AssetSpec]
    left_out: frozenset[str] = frozenset()

    @property
    def can_subset(self) -> bool:
        """Whether the body can make some of its assets without the others."""
        return self.definition is not None and bool(self.definition.can_subset)

    def output_of(self, key: AssetKey) -> str:
        """Return the name of the output that makes an asset.

        Raises:
            InvariantViolationError: the step does not make it.
        """
        for name, made in self.outputs.items():
            if made == key:
                return name
        known = [one.to_user_string() for one in self.outputs.values()]
        raise InvariantViolationError(
            f"This step does not make the asset '{key.to_user_string()}'.{did_you_mean(key.to_user_string(), known)}"
        )

    def wanted(self, names: Iterable[str], asset_selection: tuple[str, ...] | None) -> frozenset[str]:
        """Return which of a body's outputs a run of this selection wants."""
        unselected = self.outputs.keys() - self.selected_outputs(asset_selection).keys()
        return frozenset(names) - self.left_out - unselected

    def selected_outputs(self, asset_selection: tuple[str, ...] | None) -> Mapping[str, AssetKey]:
        """Return the outputs that a run of this selection (user strings of keys; None: all) wants."""
        if asset_selection is None or not self.can_subset:
            return self.outputs
        wanted = {name: key for name, key in self.outputs.items() if key.to_user_string() in asset_selection}
        return wanted or self.outputs


NO_ASSETS = StepAssets(None, MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))


def step_assets(job: JobDefinition, step_key: str) -> StepAssets:
    """Return the assets of one step of a job."""
    layer = job.asset_layer
    if layer is None:
        return NO_ASSETS
    inputs = {name: key for (step, name), key in layer.inputs.items() if step == step_key}
    outputs = {name: key for (step, name), key in layer.outputs.items() if step == step_key}
    keys = {*inputs.values(), *outputs.values()}
    specs = {key: layer.specs[key] for key in keys if key in layer.specs}
    definition = layer.definitions_by_step.get(step_key)
    can_subset = definition is not None and definition.can_subset
    left_out = definition.keys_by_output_name.keys() - outputs.keys() if definition is not None and can_subset else ()
    return StepAssets(definition, inputs, outputs, specs, frozenset(left_out))
