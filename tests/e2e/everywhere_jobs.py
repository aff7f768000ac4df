"""User code of the tests of every executor and launcher: the same assets under each executor, and an op that waits.

What differs from row to row is told by the environment and the instance file; the code is one.
"""

from __future__ import annotations

import os
import subprocess
import threading

import orchord as dg

EXECUTORS = (
    dg.in_process_executor,
    dg.multiprocess_executor,
    dg.celery_executor,
    dg.docker_executor,
    dg.celery_docker_executor,
    dg.k8s_job_executor,
    dg.celery_k8s_job_executor,
)


def io_manager() -> object:
    """The IO manager that the environment names, told where its store is by the same."""
    known = {
        "FilesystemIOManager": lambda: dg.FilesystemIOManager(),
        "InMemoryIOManager": lambda: dg.InMemoryIOManager(),
        "s3.S3PickleIOManager": lambda: dg.S3PickleIOManager(
            s3_resource=dg.S3Resource(
                endpoint_url=os.environ["STORE_URL"],
                region_name="us-east-1",
                aws_access_key_id=dg.EnvVar("STORE_KEY"),
                aws_secret_access_key=dg.EnvVar("STORE_SECRET"),
            ),
            s3_bucket=os.environ["STORE_BUCKET"],
        ),
        "GCSPickleIOManager": lambda: dg.GCSPickleIOManager(
            gcs=dg.GCSResource(endpoint_url=os.environ["STORE_URL"]), gcs_bucket=os.environ["STORE_BUCKET"]
        ),
    }
    return known[os.environ.get("EVERYWHERE_IO_MANAGER", "FilesystemIOManager")]()


@dg.asset
def numbers(context: dg.AssetExecutionContext) -> list[int]:
    print("numbers are made")
    subprocess.run(["echo", "by a child too"], check=True)
    context.log.info("ten of them")
    return list(range(1, 11))


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def halves(context: dg.AssetExecutionContext, numbers: list[int]) -> list[int]:
    if context.retry_number == 0:
        raise ValueError("not this time")
    return [number // 2 for number in numbers]


@dg.asset
def total(halves: list[int]) -> dg.MaterializeResult[int]:
    return dg.MaterializeResult(value=sum(halves), metadata={"total": sum(halves)})


@dg.op
def waits() -> None:
    threading.Event().wait(300)


@dg.graph
def waiting() -> None:
    waits()


defs = dg.Definitions(
    assets=[numbers, halves, total],
    jobs=[
        dg.define_asset_job("everywhere", selection=dg.AssetSelection.all()),
        waiting.to_job("waiting"),
        *(
            dg.define_asset_job(f"everywhere_{one.name}", selection=dg.AssetSelection.all(), executor_def=one)
            for one in EXECUTORS
        ),
        *(waiting.to_job(f"waiting_{one.name}", executor_def=one) for one in EXECUTORS),
    ],
    resources={"io_manager": io_manager()},
)
