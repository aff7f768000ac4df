"""Executors as definitions: their names, their config, and which runs can be carried out."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.config import check_config
from orchord.definitions.executors import (
    EXECUTORS,
    ExecutorDefinition,
    celery_executor,
    docker_executor,
    executor,
    in_process_executor,
    k8s_job_executor,
    multi_or_in_process_executor,
    multiprocess_executor,
)
from orchord.errors import InvalidConfigError, InvalidDefinitionError


def test_the_executors_of_the_field_are_there_by_name() -> None:
    assert set(EXECUTORS) == {
        "celery_executor",
        "in_process_executor",
        "multiprocess_executor",
        "multi_or_in_process_executor",
        "docker_executor",
        "celery_docker_executor",
        "k8s_job_executor",
        "celery_k8s_job_executor",
    }
    assert all(item.description for item in EXECUTORS.values())


def test_an_executor_that_cannot_carry_a_run_out_says_so_and_what_can() -> None:
    assert celery_executor.why_not is None
    assert in_process_executor.why_not is None
    assert docker_executor.why_not == (
        "Executor 'docker_executor' cannot be used yet. Use one of: celery_executor, in_process_executor."
    )


@pytest.mark.parametrize("definition", list(EXECUTORS.values()), ids=lambda item: item.name)
def test_every_executor_works_without_config(definition: ExecutorDefinition) -> None:
    if definition is multi_or_in_process_executor:
        assert check_config(definition.config_type, {"in_process": {}}).success
    else:
        assert check_config(definition.config_type, {}).success


def test_executors_take_config_and_can_be_configured() -> None:
    two = multiprocess_executor.configured({"max_concurrent": 2})
    assert two.name == "multiprocess_executor"
    assert two.resolve_config(None) == {"max_concurrent": 2}
    config = k8s_job_executor.resolve_config({"job_image": "i", "labels": {"a": "b"}})
    assert config["job_image"] == "i"
    assert config["labels"] == {"a": "b"}
    with pytest.raises(InvalidConfigError, match="config.max_concurent: unknown key. Did you mean 'max_concurrent'"):
        multiprocess_executor.configured({"max_concurent": 2})


def test_an_executor_of_the_users_own_is_a_definition_with_its_function() -> None:
    @executor(name="mine", config_schema={"a": int})
    def make(context: Any) -> str:
        """Run it my way."""
        return "made"

    @executor
    def bare(context: Any) -> str:
        return "bare"

    assert (make.name, make.description) == ("mine", "Run it my way.")
    assert make.executor_creation_fn is not None
    assert make.executor_creation_fn(None) == "made"
    assert bare.name == "bare"
    assert make.why_not is not None


def test_a_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="An executor's name is 'a b'; use letters, digits"):
        ExecutorDefinition("a b")
