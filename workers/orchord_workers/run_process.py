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

from orchord.spi import (
    AttemptStatus,
    ErrorInfo,
    Place,
    Run,
    RunStatus,
    StopNotice,
    child_environment,
    utc_now,
)
from orchord_workers.hosting.main import CONTAINER_NAME_VARIABLE
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
        exit_code = _waited_for(child, stop)
    _attend(process, run, name, exit_code)


def _waited_for(child: subprocess.Popen[bytes], stop: StopNotice) -> int:
    """Wait for the process's end; pass a stop on, and end the process when it does not heed it."""
    ended = os.pidfd_open(child.pid) if hasattr(os, "pidfd_open") else None
    end_at: float | None = None
    try:
        while child.poll() is None:
            pause = None if ended is not None else LOOK_SECONDS
            if stop.is_set and end_at is None:
                end_at = time.monotonic() + GRACE_SECONDS
                child.terminate()
            if end_at is not None:
                left = end_at - time.monotonic()
                if left <= 0:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    return child.wait()
                pause = min(left, pause or left)
            watched = ([] if ended is None else [ended]) + ([] if end_at is not None else [stop.fileno()])
            select.select(watched, [], [], pause)
        return child.wait()
    finally:
        if ended is not None:
            os.close(ended)


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
