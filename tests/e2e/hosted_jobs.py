"""User code whose steps are executed in processes of their own, as containers do: crashes, long calls, retries."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from pathlib import Path

import orchord as dg


@dg.op
def one(context: dg.OpExecutionContext) -> int:
    print("printed by one", flush=True)
    context.log.info("process %s", os.getpid())
    return 1


@dg.op
def two(number: int) -> int:
    return number + 1


@dg.job
def chain() -> None:
    two(one())


@dg.op
def waits() -> None:
    while True:
        threading.Event().wait(0.05)


@dg.job
def waiting_job() -> None:
    waits()


@dg.op
def stuck_in_c() -> None:
    # With the interpreter's lock held: no signal handler of Python's runs until it returns.
    ctypes.PyDLL(None).sleep(600)


@dg.job
def stuck_job() -> None:
    stuck_in_c()


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def crashes_at_first(context: dg.OpExecutionContext) -> int:
    if context.retry_number == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return 1


@dg.job
def crashing_job() -> None:
    crashes_at_first()


@dg.op
def leaves() -> None:
    os._exit(7)


@dg.job
def leaving_job() -> None:
    leaves()


@dg.op(config_schema={"marks": str})
def slow_once(context: dg.OpExecutionContext) -> int:
    mark = Path(context.op_config["marks"]) / "begun"
    if not mark.exists():
        mark.touch()
        waits()
    return 1


@dg.job(executor_def=dg.in_process_executor)
def unit_job() -> None:
    two(slow_once())


@dg.op
def eats_memory() -> int:
    held = []
    for _ in range(4096):
        held.append(os.urandom(1 << 20))
    return len(held)


@dg.job
def eating_job() -> None:
    eats_memory()


@dg.op(tags={"orchord/timeout_seconds": "1"})
def too_long() -> None:
    ctypes.PyDLL(None).sleep(600)


@dg.job
def too_long_job() -> None:
    too_long()


@dg.job(executor_def=dg.docker_executor.configured({"image": "some-image", "max_concurrent": 1}))
def one_at_a_time() -> None:
    for number in range(3):
        one.alias(f"one_{number}")()


defs = dg.Definitions(
    jobs=[
        chain,
        waiting_job,
        stuck_job,
        crashing_job,
        leaving_job,
        unit_job,
        eating_job,
        too_long_job,
        one_at_a_time,
    ]
)
