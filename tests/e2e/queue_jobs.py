"""User code for tests of queues and priorities: a gate that holds a worker, and steps that say how urgent they are."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import orchord as dg


@dg.op
def gate() -> None:
    """Hold the worker until the test opens the gate."""
    while not (Path(os.environ["ORCHORD_HOME"]) / "gate_is_open").exists():
        threading.Event().wait(0.02)


@dg.job
def held() -> None:
    gate()


@dg.op
def usual() -> None: ...


@dg.op(tags={"dagster-celery/priority": "1"})
def can_wait() -> None: ...


@dg.op(tags={"orchord/celery_priority": "9"})
def urgent() -> None: ...


@dg.job
def three_at_once() -> None:
    can_wait()
    usual()
    urgent()


@dg.op
def prepared() -> int:
    return 1


@dg.op(tags={"dagster-celery/queue": "gpu"})
def trained(number: int) -> int:
    return number + 1


@dg.op
def reported(number: int) -> None: ...


@dg.job
def by_way_of_gpu() -> None:
    reported(trained(prepared()))


defs = dg.Definitions(jobs=[held, three_at_once, by_way_of_gpu])
