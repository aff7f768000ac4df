"""A run in a process of its own beside the worker: started, waited for, stopped, and attended to when it has died.

The process is ``orchord run execute``, as in a container (hosting/): it has a heartbeat and an identity of its own, and
should this worker die it goes on. Which runs have one is their launcher's (launchers/local.py).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from orchord.spi import (
    CONTAINER_NAME_VARIABLE,
    AttemptStatus,
    ErrorInfo,
    Place,
    Run,
    RunStatus,
    StopNotice,
    child_environment,
    utc_now,
)
from orchord_workers.persistence import patiently
from orchord_workers.process import WorkerProcess, new_worker_id
from orchord_workers.step_runner import run_or_none
from orchord_workers.stopping import GRACE_SECONDS
from orchord_workers.whole_run import run_whole

logger = logging.getLogger(__name__)

# Where the system cannot tell of a process's end, it is looked for this often.
LOOK_SECONDS = 0.5


def carry_out(process: WorkerProcess, run_id: str) -> None:
    """Carry out a run that is one unit of work where its launcher says: here, or in a process of its own."""
    run = run_or_none(process.instance, run_id)
    if run is None or run.status.is_terminal:
        return
    is_waiting = run.status is not RunStatus.CANCELING
    if is_waiting and Place(run.unit_place) is Place.PROCESS and process.code is not None:
        attempts = process.instance.storage.attempts.of_run(run_id)
        if any(attempt.status is AttemptStatus.RUNNING for attempt in attempts):
            logger.info("Ignored a second copy of run %s: another process works on it", run_id)
            return
        _run_beside(process, run)
    else:
        run_whole(process.runner, run_id)


def _run_beside(process: WorkerProcess, run: Run) -> None:
    assert process.code is not None
    name = new_worker_id()
    target = process.code.target
    command = [sys.executable, "-m", "orchord.cli.main", "run", "execute", run.run_id, *target.arguments]
    environment = child_environment(**{"ORCHORD_HOME": str(process.settings.home), CONTAINER_NAME_VARIABLE: name})
    with process.interrupts.noticed(run.run_id) as stop:
        try:
            # A group of its own: what stops a terminal's processes stops the worker, which tells this one.
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0)
        except OSError as error:
            _fail(process, run, f"no process can be started for the run: {error}")
            return
        exit_code = _waited_for(child, stop, lambda: _only_closes(process, run.run_id))
    _attend(process, run, name, exit_code)


def _only_closes(process: WorkerProcess, run_id: str) -> bool:
    """Whether a run has come to its own end, so that its process only tears down resources and uploads logs.

    A worker stops whatever works on a run that has ended; so this one says that it works on it no more.
    """
    status = patiently(lambda: process.instance.storage.runs.status(run_id))
    if status not in (RunStatus.SUCCESS, RunStatus.FAILURE):
        return False
    # What is still to be stopped in it, its own parent stops (hosting/parent.py).
    process.interrupts.board.clear()
    return True


def _waited_for(child: subprocess.Popen[bytes], stop: StopNotice, only_closes: Callable[[], bool]) -> int:
    """Wait for the process's end; pass a stop on, and end the process when it does not heed it.

    ``only_closes`` is asked once there is a stop: whether the process comes to its end by itself.
    """
    ended = _end_of(child)
    end_at: float | None = None
    watches_stop = True
    try:
        while child.poll() is None:
            pause = None if ended is not None else LOOK_SECONDS
            if stop.is_set and watches_stop:
                watches_stop = False
                if not only_closes():
                    end_at = time.monotonic() + GRACE_SECONDS
                    child.terminate()
            if end_at is not None:
                left = end_at - time.monotonic()
                if left <= 0:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    return child.wait()
                pause = min(left, pause or left)
            watched = ([] if ended is None else [ended]) + ([stop.fileno()] if watches_stop else [])
            select.select(watched, [], [], pause)
        return child.wait()
    finally:
        if ended is not None:
            os.close(ended)


def _end_of(child: subprocess.Popen[bytes]) -> int | None:
    """Return a descriptor that can be read from once the process has ended; None where the system has none to give."""
    try:
        return os.pidfd_open(child.pid)
    except (AttributeError, OSError):
        return None


def _attend(process: WorkerProcess, run: Run, name: str, exit_code: int) -> None:
    """See to it that a run goes on, or fails, whose process has died."""
    storage = process.instance.storage
    held = patiently(lambda: storage.attempts.running_of_worker(name))
    if held:
        # Its parent itself was killed: it had no time to say why.
        process.mender.attempts_lost(held, "the process of its run died")
        return
    status = patiently(lambda: storage.runs.status(run.run_id))
    if status is None or status.is_terminal:
        return
    began = any(one.worker_id == name for one in patiently(lambda: storage.attempts.of_run(run.run_id)))
    if exit_code and not began and status is not RunStatus.CANCELING:
        _fail(process, run, f"the run's process {worded(exit_code)} before a step began; the worker's log says more")
    elif status is RunStatus.CANCELING or began:
        process.mender.mend_run(run.run_id)


def worded(exit_code: int) -> str:
    """Word how a process ended."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    return f"was killed by {signal.Signals(-exit_code).name}"


def _fail(process: WorkerProcess, run: Run, reason: str) -> None:
    fault = ErrorInfo("RunProcessFailed", f"The run could not be carried out: {reason}.")
    status = patiently(lambda: process.instance.storage.runs.fail(run.run_id, fault, utc_now()))
    if status is not None:
        process.runner.notify_end(run.run_id, status)
