"""What schedules and sensors start: a job by name, a job itself, or a selection of assets that becomes a job.

Shared by schedules.py and sensors.py; Definitions adds the jobs that are found here to its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchord.definitions.assets.job import UnresolvedAssetJobDefinition, define_asset_job
from orchord.definitions.assets.selection import AssetSelection
from orchord.definitions.graph import GraphDefinition
from orchord.definitions.job_definition import JobDefinition

JobLike = JobDefinition | UnresolvedAssetJobDefinition

ANONYMOUS_JOB_PREFIX = "__anonymous_asset_job_"


def jobs_of_targets(owner: str, *targets: Any) -> tuple[list[str], list[JobLike]]:
    """Return the names of the jobs that targets stand for, and those of them that are given as objects.

    Args:
        owner: the schedule's or sensor's name; a selection of assets becomes a job that is named after it.
        targets: names, jobs, graphs, assets, selections, and sequences of jobs; None is left out.
    """
    names: list[str] = []
    jobs: list[JobLike] = []
    for target in targets:
        for item in _items(target):
            job = _job(owner, item)
            name = job if isinstance(job, str) else job.name
            if name not in names:
                names.append(name)
                if not isinstance(job, str):
                    jobs.append(job)
    return names, jobs


def _items(target: Any) -> list[Any]:
    if target is None:
        return []
    if isinstance(target, Sequence) and not isinstance(target, str):
        of_jobs = [
            item for item in target if isinstance(item, (JobDefinition, UnresolvedAssetJobDefinition, GraphDefinition))
        ]
        if len(of_jobs) == len(target):
            return list(target)
    return [target]


def _job(owner: str, item: Any) -> JobLike | str:
    if isinstance(item, (JobDefinition, UnresolvedAssetJobDefinition)):
        return item
    if isinstance(item, GraphDefinition):
        return item.to_job()
    if isinstance(item, _Name):
        return str(item)
    return define_asset_job(f"{ANONYMOUS_JOB_PREFIX}{owner}", AssetSelection.from_coercible(item))


class _Name(str):
    """A job's name, told apart from a selection in text form."""


def job_name_target(name: str | None) -> str | None:
    """Mark a string as the name of a job."""
    return None if name is None else _Name(name)
