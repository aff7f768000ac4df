"""How an attempt ended whose process could not say so itself: it crashed, was ended, or never began. Worded here.

Ends that the step's own process tells of are step.py's.
"""

from __future__ import annotations

import logging
import re
import signal
from typing import Any

import msgspec

from orchord.errors import StepTimeoutError
from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.execution.error_info import is_ours
from orchord.execution.request import StepRequest, StepResult
from orchord.execution.retries import retry_delay_seconds
from orchord.execution.time_limit import timeout_message
from orchord.runs import AttemptStatus

_FRAME = re.compile(r'\s*File "([^"]+)", line')
_MOST_LINES = 200
CRASHED = "ChildProcessCrashException"
# The exit code of a process whose end nobody saw.
UNKNOWN_EXIT = 1 << 16

_MEANINGS = {
    signal.SIGSEGV: "native code used memory that is not its own; the stack shows where it stood",
    signal.SIGBUS: "native code used memory that is not there; the stack shows where it stood",
    signal.SIGILL: "native code was built for another processor",
    signal.SIGFPE: "native code divided by zero; the stack shows where it stood",
    signal.SIGABRT: "native code gave up, often with a message in the step's log",
    signal.SIGKILL: "the kernel does so when memory runs out, and an operator may; the kernel's log tells them apart",
    signal.SIGTERM: "somebody asked it to end",
}


def crashed_result(
    request: StepRequest, exit_code: int, *, memory: str | None = None, last_words: str = ""
) -> StepResult:
    """Return the result of an attempt whose process ended without telling how the step did.

    Args:
        request: the attempt.
        exit_code: the process's exit code; negative: the signal that ended it.
        last_words: what the standard library's fault handler said, if it did.
        memory: set when the kernel killed for memory meanwhile: the limit, worded.
    """
    message = crash_message(request.step.key, exit_code, memory)
    return ended_from_outside(request, CRASHED, RuntimeError(message), stack=stack_of(last_words))


def crash_message(step_key: str, exit_code: int, memory: str | None = None) -> str:
    """Word the crash of a step's process."""
    if exit_code == UNKNOWN_EXIT:
        return (
            f"The process of step '{step_key}' is gone, and how it ended is not known: the process that it was forked "
            "from has died, or could not load the code or fork. The log of the worker says more."
        )
    if exit_code >= 0:
        return (
            f"The process of step '{step_key}' ended with exit code {exit_code} before the step did: its code, or a "
            "library, calls os._exit or the like. Raise an exception instead."
        )
    number = -exit_code
    if number == signal.SIGKILL and memory is not None:
        return (
            f"The process of step '{step_key}' was killed by the kernel for its memory ({memory}). Give it more, or "
            "let the step hold less at once."
        )
    name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else f"signal {number}"
    meaning = _MEANINGS.get(number)  # type: ignore[call-overload]  # members are integers
    return f"The process of step '{step_key}' was killed by {name}" + (f": {meaning}." if meaning else ".")


def stack_of(last_words: str) -> str:
    """Return what the fault handler said, without the frames of Orchord itself and the list of loaded modules."""
    lines = last_words.partition("\n\nExtension modules:")[0].splitlines()[:_MOST_LINES]
    kept = [line for line in lines if not ((found := _FRAME.match(line)) and is_ours(found[1]))]
    return "\n".join(kept)


def timed_out_result(request: StepRequest) -> StepResult:
    """Return the result of an attempt whose process was ended as it did not stop at its time limit."""
    message = timeout_message(request.step.key, request.step.timeout_seconds or 0.0)
    message += " It did not stop when it was told to, so its process was ended."
    return ended_from_outside(request, StepTimeoutError.__name__, StepTimeoutError(message))


def canceled_result(step_key: str) -> StepResult:
    """Return the result of an attempt that was stopped as its run was canceled."""
    message = "The run was canceled."
    event = Event(EventType.STEP_FAILURE, utc_now(), message, step_key, logging.ERROR, {"canceled": True})
    return StepResult(AttemptStatus.CANCELED, (), (event,), ErrorInfo("ExecutionInterrupted", message))


def fault_result(step_key: str, error: ErrorInfo) -> StepResult:
    """Return the result of an attempt that failed before the user's code was reached, or after it."""
    data = {"error": msgspec.to_builtins(error)}
    message = f"Step '{step_key}' failed: {error.cls_name}: {error.message}"
    event = Event(EventType.STEP_FAILURE, utc_now(), message, step_key, logging.ERROR, data)
    return StepResult(AttemptStatus.FAILURE, (), (event,), error)


def ended_from_outside(request: StepRequest, kind: str, error: Exception, *, stack: str = "") -> StepResult:
    """Return a failed attempt's result, or that of one that is tried again, as the step's retry policy says."""
    step_key = request.step.key
    info = ErrorInfo(kind, str(error), f"{stack}\n{kind}: {error}\n" if stack else "")
    delay = retry_delay_seconds(error, request.step.retry, request.retry_number) if request.may_retry else None
    if delay is None:
        return fault_result(step_key, info)
    data: dict[str, Any] = {"error": msgspec.to_builtins(info), "seconds_to_wait": delay}
    when = f"in {delay:.3g} s" if delay else "at once"
    message = f"Step '{step_key}' is tried again {when}: {info.cls_name}: {info.message}"
    event = Event(EventType.STEP_UP_FOR_RETRY, utc_now(), message, step_key, logging.WARNING, data)
    return StepResult(AttemptStatus.UP_FOR_RETRY, (), (event,), info, delay)
