"""Executing definitions: one attempt at one step, whole runs in this process, and direct calls of ops and assets.

Importing this package installs the engine that ``definitions/engine.py`` asks for. Carrying runs out on many workers
is orchord_workers.
"""

from __future__ import annotations

from orchord.definitions import engine
from orchord.execution.execute import InProcessEngine
from orchord.execution.in_process import Progress, RunEnd, RunSink, run_in_process
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.step import execute_step

engine.install(InProcessEngine())

__all__ = [
    "ExecutionInterrupted",
    "Progress",
    "RunEnd",
    "RunSink",
    "StepRequest",
    "StepResult",
    "execute_step",
    "run_in_process",
]
