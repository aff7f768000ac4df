"""Jobs for the tests of the run queue and of pools: steps that write down when they ran."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import orchord as dg


def _noted(name: str, seconds: float) -> None:
    began = time.time()
    threading.Event().wait(seconds)
    with (Path(os.environ["ORCHORD_HOME"]) / "spans.txt").open("a") as file:
        file.write(f"{name} {began} {time.time()}\n")


@dg.op(pool="db", config_schema={"seconds": dg.Field(float, default_value=0.3)})
def pooled(context):
    _noted("pooled", context.op_config["seconds"])


@dg.op(config_schema={"seconds": dg.Field(float, default_value=0.3)})
def plain(context):
    _noted("plain", context.op_config["seconds"])


@dg.op(pool="db", ins={"before": dg.In(dg.Nothing)})
def after():
    _noted("after", 0.05)


@dg.op(pool="db", retry_policy=dg.RetryPolicy(max_retries=1))
def fails_once(context):
    if context.retry_number == 0:
        raise ValueError("not yet")


@dg.job
def one_pooled():
    pooled()


@dg.job
def one_plain():
    plain()


@dg.job
def many_pooled():
    for number in range(4):
        after.alias(f"after_{number}")(pooled.alias(f"pooled_{number}")())


@dg.job(executor_def=dg.in_process_executor)
def pooled_in_process():
    after(pooled())


@dg.job
def retried():
    fails_once()


defs = dg.Definitions(jobs=[one_pooled, one_plain, many_pooled, pooled_in_process, retried])
