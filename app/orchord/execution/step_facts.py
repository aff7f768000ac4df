"""What is the same for every attempt at one step of a job: worked out once and kept as long as the job.

What differs from attempt to attempt is in scope.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchord.definitions.config import build_config
from orchord.execution.contexts import AssetExecutionContext, OpExecutionContext
from orchord.execution.job_loggers import job_loggers
from orchord.execution.step_assets import StepAssets, step_assets

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig
    from orchord.definitions.op import OpDefinition


class StepFacts:
    """The facts of one step.

    Attributes:
        op_def: the op that the step carries out.
        assets: the assets that it reads and makes.
        context_class: what its body is given as ``context``.
    """

    __slots__ = ("_job_name", "_logger_defs", "assets", "context_class", "op_def", "step_key")

    def __init__(self, job: JobDefinition, step_key: str) -> None:
        self.step_key = step_key
        self.op_def: OpDefinition = job.node_at(step_key).definition
        self.assets: StepAssets = step_assets(job, step_key)
        is_asset = self.assets.definition is not None
        self.context_class: type[OpExecutionContext] = AssetExecutionContext if is_asset else OpExecutionContext
        self._logger_defs = dict(job.logger_defs or {})
        self._job_name = job.name

    def config(self, resolved: ResolvedRunConfig) -> tuple[Any, Any]:
        """Return the op's config, variables put in: as data, and as the body's ``config`` parameter wants it."""
        return op_config(self.op_def, resolved.ops.get(self.step_key), f"ops.{self.step_key}.config")

    def loggers(self, resolved: ResolvedRunConfig) -> list[logging.Logger]:
        """Return the job's own loggers, set up from config."""
        if not self._logger_defs:
            return []
        return job_loggers(self._logger_defs, resolved.loggers, self._job_name)


def op_config(op_def: OpDefinition, raw: Any, path: str) -> tuple[Any, Any]:
    """Return config as data, and as a Config object where the op's function wants one.

    Raises:
        InvalidConfigError: the config does not fit, or a variable is not set.
    """
    if raw is None and op_def.config_type is None:
        return None, None
    config = op_def.resolve_config(raw, path)
    if op_def.config_cls is None:
        return config, config
    return config, build_config(op_def.config_cls, config, path)


_facts: WeakKeyDictionary[JobDefinition, dict[str, StepFacts]] = WeakKeyDictionary()


def step_facts(job: JobDefinition, step_key: str) -> StepFacts:
    """Return the facts of one step of a job."""
    of_job = _facts.get(job)
    if of_job is None:
        of_job = _facts[job] = {}
    facts = of_job.get(step_key)
    if facts is None:
        facts = of_job[step_key] = StepFacts(job, step_key)
    return facts
