"""User code whose steps take a while, for tests that kill workers and cancel runs."""

from __future__ import annotations

import os
import signal
import threading

import orchord as dg


@dg.op
def first() -> int:
    return 1


@dg.op
def slow(context: dg.OpExecutionContext, number: int) -> int:
    context.log.info("process %s", os.getpid())
    threading.Event().wait(0.4)
    return number + 1


@dg.op
def total(numbers: list[int]) -> int:
    return sum(numbers)


@dg.job
def slow_diamond() -> None:
    start = first()
    total([slow.alias(f"slow_{n}")(slow.alias(f"before_{n}")(start)) for n in range(6)])


@dg.op
def deadly() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dg.job
def deadly_job() -> None:
    deadly()


@dg.op
def endless() -> None:
    while True:
        threading.Event().wait(0.05)


@dg.op(ins={"after": dg.In(dg.Nothing)})
def afterwards() -> None:
    return None


@dg.job
def endless_job() -> None:
    afterwards(after=endless())


@dg.op(config_schema={"seconds": float})
def sleeps(context: dg.OpExecutionContext) -> int:
    threading.Event().wait(context.op_config["seconds"])
    return 1


@dg.job(executor_def=dg.in_process_executor)
def in_one_process() -> None:
    total([sleeps.alias(f"sleeps_{n}")() for n in range(4)])


defs = dg.Definitions(jobs=[slow_diamond, deadly_job, endless_job, in_one_process])
