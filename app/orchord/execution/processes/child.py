"""What a step's process does, from its first moment to its last: read the request, execute, tell how it ended.

It ends without clean-up of what it has inherited. Its parent's side is step_process.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from orchord.events import ErrorInfo
from orchord.execution.error_info import error_info
from orchord.execution.interrupt import ExecutionInterrupted
from orchord.execution.processes.ends import canceled_result, fault_result
from orchord.execution.processes.frames import STARTED, FrameWriter, read_request
from orchord.execution.processes.request import ProcessRequest, StepSource
from orchord.execution.request import StepResult
from orchord.execution.step import execute_step
from orchord.execution.time_limit import end_process_of_stuck_steps

# What a step's process takes as: stop softly. SIGTERM ends it, as it does any process.
SOFT_STOP = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1


class _SoftStop:
    """Raises ExecutionInterrupted in the user's code, once; before the code has begun, it is remembered."""

    def __init__(self) -> None:
        self.is_asked = False
        self.is_open = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        was_asked, self.is_asked = self.is_asked, True
        if self.is_open and not was_asked:
            raise ExecutionInterrupted("The run was canceled.")


def become_step_process() -> None:
    """Leave the parent's group and its signals behind: what is meant for it is not meant for the step."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C reaches whoever carries the run out, and is passed on as a soft stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends, where it can (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve_step(data: socket.socket, source: StepSource | None) -> int:
    """Carry out the request that comes over a connection. Returns the process's exit code.

    Args:
        data: leads to who asks.
        source: where the code is; None: the request brings it.
    """
    stop = _SoftStop()
    signal.signal(SOFT_STOP, stop.handle)
    # Who forked this process held back a stop that came before there was somebody to hear it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {SOFT_STOP})
    try:
        asked: tuple[StepSource | None, ProcessRequest] = read_request(data)
    except (EOFError, OSError):
        return 0
    writer = FrameWriter(data)
    try:
        result = _result(source or asked[0], asked[1], writer, stop)
    except ExecutionInterrupted:
        result = canceled_result(asked[1].step.step.key)
    except BaseException as error:  # noqa: BLE001 - the end of the process; what went wrong must be told
        fault = ErrorInfo(type(error).__name__, f"Orchord itself failed: {error}", traceback.format_exc())
        result = fault_result(asked[1].step.step.key, fault)
    writer.result(result)
    return 0


def _result(source: StepSource | None, asked: ProcessRequest, writer: FrameWriter, stop: _SoftStop) -> StepResult:
    assert source is not None, "a process that was not forked is told where the code is"
    step_key = asked.step.step.key
    try:
        source.load()
        means = source.means(asked.step.run, asked.owner)
    except Exception as error:  # noqa: BLE001 - the user's code is loaded here, and its config mappings run
        return fault_result(step_key, error_info(error))
    # Behind the frames, as nothing comes after it: a file of the step's log may have no name yet, and be lost.
    faulthandler.enable(file=writer.fileno(), all_threads=False)
    end_process_of_stuck_steps()
    writer.write(STARTED)
    try:
        stop.is_open = True
        if stop.is_asked:
            return canceled_result(step_key)
        try:
            return execute_step(
                means.job,
                asked.step,
                resolved=means.resolved,
                instance=means.instance,
                compute_logs=means.compute_logs,
                emit_live=writer.event,
            )
        finally:
            stop.is_open = False
    finally:
        means.close()


def to_the_end(act: Callable[[], int]) -> None:
    """Do something, then end the process: nothing of its parent's, such as clean-up at exit, is ours to do."""
    code = 1
    try:
        code = act()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
