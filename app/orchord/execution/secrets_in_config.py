"""Which values of a run's config are secrets: those that environment variables give.

Only the values are wanted here, to hide them; putting them into config is definitions/config/env.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from orchord.definitions.config.env import env_names
from orchord.execution.masking import NOTHING_SECRET, Masker
from orchord.settings import environment_value

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig

# The variables that a job's own definitions read do not change; their values may, and are read for each run.
_names_of_jobs: WeakKeyDictionary[JobDefinition, frozenset[str]] = WeakKeyDictionary()


def masker_of(job: JobDefinition, resolved: ResolvedRunConfig) -> Masker:
    """Return what hides the secrets of a run's config, and of the definitions it uses, in its events."""
    names = set(_defined_names(job))
    for part in (resolved.ops, resolved.inputs, resolved.resources):
        if part:
            names.update(env_names(part))
    values = [value for name in names if (value := environment_value(name)) is not None]
    return Masker(values) if values else NOTHING_SECRET


def _defined_names(job: JobDefinition) -> frozenset[str]:
    names = _names_of_jobs.get(job)
    if names is None:
        ops = (wired.op for wired in job.wiring.ops.values())
        names = frozenset().union(*(one.env_var_names for one in (*job.resource_defs.values(), *ops)))
        _names_of_jobs[job] = names
    return names
