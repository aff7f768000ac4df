"""What steps in containers are measured with: one short step, and twenty that wait. Used by places.py."""

from __future__ import annotations

import time

from orchord import Definitions, docker_executor, job, op


@op
def adds() -> int:
    return sum(range(1_000_000))


@job(executor_def=docker_executor)
def one_step():
    adds()


@op
def waits() -> None:
    time.sleep(25)


@job(executor_def=docker_executor)
def twenty_wait():
    for number in range(20):
        waits.alias(f"wait{number}")()


@op
def naps() -> None:
    time.sleep(0.2)


@job(executor_def=docker_executor)
def hundred_nap():
    for number in range(100):
        naps.alias(f"nap{number}")()


defs = Definitions(jobs=[one_step, twenty_wait, hundred_nap])
