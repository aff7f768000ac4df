"""User code that does not end by itself, for tests of time limits and cancellation."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

import orchord as dg


def sleep_in_python() -> None:
    threading.Event().wait(600)


def sleep_in_c() -> None:
    """Wait in C for ever, with the interpreter's lock held and deaf to signals: a mutex that is locked twice."""
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


@dg.op(timeout_seconds=1)
def too_slow() -> None:
    sleep_in_python()


@dg.op(timeout_seconds=1)
def too_slow_in_c() -> None:
    sleep_in_c()


@dg.op(timeout_seconds=1, retry_policy=dg.RetryPolicy(max_retries=1))
def slow_once(context: dg.OpExecutionContext) -> int:
    if context.retry_number == 0:
        sleep_in_python()
    return 1


@dg.op(timeout_seconds=1, retry_policy=dg.RetryPolicy(max_retries=1))
def slow_once_in_c(context: dg.OpExecutionContext) -> int:
    if context.retry_number == 0:
        sleep_in_c()
    return 1


@dg.op
def add(left: int, right: int) -> int:
    return left + right


@dg.job
def limited_job() -> None:
    too_slow()


@dg.job
def limited_in_c_job() -> None:
    too_slow_in_c()


@dg.job
def retried_job() -> None:
    add(slow_once(), slow_once_in_c())


@dg.job(executor_def=dg.in_process_executor)
def retried_in_one_process() -> None:
    add(slow_once(), slow_once_in_c())


@dg.failure_hook
def note_failure(context: dg.HookContext) -> None:
    Path(context.op_config["note"]).write_text(type(context.op_exception).__name__)


@dg.op(config_schema={"note": str})
def noted(context: dg.OpExecutionContext) -> None:
    sleep_in_python()


@dg.job(hooks={note_failure})
def noted_job() -> None:
    noted()


@dg.op
def stubborn() -> None:
    while True:
        try:
            threading.Event().wait(0.2)
        except BaseException:  # noqa: BLE001 - as careless user code does
            continue


@dg.job
def stubborn_job() -> None:
    stubborn()


@dg.op
def in_c() -> None:
    sleep_in_c()


@dg.job
def in_c_job() -> None:
    in_c()


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1, delay=600))
def fails_and_waits() -> None:
    raise RuntimeError("not yet")


@dg.job(executor_def=dg.in_process_executor)
def waiting_in_one_process() -> None:
    fails_and_waits()


@dg.job
def waiting_job() -> None:
    fails_and_waits()


@dg.op
def quick() -> int:
    return 1


@dg.job
def quick_job() -> None:
    quick()


defs = dg.Definitions(
    jobs=[
        limited_job,
        limited_in_c_job,
        retried_job,
        retried_in_one_process,
        noted_job,
        stubborn_job,
        in_c_job,
        waiting_in_one_process,
        waiting_job,
        quick_job,
    ]
)
