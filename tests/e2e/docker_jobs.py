"""User code of the tests with Docker: jobs whose steps, or whole runs, are carried out in containers."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from orchord import (
    Config,
    Definitions,
    RetryPolicy,
    celery_docker_executor,
    docker_executor,
    in_process_executor,
    job,
    op,
)


class Files(Config):
    folder: str = ""
    count: int = 1
    seconds: float = 0.0


@op
def one_to(config: Files) -> list[int]:
    print("numbers are made", flush=True)
    return list(range(1, config.count + 1))


@op
def doubled(context, numbers: list[int]) -> list[int]:
    context.log.info("doubling %d numbers", len(numbers))
    return [2 * number for number in numbers]


@op
def summed(numbers: list[int], doubles: list[int]) -> int:
    return sum(numbers) + sum(doubles)


def add_up() -> None:
    numbers = one_to()
    summed(numbers, doubled(numbers))


@job(executor_def=docker_executor)
def numbers_in_docker():
    add_up()


@job(executor_def=celery_docker_executor)
def numbers_in_celery_docker():
    add_up()


@job(executor_def=in_process_executor)
def numbers_in_one_process():
    add_up()


@job
def numbers_anywhere():
    add_up()


@op(retry_policy=RetryPolicy(max_retries=2))
def fails_once(context) -> int:
    if context.retry_number == 0:
        raise ValueError("not this time")
    return context.retry_number


@job(executor_def=docker_executor)
def retried_in_docker():
    fails_once()


@op
def takes_long(config: Files) -> None:
    marks = Path(config.folder)
    (marks / f"started-{os.uname().nodename}").touch()
    threading.Event().wait(config.seconds)


@job(executor_def=docker_executor)
def long_in_docker():
    takes_long()


@job(executor_def=in_process_executor)
def long_in_one_process():
    takes_long()


@op(tags={"orchord/docker": {"container_kwargs": {"mem_limit": "150m", "memswap_limit": "150m"}}})
def takes_memory() -> int:
    held = [b"x" * 2**20 for _ in range(1000)]
    return len(held)


@job(executor_def=docker_executor)
def memory_in_docker():
    takes_memory()


@op(tags={"orchord/isolation": "docker"})
def on_its_own() -> str:
    return os.uname().nodename


@op
def beside(name: str) -> str:
    return f"{name} and {os.uname().nodename}"


@job
def one_op_in_docker():
    beside(on_its_own())


@op
def one_of_many(config: Files) -> str:
    with (Path(config.folder) / "starts").open("a") as starts:
        starts.write(f"{config.count}\n")
    threading.Event().wait(config.seconds)
    return os.uname().nodename


@job(executor_def=docker_executor)
def ten_in_docker():
    for number in range(10):
        one_of_many.alias(f"part{number}")()


@op
def naps() -> None:
    threading.Event().wait(0.2)


@job(executor_def=docker_executor)
def forty_in_docker():
    for number in range(40):
        naps.alias(f"nap{number}")()


@op(tags={"orchord/image": "there-is-no-such/image:1"})
def without_image() -> None:
    pass


@job(executor_def=docker_executor)
def no_image():
    without_image()


defs = Definitions(
    jobs=[
        numbers_in_docker,
        numbers_in_celery_docker,
        numbers_in_one_process,
        numbers_anywhere,
        retried_in_docker,
        long_in_docker,
        long_in_one_process,
        memory_in_docker,
        one_op_in_docker,
        ten_in_docker,
        forty_in_docker,
        no_image,
    ]
)
