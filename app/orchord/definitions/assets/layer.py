"""Which inputs and outputs of a job's steps are assets. Attached to asset jobs, read by plan/compile.py.

It holds no edges of its own: assets of one job are wired as ops are, by the job's graph. Built in assets/job.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchord.definitions.asset_key import AssetKey

if TYPE_CHECKING:
    from orchord.definitions.assets.definition import AssetsDefinition
    from orchord.definitions.assets.spec import AssetSpec


@dataclass(frozen=True)
class AssetLayer:
    """Asset keys by step and name.

    Attributes:
        outputs: the asset that an output makes, by (step key, output name).
        inputs: the asset that an input reads, by (step key, input name), whether this job makes it or not.
        specs: what is known of each asset that the job makes or reads.
        definitions_by_step: the assets definition that a step carries out. Steps inside a graph asset have it too.
        io_manager_keys: the resource that stores and loads each asset that the job makes or reads.
    """

    outputs: dict[tuple[str, str], AssetKey] = field(default_factory=dict)
    inputs: dict[tuple[str, str], AssetKey] = field(default_factory=dict)
    specs: dict[AssetKey, AssetSpec] = field(default_factory=dict)
    definitions_by_step: dict[str, AssetsDefinition] = field(default_factory=dict)
    io_manager_keys: dict[AssetKey, str] = field(default_factory=dict)

    @property
    def made_keys(self) -> frozenset[AssetKey]:
        """The assets that the job makes."""
        return frozenset(self.outputs.values())

    def step_keys_of(self, keys: frozenset[AssetKey] | set[AssetKey]) -> tuple[str, ...]:
        """Return the steps that make these assets. For a graph asset: every step inside it."""
        wanted = {step for (step, _), key in self.outputs.items() if key in keys}
        definitions = {id(self.definitions_by_step[step]) for step in wanted}
        return tuple(step for step, assets in self.definitions_by_step.items() if id(assets) in definitions)

    def keys_of_step(self, step_key: str) -> tuple[AssetKey, ...]:
        """Return the assets that a step makes, in the order of its outputs."""
        return tuple(key for (step, _), key in self.outputs.items() if step == step_key)
