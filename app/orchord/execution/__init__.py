"""Executing definitions: one attempt at one step, whole runs in this process, and direct calls of ops and assets.

Importing this package installs the engine that ``definitions/engine.py`` asks for. It is the door for others: they
import from it, so that threads which come first at the same time take the import locks in one order. Carrying runs
out on many workers is orchord_workers.
"""

from __future__ import annotations

from orchord.definitions import engine
from orchord.execution.build_context import build_asset_context, build_hook_context, build_op_context
from orchord.execution.contexts import AssetExecutionContext, OpExecutionContext
from orchord.execution.execute import InProcessEngine
from orchord.execution.expectations import ExpectationResult
from orchord.execution.hooks import HookContext
from orchord.execution.in_process import RunEnd, RunSink, run_in_process
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.logs import get_logger
from orchord.execution.materialize import materialize, materialize_to_memory
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.result import ExecuteInProcessResult
from orchord.execution.step import execute_step
from orchord.execution.transient import install_ephemeral
from orchord.execution.turns import Progress

engine.install(InProcessEngine())

__all__ = [
    "AssetExecutionContext",
    "ExecuteInProcessResult",
    "ExecutionInterrupted",
    "ExpectationResult",
    "HookContext",
    "OpExecutionContext",
    "Progress",
    "RunEnd",
    "RunSink",
    "StepRequest",
    "StepResult",
    "build_asset_context",
    "build_hook_context",
    "build_op_context",
    "execute_step",
    "get_logger",
    "install_ephemeral",
    "materialize",
    "materialize_to_memory",
    "run_in_process",
]
