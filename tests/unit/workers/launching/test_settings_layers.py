"""Which settings a container gets, from launcher, executor and tags."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchord.plan.model import Step
from orchord.plan.places import Place
from orchord.runs import Run, RunStatus
from orchord_workers.containers.layers import merged
from orchord_workers.containers.platform import PlatformError
from orchord_workers.launching.layering import layers_of_run, layers_of_step


def run_with(executor: str = "docker_executor", config: dict[str, Any] | None = None, **tags: str) -> Run:
    named = {name.replace("__", "/"): value for name, value in tags.items()}
    return Run(
        "r1", "job", "here", RunStatus.STARTED, "snapshot", datetime.now(UTC),
        run_config={"execution": {"config": config or {}}}, tags=named, executor=executor,
    )  # fmt: skip


def step_with(**tags: str) -> Step:
    return Step("a", "a", tags={name.replace("__", "/"): value for name, value in tags.items()})


def test_the_strongest_layer_comes_last() -> None:
    run = run_with(config={"image": "executor", "env_vars": ["B=2"]}, orchord__docker=json.dumps({"env_vars": ["C=3"]}))
    step = step_with(orchord__docker=json.dumps({"image": "op", "env_vars": ["D=4"]}))
    found = layers_of_step(run, step, Place.DOCKER, {"image": "launcher", "env_vars": ["A=1"]}, "location")
    assert found.image == "op"
    assert merged(found.layers)["env_vars"] == ["A=1", "B=2", "C=3", "D=4"]


@pytest.mark.parametrize(
    ("tag", "op", "executor", "launcher", "expected"),
    [
        ("", "op", "executor", "launcher", "op"),
        ("", "", "executor", "launcher", "executor"),
        ("", "", "", "launcher", "launcher"),
        ("", "", "", "", "location"),
        ("tag", "op", "executor", "launcher", "tag"),
    ],
    ids=["op", "executor", "launcher", "location", "image tag"],
)
def test_the_image_is_the_strongest_that_is_named(
    tag: str, op: str, executor: str, launcher: str, expected: str
) -> None:
    tags = {"orchord__docker": json.dumps({"image": op})} if op else {}
    step = step_with(**tags, **({"orchord__image": tag} if tag else {}))
    config = {"image": executor} if executor else {}
    found = layers_of_step(run_with(config=config), step, Place.DOCKER, {"image": launcher or None}, "location")
    assert found.image == expected


def test_dagsters_image_tag_of_a_run_counts() -> None:
    assert layers_of_run(run_with(dagster__image="tagged"), Place.DOCKER, {"image": "mine"}, None).image == "tagged"


def test_nothing_names_an_image() -> None:
    assert layers_of_step(run_with(), step_with(), Place.DOCKER, None, None).image is None


def test_the_settings_of_celery_docker_executor_lie_one_deeper() -> None:
    run = run_with("celery_docker_executor", {"docker": {"image": "deep", "network": "n"}, "retries": {"enabled": {}}})
    found = layers_of_step(run, step_with(), Place.DOCKER, None, None)
    assert (found.image, merged(found.layers)) == ("deep", {"image": "deep", "network": "n"})


def test_the_config_of_another_platforms_executor_is_left_out() -> None:
    run = run_with("k8s_job_executor", {"job_image": "pod"})
    assert layers_of_step(run, step_with(), Place.DOCKER, None, "location").image == "location"


def test_dagsters_tag_for_kubernetes_is_a_layer_of_raw_parts() -> None:
    raw = {"container_config": {"image": "raw", "resources": {"limits": {"memory": "1Gi"}}}}
    step = Step("a", "a", tags={"dagster-k8s/config": json.dumps(raw)})
    found = layers_of_step(run_with("k8s_job_executor"), step, Place.KUBERNETES, None, "location")
    assert found.layers[-1] == {"step_k8s_config": raw}
    assert found.image == "raw"


def test_dagsters_tags_of_a_job_are_for_its_runs_container_and_not_for_those_of_steps() -> None:
    raw, resources = {"container_config": {"image": "raw"}}, {"limits": {"memory": "64Mi"}}
    own = json.dumps({"labels": {"a": "b"}})
    tags = {
        "dagster-k8s/config": json.dumps(raw),
        "dagster-k8s/resource_requirements": json.dumps(resources),
        "orchord/k8s": own,
    }
    run = run_with("k8s_job_executor", **tags)
    of_step = layers_of_step(run, step_with(), Place.KUBERNETES, None, "location")
    assert (of_step.image, of_step.layers) == ("location", ({}, {"labels": {"a": "b"}}))
    of_run = layers_of_run(run, Place.KUBERNETES, None, "location")
    assert of_run.layers == ({"resources": resources}, {"run_k8s_config": raw}, {"labels": {"a": "b"}})


def test_variables_are_read_where_the_launcher_worker_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret")
    config = {"registry": {"url": "u", "username": "n", "password": {"env": "REGISTRY_PASSWORD"}}}
    found = layers_of_step(run_with(config=config), step_with(), Place.DOCKER, None, "i")
    assert merged(found.layers)["registry"]["password"] == "secret"


def test_a_label_that_is_called_env_is_a_label_and_its_value_may_refer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", "blue")
    settings = {"container_kwargs": {"labels": {"env": "prod"}}, "labels": {"team": {"env": "TEAM"}}}
    given = layers_of_step(run_with(), step_with(), Place.DOCKER, settings, None)
    assert given.layers[0] == {"container_kwargs": {"labels": {"env": "prod"}}, "labels": {"team": "blue"}}


def test_variables_that_are_not_set_are_all_named() -> None:
    config = {"image": {"env": "NO_SUCH_IMAGE"}, "network": {"env": "NO_SUCH_NETWORK"}}
    with pytest.raises(PlatformError, match="does not have: NO_SUCH_IMAGE, NO_SUCH_NETWORK"):
        layers_of_step(run_with(config=config), step_with(), Place.DOCKER, None, None)


@pytest.mark.parametrize("value", ["{", "[1]"], ids=["no JSON", "no mapping"])
def test_a_tag_that_cannot_be_read_is_refused_with_its_name(value: str) -> None:
    with pytest.raises(PlatformError, match=r"The tag orchord/docker is .*Give a mapping, as text in JSON"):
        layers_of_step(run_with(), step_with(orchord__docker=value), Place.DOCKER, None, None)


def test_layers_merge_deeply_join_lists_and_replace_single_values() -> None:
    weak = {"image": "a", "container_kwargs": {"volumes": ["x:x"], "mem_limit": "1g"}, "network": "n"}
    strong = {"image": "b", "container_kwargs": {"volumes": ["y:y", "x:x"], "cpu_shares": 2}, "network": None}
    assert merged([weak, strong]) == {
        "image": "b",
        "container_kwargs": {"volumes": ["x:x", "y:y"], "mem_limit": "1g", "cpu_shares": 2},
        "network": "n",
    }
