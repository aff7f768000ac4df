"""What steps in containers are measured with: a short chain, and steps that wait. Used by places.py."""

from __future__ import annotations

import time

from orchord import Definitions, docker_executor, job, op

#: The steps of the chain, one after another.
CHAIN = tuple(f"add{number}" for number in range(3))


@op
def adds(number: int = 0) -> int:
    return number + sum(range(1_000_000))


@job(executor_def=docker_executor)
def one_step():
    adds()


@job(executor_def=docker_executor)
def short_chain():
    number = adds.alias(CHAIN[0])()
    for name in CHAIN[1:]:
        number = adds.alias(name)(number)


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


defs = Definitions(jobs=[one_step, short_chain, twenty_wait, hundred_nap])
