"""Contexts for direct calls: ``build_op_context``, ``build_asset_context``, ``build_hook_context``.

The contexts' classes are in contexts.py and hooks.py; calling ops with them is invocation.py. IO managers' contexts are
built in definitions/io_context.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from orchord.definitions.resources import Resources, build_resources
from orchord.events import utc_now
from orchord.execution.contexts import AssetExecutionContext, OpExecutionContext, Said
from orchord.execution.hooks import HookContext
from orchord.execution.journal import Journal
from orchord.execution.logs import StepLogger
from orchord.execution.step_assets import NO_ASSETS, StepAssets
from orchord.execution.transient import TransientInstance
from orchord.runs import Run, RunStatus

if TYPE_CHECKING:
    from orchord.definitions.hooks import HookDefinition
    from orchord.definitions.op import OpDefinition

#: The run id of a direct call, which is no run.
EPHEMERAL = "EPHEMERAL"


class DirectMembers(OpExecutionContext):
    """What contexts for direct calls have beside the others: their resources, and the config they were built with."""

    def __init__(self, *, given_config: Any, given_resources: Mapping[str, Any], **facts: Any) -> None:
        super().__init__(**facts)
        self.given_config = given_config
        self.given_resources = given_resources
        self._stack = ExitStack()
        self.opened: Resources = self._stack.enter_context(
            build_resources(dict(given_resources), instance=self.instance)
        )
        self.resources = self.opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Tear down the resources that the context set up."""
        self._stack.close()

    def bind(self, op_def: OpDefinition, assets: StepAssets, config: Any) -> None:
        """Take on the op that is called. What was said in an earlier call is forgotten."""
        self._op_def = op_def
        self._assets = assets
        self._said = Said()
        self.step_key = op_def.name
        self.op_config = config
        self.resources = self.opened.only(op_def.required_resource_keys)


class DirectOpContext(DirectMembers):
    """A context to call an op with."""


class DirectAssetContext(DirectMembers, AssetExecutionContext):
    """A context to call an asset with."""


def build_op_context(
    resources: Mapping[str, Any] | None = None,
    op_config: Any = None,
    config: Any = None,
    instance: Any = None,
    run_tags: Mapping[str, str] | None = None,
    retry_number: int = 0,
) -> DirectOpContext:
    """Build a context to call an op with, in a test.

    Args:
        resources: objects or definitions, by key. Definitions are set up now; use the context as a context manager to
            have them torn down.
        op_config: the op's config: a dict or a Config object. ``config`` is another name.
        config: see ``op_config``.
        instance: what ``context.instance`` is.
        run_tags: what ``context.get_tag`` finds.
        retry_number: what ``context.retry_number`` is.
    """
    given = op_config if config is None else config
    return DirectOpContext(**_facts(given, resources, instance, run_tags, retry_number))


def build_asset_context(
    resources: Mapping[str, Any] | None = None,
    asset_config: Any = None,
    instance: Any = None,
    run_tags: Mapping[str, str] | None = None,
    retry_number: int = 0,
) -> DirectAssetContext:
    """Build a context to call an asset with, in a test. Takes what ``build_op_context`` takes."""
    return DirectAssetContext(**_facts(asset_config, resources, instance, run_tags, retry_number))


def build_hook_context(
    resources: Mapping[str, Any] | None = None,
    op: OpDefinition | None = None,
    run_id: str = EPHEMERAL,
    job_name: str = "",
    op_exception: BaseException | None = None,
    instance: Any = None,
    hook_def: HookDefinition | None = None,
) -> HookContext:
    """Build a context to call a hook with, in a test. ``resources`` holds objects, by key."""
    run = Run(run_id, job_name, "", RunStatus.STARTED, "", utc_now())
    return HookContext(
        hook_def=hook_def,
        run=run,
        step_key=op.name if op is not None else "",
        op=op,
        op_config=None,
        op_exception=op_exception,
        op_output_values={},
        op_output_metadata={},
        resources=Resources(dict(resources or {})),
        log=_logger(),
        instance=instance,
    )


def _facts(
    config: Any,
    resources: Mapping[str, Any] | None,
    instance: Any,
    run_tags: Mapping[str, str] | None,
    retry_number: int,
) -> dict[str, Any]:
    run = Run(EPHEMERAL, EPHEMERAL, "", RunStatus.STARTED, "", utc_now(), tags=dict(run_tags or {}))
    return {
        "given_config": config,
        "given_resources": resources or {},
        "run": run,
        "op_def": None,
        "step_key": "",
        "op_config": config,
        "resources": None,
        "log": _logger(),
        "instance": TransientInstance() if instance is None else instance,
        "retry_number": retry_number,
        "assets": NO_ASSETS,
    }


def _logger() -> logging.Logger:
    return StepLogger("orchord.direct", Journal(None))
