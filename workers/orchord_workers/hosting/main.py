"""``orchord step execute`` and ``orchord run execute``: one step, or one run, in this process's own child.

The parent's side is parent.py, what the child does with a step is one_step.py, with a run whole_run.py.
"""

from __future__ import annotations

import logging
import secrets

from orchord.spi import (
    CONTAINER_NAME_VARIABLE,
    LAUNCH_TOKEN_VARIABLE,
    CodeLocation,
    CodeLocationLoadError,
    LocationTarget,
    Settings,
    environment_value,
    load_location,
    runs_as_unit,
)
from orchord_workers.hosting.one_step import StepOrder, run_step
from orchord_workers.hosting.parent import Child, Host
from orchord_workers.process import WorkerProcess, new_worker_id
from orchord_workers.whole_run import run_whole

logger = logging.getLogger(__name__)


def execute_step(
    settings: Settings, target: LocationTarget, run_id: str, step_key: str, attempt: int | None = None
) -> int:
    """Carry out one attempt at a step, and return the exit code: 0 when its end is stored, whatever that is.

    Args:
        settings: Where the instance lives.
        target: The code to load.
        run_id: The run.
        step_key: The step.
        attempt: The number of the attempt; None: the next one.
    """
    order = StepOrder(run_id, step_key, attempt, environment_value(LAUNCH_TOKEN_VARIABLE), secrets.token_hex(8))
    host = Host(settings, target.location_name, run_id, worker_id=identity())
    return host.run(lambda process, child: run_step(process, child, order, lambda: load_location(target)))


def execute_run(settings: Settings, target: LocationTarget, run_id: str) -> int:
    """Carry out a run that is one unit of work, or what is left of it, and return the exit code.

    Args:
        settings: Where the instance lives.
        target: The code to load.
        run_id: The run.
    """
    host = Host(settings, target.location_name, run_id, worker_id=identity(), is_whole_run=True)
    return host.run(lambda process, child: _run_here(process, child, run_id, target))


def identity() -> str:
    """Return under which name this process holds attempts: its container's, else one of its own."""
    return environment_value(CONTAINER_NAME_VARIABLE) or new_worker_id()


def _run_here(process: WorkerProcess, child: Child, run_id: str, target: LocationTarget) -> int:
    run = process.instance.storage.runs.get(run_id)
    if not runs_as_unit(run.executor):
        logger.error(
            "Run %s is carried out step by step (%s): launch it, or execute its steps with `orchord step execute`",
            *(run_id, run.executor),
        )
        return 2
    process.code = _loaded(target)
    child.wait_for_parent()
    run_whole(process.runner, run_id)
    return 0


def _loaded(target: LocationTarget) -> CodeLocation | None:
    """Load the code. Without it the run fails, with the reason, where it stands."""
    try:
        return load_location(target)
    except CodeLocationLoadError as error:
        logger.error("%s", error)
        return None
