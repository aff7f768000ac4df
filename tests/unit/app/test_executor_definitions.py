"""Executors as definitions: their names, their config, and which runs can be carried out."""

from __future__ import annotations

from typing import Any

import pytest

from orchord.definitions.config import Field, check_config
from orchord.definitions.executors import (
    EXECUTORS,
    ExecutorDefinition,
    celery_docker_executor,
    celery_executor,
    celery_k8s_job_executor,
    default_executor,
    docker_executor,
    executor,
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


@pytest.mark.parametrize("definition", list(EXECUTORS.values()), ids=lambda item: item.name)
def test_every_executor_works_without_config(definition: ExecutorDefinition) -> None:
    if definition is multi_or_in_process_executor:
        assert check_config(definition.config_type, {"in_process": {}}).success
    else:
        assert check_config(definition.config_type, {}).success


def test_executors_take_config_and_can_be_configured() -> None:
    two = multiprocess_executor.configured({"max_concurrent": 2})
    assert two.name == "multiprocess_executor"
    assert two.resolve_config(None)["max_concurrent"] == 2
    assert two.fixed_config == {"max_concurrent": 2}
    assert multiprocess_executor.fixed_config == {}
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


def test_a_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="An executor's name is 'a b'; use letters, digits"):
        ExecutorDefinition("a b")


LIMITS = [
    {"key": "database", "value": "tiny", "limit": 1},
    {"key": "x", "value": {"applyLimitPerUniqueValue": True}, "limit": 2},
]
DOCKER = {
    "image": "i",
    "registry": {"url": "r", "username": "u", "password": {"env": "P"}},
    "env_vars": ["A=1", "B"],
    "network": "n",
    "networks": ["m"],
    "container_kwargs": {"mem_limit": "1g"},
}
K8S = {
    "job_image": "i",
    "image_pull_policy": "Always",
    "image_pull_secrets": [{"name": "s"}],
    "service_account_name": "a",
    "env_config_maps": ["c"],
    "env_secrets": ["s"],
    "env_vars": ["A=1"],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "volume_mounts": [{"name": "v", "mountPath": "/v"}],
    "labels": {"a": "b"},
    "resources": {"limits": {"cpu": "1"}},
    "scheduler_name": "z",
    "security_context": {"runAsUser": 1},
    "job_namespace": "n",
    "load_incluster_config": False,
    "kubeconfig_file": "/k",
    "step_k8s_config": {
        "container_config": {"resources": {}},
        "pod_spec_config": {"nodeSelector": {"a": "b"}},
        "merge_behavior": "SHALLOW",
    },
    "per_step_k8s_config": {"one": {"job_spec_config": {"ttlSecondsAfterFinished": 5}}},
}
CELERY = {"broker": "redis://x", "backend": "rpc://", "include": ["m"], "config_source": {"a": 1}, "priority": 3}
OFF = {"retries": {"disabled": {}}}


@pytest.mark.parametrize(
    ("definition", "config"),
    [
        pytest.param(
            multiprocess_executor,
            {
                "max_concurrent": 4,
                "start_method": {"forkserver": {"preload_modules": ["m"]}},
                "tag_concurrency_limits": LIMITS,
                **OFF,
            },
            id="multiprocess",
        ),
        pytest.param(
            multi_or_in_process_executor,
            {"multiprocess": {"max_concurrent": 2, "start_method": {"spawn": {}}}},
            id="multi",
        ),
        pytest.param(multi_or_in_process_executor, {"in_process": OFF}, id="in_process"),
        pytest.param(celery_executor, {**CELERY, **OFF}, id="celery"),
        pytest.param(default_executor, {"multiprocess": {"max_concurrent": 2}}, id="default"),
        pytest.param(
            docker_executor, {**DOCKER, **OFF, "max_concurrent": 3, "tag_concurrency_limits": LIMITS}, id="docker"
        ),
        pytest.param(celery_docker_executor, {**CELERY, "docker": DOCKER}, id="celery_docker"),
        pytest.param(
            k8s_job_executor, {**K8S, **OFF, "max_concurrent": 3, "tag_concurrency_limits": LIMITS}, id="k8s_job"
        ),
        pytest.param(
            celery_k8s_job_executor,
            {**K8S, **CELERY, "repo_location_name": "r", "job_wait_timeout": 5.0},
            id="celery_k8s_job",
        ),
    ],
)
def test_each_takes_the_keys_of_its_counterpart_in_dagster(
    definition: ExecutorDefinition, config: dict[str, Any]
) -> None:
    assert check_config(definition.config_type, config).success
    assert definition.configured(config).fixed_config.keys() == config.keys()


def test_what_configured_fixes_is_known_without_user_code_and_names_variables_only() -> None:
    fixed = docker_executor.configured(DOCKER).fixed_config
    assert fixed["registry"]["password"] == {"env": "P"}
    by_function = docker_executor.configured(lambda config: {"image": "made"}, config_schema={})
    assert by_function.fixed_config == {"image": "made"}
    needs_config = docker_executor.configured(lambda config: {"image": config}, config_schema=str)
    assert needs_config.fixed_config == {}
    may_have_config = docker_executor.configured(
        lambda config: {"image": config.get("image", "made")}, config_schema={"image": Field(str, is_required=False)}
    )
    assert may_have_config.fixed_config == {}
    mapped = (docker_executor, by_function, needs_config, may_have_config)
    assert [one.maps_config for one in mapped] == [False, False, True, True]
