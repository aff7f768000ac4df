"""``context.log``: records as events; and that no secret gets into any event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from orchord.definitions.config import Config, EnvVar
from orchord.definitions.job import JobDefinition, job
from orchord.definitions.loggers import InitLoggerContext, logger
from orchord.definitions.op import op
from orchord.definitions.resources import ConfigurableResource
from orchord.execution import StepResult
from orchord.execution.logs import get_logger
from orchord.execution.masking import Masker

RunStep = Callable[..., StepResult]
JobOf = Callable[..., JobDefinition]


def logged(result: StepResult) -> list[tuple[int, str]]:
    return [(event.level, event.message) for event in result.events if event.type == "LOG"]


def test_records_become_events_with_their_level(run_step: RunStep, job_of: JobOf) -> None:
    @op
    def talks(context: Any) -> None:
        context.log.debug("read %d rows", 3)
        context.log.warning("slow", extra={"seconds": 5})
        try:
            raise ValueError("inner")
        except ValueError:
            context.log.exception("failed")

    result = run_step(job_of(talks), "talks")
    assert logged(result) == [(10, "read 3 rows"), (30, "slow"), (40, "failed")]
    events = [event for event in result.events if event.type == "LOG"]
    assert events[1].data["extra"] == {"seconds": 5}
    assert "ValueError: inner" in events[2].data["error"]
    assert "test_step_logs_and_secrets.py" in events[0].data["path"]


def test_a_record_that_cannot_be_formatted_is_kept(run_step: RunStep, job_of: JobOf) -> None:
    @op
    def talks(context: Any) -> None:
        context.log.info("%d rows", "many")

    assert logged(run_step(job_of(talks), "talks")) == [(20, "%d rows ('many',)")]


def test_a_librarys_logger_writes_into_the_step_that_runs(run_step: RunStep, job_of: JobOf) -> None:
    library = get_logger("library")

    @op
    def works() -> None:
        library.info("from below")

    library.info("nobody listens")
    assert logged(run_step(job_of(works), "works")) == [(20, "from below")]


def test_the_jobs_own_loggers_get_the_records_that_they_want(run_step: RunStep, job_of: JobOf) -> None:
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    made = []

    @logger({"level": int})
    def mine(context: InitLoggerContext) -> logging.Logger:
        made.append(context.logger_config)
        found = logging.Logger("mine", context.logger_config["level"])
        found.addHandler(Keep())
        return found

    @op
    def talks(context: Any) -> None:
        context.log.info("small")
        context.log.error("big")

    one = job_of(talks, logger_defs={"mine": mine})
    config = {"loggers": {"mine": {"config": {"level": 30}}}}
    results = [run_step(one, "talks", run_config=config) for _ in range(2)]
    assert logged(results[0]) == [(20, "small"), (40, "big")]
    assert kept == ["big", "big"]
    assert made == [{"level": 30}]


class Database(ConfigurableResource):
    password: str


def test_a_secret_appears_in_no_event(run_step: RunStep, job_of: JobOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2!")

    @op
    def connects(context: Any, db: Database) -> None:
        context.log.info(f"connecting with {db.password}")
        context.add_output_metadata({"dsn": f"postgres://me:{db.password}@host"})
        raise ConnectionError(f"refused for {db.password}")

    result = run_step(job_of(connects, resource_defs={"db": Database(password=EnvVar("DB_PASSWORD"))}), "connects")
    assert isinstance(result.exception, ConnectionError)
    assert "hunter2!" in str(result.exception)
    assert result.error is not None
    assert "hunter2!" not in f"{result.events}{result.error}"
    assert "******" in result.error.message


class Token(Config):
    token: str


def test_a_secret_of_run_config_is_hidden_too(
    run_step: RunStep, job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "tok-12345")

    @op
    def calls(context: Any, config: Token) -> str:
        context.log.info(config.token)
        return config.token

    config = {"ops": {"calls": {"config": {"token": {"env": "API_TOKEN"}}}}}
    result = run_step(job_of(calls), "calls", run_config=config)
    assert result.values == {"result": "tok-12345"}
    assert logged(result) == [(20, "******")]


def test_masking_hides_whole_secrets_in_texts_keys_and_lists() -> None:
    masker = Masker(["abcd", "abcdef", "x"])
    assert masker.text("abcdef abcd x") == "****** ****** x"
    assert masker.data({"abcd": ["say abcdef", 1, None]}) == {"******": ["say ******", 1, None]}
    assert not Masker(["x"])


class Service(ConfigurableResource):
    database: Database


def test_a_secret_of_a_nested_resource_is_hidden_too(
    run_step: RunStep, job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2!")

    @op
    def connects(context: Any, service: Service) -> None:
        context.log.info(service.database.password)

    service = Service(database=Database(password=EnvVar("DB_PASSWORD")))
    assert logged(run_step(job_of(connects, resource_defs={"service": service}), "connects")) == [(20, "******")]


def test_a_secret_that_configured_holds_is_hidden_too(
    run_step: RunStep, job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "tok-12345")

    @op
    def calls(context: Any, config: Token) -> None:
        context.log.info(config.token)

    configured = calls.configured({"token": {"env": "API_TOKEN"}}, name="calls_api")
    assert logged(run_step(job_of(configured), "calls_api")) == [(20, "******")]


def test_a_secret_that_an_env_var_gives_to_configured_is_hidden_in_a_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "tok-12345")

    @op
    def calls(context: Any, config: Token) -> None:
        context.log.info(f"with {config.token}")
        raise ConnectionError(f"refused for {config.token}")

    @job
    def calling() -> None:
        calls.configured({"token": EnvVar("API_TOKEN")}, name="first")()
        calls.configured(Token(token=EnvVar("API_TOKEN")), name="second")()

    result = calling.execute_in_process(raise_on_error=False)
    assert not result.success
    assert "tok-12345" not in f"{result.all_events}{result.run}"
    messages = [event.message for event in result.all_events if event.type == "LOG"]
    assert messages == ["with ******", "with ******"]
