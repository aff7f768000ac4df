"""User code for the test of a whole instance file: a job that goes well, and one that does so the second time."""

from __future__ import annotations

import os
from pathlib import Path

import orchord as dg


@dg.op
def fine() -> int:
    return 1


@dg.job(executor_def=dg.celery_executor)
def goes_well() -> None:
    fine()


@dg.op
def second_time_lucky() -> None:
    mark = Path(os.environ["ORCHORD_HOME"]) / "tried_once"
    if not mark.exists():
        mark.touch()
        raise RuntimeError("not yet")


@dg.job(executor_def=dg.celery_executor)
def goes_well_again() -> None:
    second_time_lucky()


defs = dg.Definitions(jobs=[goes_well, goes_well_again])
