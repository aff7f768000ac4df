"""The same work as plain Celery tasks, in Celery's own canvas: what Orchord's runs are measured against.

No orchestrator is in it: no database, no event, no claim. Results are stored in Valkey as Celery does by default.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chain, chord, group
from celery.canvas import Signature

app = Celery("bare_canvas", broker=os.environ["BARE_CANVAS_URL"], backend=os.environ["BARE_CANVAS_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task
def generate_numbers() -> list[int]:
    return list(range(1, 11))


@app.task
def filter_even_numbers(numbers: list[int]) -> list[int]:
    return [number for number in numbers if number % 2 == 0]


@app.task
def filter_odd_numbers(numbers: list[int]) -> list[int]:
    return [number for number in numbers if number % 2 != 0]


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def zero() -> int:
    return 0


@app.task
def add_one(number: int) -> int:
    return number + 1


@app.task
def identity(number: int) -> int:
    return number


def numbers_job() -> Signature[Any]:
    """Six tasks: one, then two chains of two side by side, then one over both."""
    branches = group(
        chain(filter_even_numbers.s(), total.s()),
        chain(filter_odd_numbers.s(), total.s()),
    )
    return chain(generate_numbers.s(), chord(branches, total.s()))


def chain_of(length: int) -> Signature[Any]:
    """``length`` tasks, one after another."""
    return chain(zero.s(), *[add_one.s() for _ in range(length - 1)])


def fan_in_of(width: int) -> Signature[Any]:
    """``width`` tasks side by side, and one over all of them."""
    return chord(group(identity.s(number) for number in range(width)), total.s())
