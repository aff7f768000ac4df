"""One step of a worker in a process of its own beside it: what an op's ``orchord/isolation: subprocess`` asks for.

How such processes are started and followed is the core's (orchord.execution.processes); whole runs are whole_run.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from orchord.spi import (
    ErrorInfo,
    Event,
    ProcessRequest,
    ProcessStarters,
    StartFailedError,
    StepProcesses,
    StepRequest,
    StepResult,
    fault_result,
)
from orchord_workers.interrupts import Interrupts


def execute_apart(
    starters: ProcessStarters,
    interrupts: Interrupts,
    request: StepRequest,
    *,
    token: str,
    owner: str,
    lasts_seconds: float | None,
    on_event: Callable[[Event], None],
) -> StepResult:
    """Carry out a claimed attempt in a process of its own. What becomes of the process is in the result.

    Args:
        starters: How processes are started here.
        interrupts: How this process is told to stop the step.
        request: The attempt.
        token: What it is held by.
        owner: Who looks after what the step prints.
        lasts_seconds: After how long the step's process is ended by its time limit; None: no limit.
        on_event: Is called with each event as it happens.
    """
    with interrupts.noticed(request.run.run_id, token) as stop:
        try:
            with contextlib.closing(StepProcesses(starters.of("forkserver"), stop=stop)) as processes:
                # The limit counts from where the code is loaded.
                asked = ProcessRequest(request, owner)
                return processes.run(asked, on_event=on_event, on_started=lambda: interrupts.board.limit(lasts_seconds))
        except StartFailedError as error:
            return fault_result(request.step.key, ErrorInfo(type(error).__name__, str(error)))
