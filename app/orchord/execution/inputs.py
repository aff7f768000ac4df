"""The values of a step's inputs: from upstream outputs, from assets, from config, or from defaults; then checked.

Which source an input has is the plan's matter (plan/compile.py); storing values is outputs.py.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.config import env_resolved
from orchord.definitions.io_context import InputContext, OutputContext
from orchord.definitions.job_config import input_config_type
from orchord.errors import InvariantViolationError, TypeCheckError
from orchord.events import EventType
from orchord.execution.outputs import metadata_json
from orchord.execution.scope import StepScope
from orchord.plan.model import OutputRef, StepInput

_MISSING: Any = object()


def load_inputs(scope: StepScope) -> dict[str, Any]:
    """Return the value of each input that has one, by name.

    Raises:
        TypeCheckError: a value does not fit its input's type.
        InvariantViolationError: an input has no value and no default.
    """
    values: dict[str, Any] = {}
    for step_input in scope.step.inputs:
        if not step_input.loads:
            continue
        value = _value(scope, step_input)
        _check(scope, step_input.name, value)
        values[step_input.name] = value
    return values


def _value(scope: StepScope, step_input: StepInput) -> Any:
    if step_input.fan_in:
        return [_loaded(scope, step_input, ref) for ref in step_input.sources if ref not in scope.request.missing]
    if step_input.sources and not _is_given(scope, step_input):
        return _loaded(scope, step_input, step_input.sources[0])
    value = _configured(scope, step_input.name)
    if value is not _MISSING:
        return value
    if step_input.asset_key is not None:
        return _loaded(scope, step_input, None)
    if step_input.input_manager_key is not None:
        return _loaded(scope, step_input, None)
    return _default(scope, step_input.name)


def _is_given(scope: StepScope, step_input: StepInput) -> bool:
    """Whether config gives a value that no step of this run, nor of an earlier one, makes."""
    source = step_input.sources[0].step_key
    selected = scope.run.step_keys
    absent = selected is not None and source not in selected and source not in scope.run.inherited
    return absent and step_input.asset_key is None and _configured(scope, step_input.name) is not _MISSING


def _configured(scope: StepScope, name: str) -> Any:
    given = scope.resolved.inputs.get(scope.step.key, {})
    if name not in given:
        return _MISSING
    path = f"ops.{scope.step.key}.inputs.{name}"
    return configured_value(env_resolved(given[name], input_config_type(scope.op_def.ins[name]), path))


def configured_value(given: Any) -> Any:
    """Return the value that an ``inputs`` entry of run config stands for.

    ``{"value": x}`` and a plain ``x`` are x itself; ``{"json": path}`` and ``{"pickle": path}`` are read from a file.
    """
    if isinstance(given, Mapping) and len(given) == 1:
        ((kind, content),) = given.items()
        if kind == "value":
            return content
        if kind == "json":
            path = content["path"] if isinstance(content, Mapping) else content
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        if kind == "pickle":
            path = content["path"] if isinstance(content, Mapping) else content
            with open(path, "rb") as file:
                return pickle.load(file)
    return given


def _default(scope: StepScope, name: str) -> Any:
    direct = scope.job.direct_input_value(scope.step.key, name, _MISSING)
    if direct is not _MISSING:
        return direct
    declared = scope.op_def.ins[name]
    if declared.has_default_value:
        return declared.default_value
    raise InvariantViolationError(
        f"Input '{name}' of step '{scope.step.key}' has no value. Connect it, give it in run config at "
        f"ops.{scope.step.key}.inputs.{name}, or give it a default."
    )


def _loaded(scope: StepScope, step_input: StepInput, ref: OutputRef | None) -> Any:
    key = AssetKey.from_user_string(step_input.asset_key) if step_input.asset_key is not None else None
    manager_key = step_input.input_manager_key or _upstream_manager_key(scope, ref, key)
    declared = scope.op_def.ins[step_input.name]
    upstream = _upstream(scope, ref, key, manager_key)
    context = InputContext(
        name=step_input.name,
        job_name=scope.run.job_name,
        op_def=scope.op_def,
        dagster_type=declared.dagster_type,
        upstream_output=upstream,
        definition_metadata=declared.metadata,
        resource_config=scope.resource_config(manager_key),
        resources=scope.resources,
        log=scope.log,
        instance=scope.instance,
        asset_key=key,
    )
    try:
        value = scope.manager(manager_key).load_input(context)
    except Exception as error:
        whence = f"output '{ref.output_name}' of step '{ref.step_key}'" if ref else f"asset '{step_input.asset_key}'"
        error.add_note(
            f"This happened while IO manager '{manager_key}' loaded input '{step_input.name}' of op "
            f"'{scope.op_def.name}' from {whence}."
        )
        raise
    data: dict[str, Any] = {"input_name": step_input.name, "manager_key": manager_key}
    if ref is not None:
        data["upstream_step_key"], data["upstream_output_name"] = ref.step_key, ref.output_name
    if context.logged_metadata:
        data["metadata"] = metadata_json(context.logged_metadata)
    scope.journal.add(
        EventType.LOADED_INPUT, f"Loaded input '{step_input.name}' using input manager '{manager_key}'", data
    )
    return value


def _upstream(scope: StepScope, ref: OutputRef | None, key: AssetKey | None, manager_key: str) -> OutputContext | None:
    if ref is not None:
        return scope.output_context(ref, key, manager_key)
    if key is None:
        return None
    # An asset that no step of this job makes: its managers find it by its key alone.
    spec = scope.assets.specs.get(key)
    return OutputContext(
        asset_key=key,
        asset_spec=spec,
        definition_metadata=spec.metadata if spec is not None else None,
        resource_config=scope.resource_config(manager_key),
        resources=scope.resources,
        log=scope.log,
        instance=scope.instance,
    )


def _upstream_manager_key(scope: StepScope, ref: OutputRef | None, key: AssetKey | None) -> str:
    if ref is not None:
        return str(scope.job.node_at(ref.step_key).definition.outs[ref.output_name].manager_key)
    return scope.asset_manager_key(key)


def _check(scope: StepScope, name: str, value: Any) -> None:
    type_ = scope.op_def.ins[name].dagster_type
    mistake = type_.check(value)
    verdict = "passed" if mistake is None else "failed"
    scope.journal.add(
        EventType.STEP_INPUT,
        f"Got input '{name}' of type '{type_.name}' (type check {verdict})",
        {"input_name": name, "type_check": {"success": mistake is None, "description": mistake}},
    )
    if mistake is not None:
        raise TypeCheckError(f"Input '{name}' of op '{scope.op_def.name}' does not fit its type: {mistake}")
