"""User code whose steps print: slowly, from C, from children, and until they are killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading

import orchord as dg


class Lines(dg.Config):
    """How much is printed, and how quickly."""

    lines: int = 20
    pause_seconds: float = 0.05
    width: int = 0


@dg.op
def talk(context: dg.OpExecutionContext, config: Lines) -> None:
    for number in range(config.lines):
        print(f"line {number}{'.' * config.width}")
        context.log.info("said %s", number)
        threading.Event().wait(config.pause_seconds)


@dg.job
def talking() -> None:
    talk()


@dg.job(executor_def=dg.in_process_executor)
def talking_in_process() -> None:
    talk()


@dg.op
def from_everywhere() -> None:
    print("from Python")
    subprocess.run(["sh", "-c", "echo from a child; echo complaint >&2"], check=True)
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    threading.Event().wait(1.0)


@dg.job
def talking_from_everywhere() -> None:
    from_everywhere()


@dg.op
def die_talking(context: dg.OpExecutionContext) -> None:
    context.log.info("about to die")
    print("last words")
    threading.Event().wait(3.0)
    os.kill(os.getpid(), signal.SIGKILL)


@dg.job
def dying() -> None:
    die_talking()


@dg.op
def talk_for_long() -> None:
    for number in range(1000):
        print(f"line {number}", flush=True)
        threading.Event().wait(0.1)


@dg.job
def talking_for_long() -> None:
    talk_for_long()


defs = dg.Definitions(jobs=[talking, talking_in_process, talking_from_everywhere, dying, talking_for_long])
