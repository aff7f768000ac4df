"""User code of the tests with Kubernetes: jobs whose steps, or whole runs, are carried out in Jobs of a cluster."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from orchord import (
    Config,
    Definitions,
    RetryPolicy,
    celery_k8s_job_executor,
    in_process_executor,
    job,
    k8s_job_executor,
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


@job(executor_def=k8s_job_executor)
def numbers_in_jobs():
    add_up()


@job(executor_def=celery_k8s_job_executor)
def numbers_in_celery_jobs():
    add_up()


@job(executor_def=in_process_executor)
def numbers_in_one_pod():
    add_up()


@job
def numbers_anywhere():
    add_up()


@op(tags={"orchord/isolation": "k8s"})
def on_its_own() -> str:
    return os.uname().nodename


@op
def beside(name: str) -> str:
    return f"{name} and {os.uname().nodename}"


@job
def one_op_in_a_job():
    beside(on_its_own())


@op(retry_policy=RetryPolicy(max_retries=2))
def fails_once(context) -> int:
    if context.retry_number == 0:
        raise ValueError("not this time")
    return context.retry_number


@job(executor_def=k8s_job_executor)
def retried_in_a_job():
    fails_once()


@op
def takes_long(config: Files) -> str:
    starts = Path(config.folder) / "starts"
    with starts.open("a") as file:
        file.write(f"{config.count}\n")
    # Whoever is begun anew has waited long enough.
    if starts.read_text().split().count(str(config.count)) == 1:
        threading.Event().wait(config.seconds)
    return os.uname().nodename


@job(executor_def=k8s_job_executor)
def long_in_a_job():
    takes_long()


@job(executor_def=k8s_job_executor)
def five_in_jobs():
    for number in range(5):
        takes_long.alias(f"part{number}")()


@op(
    tags={
        "dagster-k8s/config": {
            "container_config": {
                "resources": {"limits": {"memory": "150Mi"}},
                "env": [{"name": "COLOUR", "value": "blue"}],
            },
            "pod_template_spec_metadata": {"labels": {"team": "memory"}},
        }
    }
)
def takes_memory() -> int:
    held = [b"x" * 2**20 for _ in range(1000)]
    return len(held)


@job(executor_def=k8s_job_executor)
def memory_in_a_job():
    takes_memory()


@op(tags={"orchord/image": "there-is-no-such/image:1"})
def without_image() -> None:
    pass


@job(executor_def=k8s_job_executor)
def no_image():
    without_image()


defs = Definitions(
    jobs=[
        numbers_in_jobs,
        numbers_in_celery_jobs,
        numbers_in_one_pod,
        numbers_anywhere,
        one_op_in_a_job,
        retried_in_a_job,
        long_in_a_job,
        five_in_jobs,
        memory_in_a_job,
        no_image,
    ]
)
