"""The loggers that a job defines, set up from config: where records go beside the run's events.

What a logger definition is stands in definitions/loggers.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from orchord.definitions.loggers import InitLoggerContext, LoggerDefinition

# A logger is made once for each config and not once for each step: its function opens files and adds handlers.
_made: WeakKeyDictionary[LoggerDefinition, dict[str, logging.Logger]] = WeakKeyDictionary()


def job_loggers(
    logger_defs: Mapping[str, LoggerDefinition], configs: Mapping[str, Any], job_name: str
) -> list[logging.Logger]:
    """Make the loggers that run config names; all of them when it names none.

    Args:
        logger_defs: the definitions by name.
        configs: ``loggers`` of the run config: ``{"config": {...}}`` by name.
        job_name: the job that logs.

    Raises:
        InvalidConfigError: a logger's config has mistakes.
    """
    names = [name for name in configs if name in logger_defs] or list(logger_defs)
    return [_logger(logger_defs[name], (configs.get(name) or {}).get("config"), job_name) for name in names]


def _logger(definition: LoggerDefinition, config: Any, job_name: str) -> logging.Logger:
    made = _made.setdefault(definition, {})
    key = f"{job_name}:{config!r}"
    if key not in made:
        made[key] = definition(InitLoggerContext(config, job_name=job_name))
    return made[key]
