"""The loggers that a job defines, set up for one run: where records go beside the run's events.

What a logger definition is stands in definitions/loggers.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchord.definitions.config import env_resolved
from orchord.definitions.loggers import build_init_logger_context

if TYPE_CHECKING:
    from orchord.definitions.loggers import LoggerDefinition


def job_loggers(
    logger_defs: Mapping[str, LoggerDefinition], configs: Mapping[str, Any], job_name: str
) -> list[logging.Logger]:
    """Make the loggers that run config names; all of them when it names none.

    Args:
        logger_defs: the definitions by name.
        configs: ``loggers`` of the run config: ``{"config": {...}}`` by name.
        job_name: the job that logs.
    """
    names = [name for name in configs if name in logger_defs] or list(logger_defs)
    loggers = []
    for name in names:
        raw = configs.get(name) or {}
        context = build_init_logger_context(logger_config=env_resolved(raw.get("config")), job_name=job_name)
        loggers.append(logger_defs[name].logger_fn(context))
    return loggers
