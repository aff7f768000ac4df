"""All that one attempt at one step has at hand, in one object, passed to what loads, computes, stores and hooks.

It is made in step.py and lives as long as the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchord.definitions.in_out import DEFAULT_IO_MANAGER_KEY
from orchord.definitions.io_context import OutputContext
from orchord.errors import InvalidDefinitionError
from orchord.execution.contexts import Said
from orchord.execution.journal import Journal
from orchord.execution.logs import StepLogger
from orchord.execution.request import StepRequest
from orchord.execution.step_assets import StepAssets
from orchord.plan.model import OutputRef, Step
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.definitions.asset_key import AssetKey
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig
    from orchord.definitions.op import OpDefinition


@dataclass(slots=True)
class StepScope:
    """What one attempt has at hand.

    Attributes:
        resources: what open_resources gave for the step, or for the whole run.
        said: what the body says through its context.
        values: the values of outputs that were handled, by name.
        output_metadata: their metadata, for hooks.
    """

    job: JobDefinition
    request: StepRequest
    resolved: ResolvedRunConfig
    op_def: OpDefinition
    assets: StepAssets
    instance: Any
    journal: Journal
    log: StepLogger
    resources: Any = None
    said: Said = field(default_factory=Said)
    values: dict[str, Any] = field(default_factory=dict)
    output_metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    _resource_configs: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run."""
        return self.request.run

    @property
    def step(self) -> Step:
        """The step."""
        return self.request.step

    def manager(self, key: str) -> Any:
        """Return the IO manager or input manager under a resource key.

        Raises:
            InvalidDefinitionError: the resource cannot store or load.
        """
        manager = self.resources.get(key)
        if not (hasattr(manager, "load_input") or hasattr(manager, "handle_output")):
            raise InvalidDefinitionError(
                f"Resource '{key}' is used as an IO manager by step '{self.step.key}', but is a "
                f"{type(manager).__name__} without handle_output and load_input. Bind an IOManager to '{key}'."
            )
        return manager

    def asset_manager_key(self, key: AssetKey | None) -> str:
        """Return the resource that loads an asset that no step of this job makes."""
        layer = self.job.asset_layer
        if layer is None or key is None:
            return DEFAULT_IO_MANAGER_KEY
        return layer.io_manager_keys.get(key, DEFAULT_IO_MANAGER_KEY)

    def resource_config(self, key: str) -> Mapping[str, Any] | None:
        """Return the config of a resource as its function sees it: defaults filled in, environment variables read."""
        if key not in self._resource_configs:
            raw = self.resolved.resources.get(key)
            config = raw.get("config") if isinstance(raw, Mapping) else raw
            definition = self.job.resource_defs.get(key)
            found = None if definition is None else definition.resolve_config(config, f"resources.{key}.config")
            self._resource_configs[key] = found
        return self._resource_configs[key]

    def output_context(self, ref: OutputRef, asset_key: AssetKey | None, manager_key: str) -> OutputContext:
        """Return the context of an output that a step of this run, or of an earlier one, has made."""
        node = self.job.node_at(ref.step_key)
        out = node.definition.outs[ref.output_name]
        inherited = self.run.inherited.get(ref.step_key)
        return OutputContext(
            step_key=ref.step_key,
            name=ref.output_name,
            run_id=inherited.run_id if inherited is not None else self.run.run_id,
            job_name=self.run.job_name,
            op_def=node.definition,
            dagster_type=out.dagster_type,
            definition_metadata=out.metadata,
            resource_config=self.resource_config(manager_key),
            resources=self.resources,
            log=self.log,
            instance=self.instance,
            asset_key=asset_key,
            asset_spec=self.assets.specs.get(asset_key) if asset_key is not None else None,
        )
