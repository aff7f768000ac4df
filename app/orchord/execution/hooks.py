"""Calling the hooks of a step after its end. An error in a hook is an event and never fails the step.

What a hook is stands in definitions/hooks.py; which hooks a step has is the job's to say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchord.events import EventType
from orchord.execution.error_info import error_info
from orchord.execution.scope import StepScope
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.definitions.hooks import HookDefinition
    from orchord.definitions.op import OpDefinition
    from orchord.instance import OrchordInstance


class HookContext:
    """What a hook is given.

    Attributes:
        hook_def: the hook.
        job_name: the job's name.
        run_id: the run's id.
        step_key: the step that ended.
        op: the step's op.
        op_config: the op's config.
        op_exception: what failed the step; None after a success.
        op_output_values: the values of the outputs, by name.
        op_output_metadata: their metadata, by name.
        resources: the resources, by attribute.
        log: a logger; its records become events of the run.
        instance: the instance that the run belongs to.
    """

    def __init__(
        self,
        *,
        hook_def: HookDefinition | None,
        run: Run,
        step_key: str,
        op: OpDefinition | None,
        op_config: Any,
        op_exception: BaseException | None,
        op_output_values: Mapping[str, Any],
        op_output_metadata: Mapping[str, Any],
        resources: Any,
        log: logging.Logger,
        instance: Any,
    ) -> None:
        self.hook_def = hook_def
        self.run = run
        self.job_name = run.job_name
        self.run_id = run.run_id
        self.step_key = step_key
        self.op = op
        self.op_config = op_config
        self.op_exception = op_exception
        self.op_output_values = op_output_values
        self.op_output_metadata = op_output_metadata
        self.resources = resources
        self.log = log
        self.instance: OrchordInstance = instance

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that the hook requires."""
        return self.hook_def.required_resource_keys if self.hook_def is not None else frozenset()


def run_hooks(scope: StepScope, op_config: Any, error: BaseException | None) -> None:
    """Call the hooks that want this end of the step, in the order of their names."""
    hooks = scope.job.step_hooks(scope.step.key)
    if not hooks:
        return
    trigger = "success" if error is None else "failure"
    for hook in sorted(hooks, key=lambda one: one.name):
        if hook.trigger != trigger:
            _note(scope, EventType.HOOK_SKIPPED, hook, f"Skipped hook '{hook.name}': no {hook.trigger} came")
            continue
        context = HookContext(
            hook_def=hook,
            run=scope.run,
            step_key=scope.step.key,
            op=scope.op_def,
            op_config=op_config,
            op_exception=error,
            op_output_values=scope.values,
            op_output_metadata=scope.output_metadata,
            resources=scope.resources,
            log=scope.log,
            instance=scope.instance,
        )
        try:
            hook.hook_fn(context)
        except Exception as hook_error:  # noqa: BLE001 - the boundary to user code
            info = error_info(hook_error, scope.journal.masker)
            scope.journal.add(
                EventType.HOOK_ERRORED,
                f"Hook '{hook.name}' failed: {info.cls_name}: {info.message}",
                {"hook_name": hook.name, "error": info.to_string()},
                level=logging.ERROR,
            )
        else:
            _note(scope, EventType.HOOK_COMPLETED, hook, f"Finished hook '{hook.name}'")


def _note(scope: StepScope, type_: EventType, hook: HookDefinition, message: str) -> None:
    scope.journal.add(type_, message, {"hook_name": hook.name}, level=logging.DEBUG)
