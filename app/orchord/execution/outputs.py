"""From what a body returned to stored outputs: type checks, the IO manager, materializations, and what was left out.

Reading the body's stream is body.py; the commands that follow from missing outputs are plan/machine.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.results import (
    AssetMaterialization,
    AssetObservation,
    MaterializeResult,
    ObserveResult,
)
from orchord.definitions.io_context import OutputContext
from orchord.definitions.metadata import MetadataValue, normalize_metadata
from orchord.definitions.output import Output
from orchord.errors import InvariantViolationError, TypeCheckError, did_you_mean
from orchord.events import EventType
from orchord.execution.expectations import ExpectationResult
from orchord.execution.scope import StepScope
from orchord.plan.model import StepOutput

DATA_VERSION_TAG = "orchord/data_version"
CODE_VERSION_TAG = "orchord/code_version"


class OutputHandler:
    """Takes the results of one body, one after another, and makes outputs and events of them."""

    def __init__(self, scope: StepScope) -> None:
        self.scope = scope
        self.names: list[str] = []
        self._outputs = {output.name: output for output in scope.step.outputs}
        self._wanted = wanted_outputs(scope)

    def take(self, result: Any) -> None:
        """Handle one result or event of the body.

        Raises:
            InvariantViolationError: it is for an output that does not exist, or that was made already.
            TypeCheckError: a value does not fit.
        """
        if isinstance(result, Output):
            metadata = normalize_metadata(result.metadata)
            version = getattr(result.data_version, "value", result.data_version)
            self._output(result.output_name, result.value, metadata, result.tags, version, stores=True)
        elif isinstance(result, MaterializeResult):
            key = self._key_of(result)
            version = result.data_version.value if result.data_version is not None else None
            name = self.scope.assets.output_of(key)
            value = result.value if result.has_value else None
            self._output(
                name, value, normalize_metadata(result.metadata), result.tags, version, stores=result.has_value
            )
        elif isinstance(result, ObserveResult):
            self._observe(result)
        else:
            record_event(self.scope, result)

    def finish(self) -> None:
        """See to the outputs that the body left out, once it has ended.

        Raises:
            InvariantViolationError: a required output was not made; all of them are named.
        """
        absent = [self._outputs[name] for name in self._outputs if name not in self.names]
        for output in absent:
            # Order alone passes through such an output, so a body that says nothing has said it.
            if not output.stores and output.is_required and output.name in self._wanted:
                self._output(output.name, None, {}, {}, None, stores=False)
        absent = [output for output in absent if output.name not in self.names and output.name in self._wanted]
        required = [output.name for output in absent if output.is_required]
        if required:
            names = ", ".join(f"'{name}'" for name in required)
            raise InvariantViolationError(
                f"Op '{self.scope.op_def.name}' ended without its required output {names}. Return or yield a value for "
                "it, or declare it with is_required=False."
            )
        for output in absent:
            self.scope.journal.add(
                EventType.ENGINE_EVENT,
                f"Optional output '{output.name}' was not yielded; steps that need it are skipped.",
                {"output_name": output.name},
                level=logging.DEBUG,
            )

    def _output(
        self,
        name: str,
        value: Any,
        metadata: Mapping[str, MetadataValue],
        tags: Mapping[str, str],
        data_version: str | None,
        *,
        stores: bool,
    ) -> None:
        output = self._checked(name)
        self.names.append(name)
        said = self.scope.said.metadata.get(name, {})
        metadata = {**metadata, **said}
        if stores:
            self._check_type(name, value, metadata)
        else:
            self._note_step_output(name, None, metadata)
        self.scope.values[name] = value
        self.scope.output_metadata[name] = metadata
        key = self.scope.assets.outputs.get(name)
        stored = self._store(output, key, value, metadata) if stores and output.stores else None
        if key is not None:
            # What the manager noted is said last, as its path or row count is what readers look for.
            everything = {**metadata, **(stored.logged_metadata if stored else {})}
            self._materialize(key, output, everything, tags, data_version)
        if stored is not None:
            self.scope.journal.add(
                EventType.HANDLED_OUTPUT,
                f"Handled output '{name}' using IO manager '{output.io_manager_key}'",
                {
                    "output_name": name,
                    "manager_key": output.io_manager_key,
                    "metadata": metadata_json({**metadata, **stored.logged_metadata}),
                },
            )

    def _checked(self, name: str) -> StepOutput:
        output = self._outputs.get(name)
        op_name = self.scope.op_def.name
        if output is None:
            raise InvariantViolationError(f"Op '{op_name}' has no output '{name}'.{did_you_mean(name, self._outputs)}")
        if name in self.names:
            raise InvariantViolationError(f"Op '{op_name}' made its output '{name}' twice. Yield each output once.")
        if name not in self._wanted:
            raise InvariantViolationError(
                f"'{op_name}' made its output '{name}', which this run does not select. Make only what "
                "context.selected_output_names or context.selected_asset_keys hold."
            )
        return output

    def _check_type(self, name: str, value: Any, metadata: Mapping[str, MetadataValue]) -> None:
        out = self.scope.op_def.outs[name]
        mistake = None if out.is_nothing and value is None else out.dagster_type.check(value)
        self._note_step_output(name, mistake, metadata)
        if mistake is not None:
            raise TypeCheckError(f"Output '{name}' of op '{self.scope.op_def.name}' does not fit its type: {mistake}")

    def _note_step_output(self, name: str, mistake: str | None, metadata: Mapping[str, MetadataValue]) -> None:
        type_name = self.scope.op_def.outs[name].dagster_type.name
        verdict = "passed" if mistake is None else "failed"
        self.scope.journal.add(
            EventType.STEP_OUTPUT,
            f"Yielded output '{name}' of type '{type_name}' (type check {verdict})",
            {
                "output_name": name,
                "type_check": {"success": mistake is None, "description": mistake},
                "metadata": metadata_json(metadata),
            },
        )

    def _store(
        self, output: StepOutput, key: AssetKey | None, value: Any, metadata: Mapping[str, MetadataValue]
    ) -> OutputContext:
        scope, name = self.scope, output.name
        out = scope.op_def.outs[name]
        context = OutputContext(
            step_key=scope.step.key,
            name=name,
            run_id=scope.run.run_id,
            job_name=scope.run.job_name,
            op_def=scope.op_def,
            dagster_type=out.dagster_type,
            definition_metadata=out.metadata,
            output_metadata=metadata,
            resource_config=scope.resource_config(output.io_manager_key),
            resources=scope.resources,
            log=scope.log,
            instance=scope.instance,
            asset_key=key,
            asset_spec=scope.assets.specs.get(key) if key is not None else None,
            log_event=lambda event: record_event(scope, event),
        )
        try:
            yielded = scope.manager(output.io_manager_key).handle_output(context, value)
            if yielded is not None:
                # A manager may be a generator of events and metadata.
                _take_from_manager(scope, context, yielded)
        except Exception as error:
            error.add_note(
                f"This happened while IO manager '{output.io_manager_key}' stored output '{name}' of op "
                f"'{scope.op_def.name}' (a value of type '{type(value).__name__}')."
            )
            raise
        return context

    def _materialize(
        self,
        key: AssetKey,
        output: StepOutput,
        metadata: Mapping[str, MetadataValue],
        tags: Mapping[str, str],
        data_version: str | None,
    ) -> None:
        spec = self.scope.assets.specs.get(key)
        all_tags = dict(tags)
        version = self.scope.said.data_versions.get(key, data_version)
        if version is not None:
            all_tags[DATA_VERSION_TAG] = str(version)
        if spec is not None and spec.code_version is not None:
            all_tags[CODE_VERSION_TAG] = spec.code_version
        name = key.to_user_string()
        self.scope.journal.add(
            EventType.ASSET_MATERIALIZATION,
            f"Materialized asset {name}",
            {"output_name": output.name, "metadata": metadata_json(metadata), "tags": all_tags},
            asset_key=name,
        )

    def _observe(self, result: ObserveResult) -> None:
        key = self._key_of(result)
        self.names.append(self._checked(self.scope.assets.output_of(key)).name)
        tags = dict(result.tags)
        if result.data_version is not None:
            tags[DATA_VERSION_TAG] = result.data_version.value
        name = key.to_user_string()
        self.scope.journal.add(
            EventType.ASSET_OBSERVATION,
            f"Observed asset {name}",
            {"metadata": metadata_json(normalize_metadata(result.metadata)), "tags": tags},
            asset_key=name,
        )

    def _key_of(self, result: MaterializeResult[Any] | ObserveResult) -> AssetKey:
        assets = self.scope.assets
        if result.asset_key is not None:
            return result.asset_key
        keys = list(dict.fromkeys(assets.outputs.values()))
        if len(keys) == 1:
            return keys[0]
        what = f"makes {len(keys)} assets, so give asset_key=" if keys else "makes no asset; use Output instead"
        raise InvariantViolationError(
            f"'{self.scope.op_def.name}' gave a {type(result).__name__} without asset_key, but {what}."
        )


def wanted_outputs(scope: StepScope) -> frozenset[str]:
    """Return the outputs that this run wants of the step: all, but for assets that can be subset."""
    return scope.assets.wanted((output.name for output in scope.step.outputs), scope.run.asset_selection)


def record_event(scope: StepScope, event: Any) -> None:
    """Make an event of what a body or an IO manager logged."""
    if isinstance(event, ExpectationResult):
        verdict = "passed" if event.success else "failed"
        scope.journal.add(
            EventType.STEP_EXPECTATION_RESULT,
            ": ".join(filter(None, [f"Expectation '{event.label or 'unnamed'}' {verdict}", event.description])),
            {
                "success": event.success,
                "label": event.label,
                "description": event.description,
                "metadata": metadata_json(event.metadata),
            },
        )
        return
    is_made = isinstance(event, AssetMaterialization)
    assert is_made or isinstance(event, AssetObservation)
    name = event.asset_key.to_user_string()
    data: dict[str, Any] = {"metadata": metadata_json(event.metadata), "tags": dict(event.tags)}
    if event.description:
        data["description"] = event.description
    scope.journal.add(
        EventType.ASSET_MATERIALIZATION if is_made else EventType.ASSET_OBSERVATION,
        event.description or f"{'Materialized' if is_made else 'Observed'} asset {name}",
        data,
        asset_key=name,
        partition=event.partition,
    )


def metadata_json(metadata: Mapping[str, MetadataValue]) -> dict[str, Any]:
    """Return metadata as JSON-able data."""
    return {name: value.to_json() for name, value in metadata.items()}


def _take_from_manager(scope: StepScope, context: OutputContext, yielded: Any) -> None:
    for item in yielded:
        if isinstance(item, Mapping):
            context.add_output_metadata(item)
        elif isinstance(item, (AssetMaterialization, AssetObservation)):
            record_event(scope, item)
        else:
            raise InvariantViolationError(
                f"handle_output yielded a value of type '{type(item).__name__}'. It may yield AssetMaterialization, "
                "AssetObservation or a dict of metadata, or return nothing."
            )
