"""LoggerDefinition and ``@logger``: Python loggers that a job's log records go to besides the run's events.

The records themselves are made in execution/.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from orchord.definitions.config.configurable import Configurable
from orchord.definitions.config.schema import ANY_SCHEMA, ConfigSchema, Field, as_schema
from orchord.errors import InvalidDefinitionError

if TYPE_CHECKING:
    from orchord.definitions.job import JobDefinition
    from orchord.runs import Run


class InitLoggerContext:
    """What a logger's function is given.

    Attributes:
        logger_config: Its config, checked, with defaults.
        logger_def: Its definition.
        job_def: The job, or None outside of one.
        run: The run, or None outside of one.
        job_name: The job's name, or None outside of one.
    """

    def __init__(
        self,
        logger_config: Any = None,
        logger_def: LoggerDefinition | None = None,
        job_def: JobDefinition | None = None,
        run: Run | None = None,
        job_name: str | None = None,
    ) -> None:
        self.logger_config = logger_config
        self.logger_def = logger_def
        self.job_def = job_def
        self.run = run
        self.job_name = job_name if job_def is None else job_def.name

    @property
    def run_id(self) -> str | None:
        """The run's id, or None outside of one."""
        return None if self.run is None else self.run.run_id


def build_init_logger_context(
    logger_config: Any = None, job_def: JobDefinition | None = None, job_name: str | None = None
) -> InitLoggerContext:
    """Build a context to call a logger's definition with in a test."""
    return InitLoggerContext(logger_config, job_def=job_def, job_name=job_name)


class LoggerDefinition(Configurable):
    """How a Python logger is made.

    Args:
        logger_fn: Takes an InitLoggerContext, returns a ``logging.Logger``.
        config_schema: What ``context.logger_config`` holds; anything when it is not given.
        description: For people.
    """

    def __init__(
        self, logger_fn: Callable[[Any], logging.Logger], config_schema: Any = None, description: str | None = None
    ) -> None:
        if not callable(logger_fn):
            raise InvalidDefinitionError(f"A logger's function is {logger_fn!r}; it must be callable.")
        self.logger_fn = logger_fn
        self.description = description
        self._config_schema: ConfigSchema | None = as_schema(ANY_SCHEMA if config_schema is None else config_schema)
        self.config_type = self._config_schema.config_type

    def __call__(self, context: InitLoggerContext | None = None) -> logging.Logger:
        """Make the logger; its config is checked.

        Raises:
            InvalidConfigError: the context's config has mistakes.
        """
        given = InitLoggerContext() if context is None else context
        config = self.resolve_config(given.logger_config, "config")
        return self.logger_fn(InitLoggerContext(config, self, given.job_def, given.run, given.job_name))

    def __repr__(self) -> str:
        return f"<LoggerDefinition '{getattr(self.logger_fn, '__name__', 'logger')}'>"


@overload
def logger(config_schema: Callable[..., logging.Logger]) -> LoggerDefinition: ...
@overload
def logger(
    config_schema: Any = None, description: str | None = None
) -> Callable[[Callable[..., logging.Logger]], LoggerDefinition]: ...
def logger(config_schema: Any = None, description: str | None = None) -> Any:
    """Make a logger's definition of the decorated function, which takes an InitLoggerContext.

    Args:
        config_schema: What ``context.logger_config`` holds.
        description: For people; the function's docstring when it is not given.
    """
    if callable(config_schema) and not isinstance(config_schema, type) and not hasattr(config_schema, "config_type"):
        return LoggerDefinition(config_schema, None, inspect.getdoc(config_schema))
    return lambda function: LoggerDefinition(function, config_schema, description or inspect.getdoc(function))


_CONSOLE_CONFIG = {
    "log_level": Field(str, default_value="INFO", description="The lowest level that is written."),
    "name": Field(str, default_value="orchord", description="The logger's name."),
}


@logger(_CONSOLE_CONFIG, "Log records as lines on standard error.")
def colored_console_logger(context: InitLoggerContext) -> logging.Logger:
    """Write log records as lines on standard error."""
    form = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
    return _console(context.logger_config, logging.Formatter(form))


@logger(_CONSOLE_CONFIG, "Log records as JSON lines on standard error.")
def json_console_logger(context: InitLoggerContext) -> logging.Logger:
    """Write log records as JSON lines on standard error."""
    return _console(context.logger_config, _JsonFormatter())


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": self.formatTime(record),
                "level": record.levelname,
                "name": record.name,
                "message": record.getMessage(),
            }
        )


def _console(config: dict[str, str], formatter: logging.Formatter) -> logging.Logger:
    # A logger of its own, outside logging's registry: two runs in one process must not add handlers to one logger.
    made = logging.Logger(config["name"], config["log_level"].upper())
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    made.addHandler(handler)
    return made
