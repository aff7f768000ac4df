"""Loggers as definitions: config, direct calls in tests, and the ones that come with Orchord."""

from __future__ import annotations

import json
import logging

import pytest

from orchord.definitions.config import Field
from orchord.definitions.loggers import (
    InitLoggerContext,
    LoggerDefinition,
    build_init_logger_context,
    colored_console_logger,
    json_console_logger,
    logger,
)
from orchord.errors import InvalidConfigError, InvalidDefinitionError


@logger(config_schema={"name": Field(str, default_value="mine")})
def named(context: InitLoggerContext) -> logging.Logger:
    """Name it."""
    return logging.Logger(context.logger_config["name"])


def test_a_logger_is_made_from_checked_config() -> None:
    assert named().name == "mine"
    assert named(build_init_logger_context({"name": "x"})).name == "x"
    assert named.configured({"name": "y"})().name == "y"
    assert named.description == "Name it."
    with pytest.raises(InvalidConfigError, match="config.nam: unknown key. Did you mean 'name'"):
        named(build_init_logger_context({"nam": "x"}))


def test_a_bare_decorator_takes_any_config() -> None:
    @logger
    def anything(context: InitLoggerContext) -> logging.Logger:
        return logging.Logger(str(context.logger_config))

    assert anything(build_init_logger_context([1])).name == "[1]"
    assert build_init_logger_context(job_name="j").job_name == "j"
    assert build_init_logger_context().run_id is None


def test_console_loggers_write_lines_and_json_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    json_console_logger().info("one %s", 1)
    record = json.loads(capsys.readouterr().err)
    assert (record["level"], record["name"], record["message"]) == ("INFO", "orchord", "one 1")
    quiet = colored_console_logger(build_init_logger_context({"log_level": "ERROR", "name": "n"}))
    quiet.info("hidden")
    quiet.error("shown")
    assert capsys.readouterr().err.endswith("n - ERROR - shown\n")


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="A logger's function is 3; it must be callable"):
        LoggerDefinition(3)  # type: ignore[arg-type]
