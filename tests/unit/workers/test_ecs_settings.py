"""What settings, labels and answers of ECS mean, without ECS: each by itself."""

from __future__ import annotations

from typing import Any

import pytest

from orchord_workers.containers.ecs_requests import definition_like, family_of, run_task_arguments, started_by
from orchord_workers.containers.ecs_settings import EcsSettings, settings_of, with_variables
from orchord_workers.containers.ecs_state import labels_of, state_of, tags_of
from orchord_workers.containers.platform import ContainerSpec, Phase, PlatformError
from orchord_workers.launchers.ecs import EcsRunLauncher, mistakes_of

LABELS = {"orchord/name": "one", "orchord/owner": "me"}


def task(**answer: Any) -> dict[str, Any]:
    return {"tags": tags_of(LABELS), "containers": [], **answer}


def test_labels_come_back_whatever_they_hold() -> None:
    labels = {"orchord/step_key": "a[b].c ä~%=\n", "orchord/job": "j" * 700, "orchord/empty": ""}
    tags = tags_of(labels)
    assert all(len(tag["value"]) <= 256 for tag in tags)
    assert all(
        letter.isascii() and (letter.isalnum() or letter in " +-=._:/@") for tag in tags for letter in tag["value"]
    )
    assert labels_of([*tags, {"key": "team", "value": "data"}]) == labels


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("PROVISIONING", Phase.PENDING),
        ("PENDING", Phase.PENDING),
        ("RUNNING", Phase.RUNNING),
        ("STOPPING", Phase.RUNNING),
    ],
)
def test_a_tasks_status_says_where_its_container_stands(status: str, phase: Phase) -> None:
    state = state_of(task(lastStatus=status), "run")
    assert state is not None
    assert state.phase is phase


def test_a_container_has_ended_before_its_tasks_network_is_taken_down() -> None:
    containers = [{"name": "sidecar", "exitCode": 9}, {"name": "run", "lastStatus": "STOPPED", "exitCode": 0}]
    state = state_of(task(lastStatus="DEPROVISIONING", containers=containers), "run")
    assert state is not None
    assert (state.phase, state.exit_code) == (Phase.ENDED, 0)


@pytest.mark.parametrize(
    "answer",
    [
        {"stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted."},
        {
            "stopCode": "TaskFailedToStart",
            "stoppedReason": "Timeout waiting for network interface provisioning to complete",
        },
    ],
    ids=["spot", "network"],
)
def test_a_task_that_is_taken_away_or_finds_no_place_is_lost_and_not_failed(answer: dict[str, Any]) -> None:
    state = state_of(task(lastStatus="STOPPED", **answer), "run")
    assert state is not None
    assert (state.phase, state.cannot_start) == (Phase.GONE, False)
    assert answer["stoppedReason"] in state.reason


def test_a_task_that_is_none_of_ours_is_left_alone() -> None:
    assert state_of({"lastStatus": "RUNNING", "tags": [{"key": "team", "value": "x"}]}, "run") is None


def test_layers_are_merged_the_strongest_last() -> None:
    settings = settings_of(
        [
            {
                "env_vars": ["A=1"],
                "run_resources": {"cpu": "256", "memory": "512"},
                "run_task_kwargs": {"cluster": "c"},
            },
            {"env_vars": ["B=2"], "run_resources": {"memory": "1024"}, "run_task_kwargs": {"group": "g"}},
            {"ecs/cpu": "2048", "ecs/run_task_kwargs": '{"cluster": "other"}'},
        ]
    )
    assert list(settings.env_vars) == ["A=1", "B=2"]
    assert settings.resources == {"cpu": "2048", "memory": "1024"}
    assert settings.run_task_kwargs == {"cluster": "other", "group": "g"}


@pytest.mark.parametrize(
    ("given", "tags"), [({}, ["dagster", "orchord"]), ({"secrets_tag": None}, []), ({"secrets_tag": "x"}, ["x"])]
)
def test_secrets_are_found_by_tag_unless_none_is_wanted(given: dict[str, Any], tags: list[str]) -> None:
    assert list(settings_of([given]).secrets_tags) == tags


def test_variables_of_the_config_are_read_and_all_that_are_missing_are_named() -> None:
    config = {"run_task_kwargs": {"cluster": {"env": "CLUSTER"}}, "secrets": [{"env": "B"}]}
    assert with_variables(config, {"CLUSTER": "c", "B": "b"}.get) == {
        "run_task_kwargs": {"cluster": "c"},
        "secrets": ["b"],
    }
    with pytest.raises(PlatformError, match="does not have: B, CLUSTER"):
        with_variables(config, {}.get)


def test_the_same_name_of_the_same_instance_has_the_same_token_and_no_other_has() -> None:
    def token(name: str, owner: str) -> str:
        spec = ContainerSpec(name, ["x"], {"orchord/owner": owner})
        return str(run_task_arguments(spec, EcsSettings(), "d", environment={}, of_current_task={})["clientToken"])

    assert token("one", "me") == token("one", "me")
    assert len({token("one", "me"), token("two", "me"), token("one", "you")}) == 3
    assert len(token("one", "me")) <= 64


def test_a_capacity_provider_takes_the_place_of_the_launch_type() -> None:
    settings = EcsSettings(run_task_kwargs={"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]})
    spec = ContainerSpec("one", ["x"], {})
    current = {"launchType": "FARGATE", "cluster": "c"}
    made = run_task_arguments(spec, settings, "d", environment={}, of_current_task=current)
    assert "launchType" not in made
    assert made["cluster"] == "c"


def test_names_fit_what_ecs_takes() -> None:
    labels = {"orchord/location": "my location!" * 30, "orchord/job": "job.name"}
    assert len(family_of(EcsSettings(prefix="p" * 16), labels)) <= 255
    assert family_of(EcsSettings(), labels) != family_of(EcsSettings(), {**labels, "orchord/job": "job-name"})
    assert len(started_by("x" * 100)) <= 36


def test_all_mistakes_of_the_launchers_config_are_told_at_once() -> None:
    config = {
        "env_vars": "A=1",
        "include_sidecars": "yes",
        "task_definition": {"log_grup": "x"},
        "run_task_kwargs": {"taskDefinition": "x", "overrides": {}},
        "task_definition_prefix": "far-too-long-a-prefix",
        "propagate_tags": {"allow_list": ["dagster/op_selection"], "deny_list": []},
        "run_ecs_tags": [{"name": "x"}, {"key": "orchord/run_id", "value": "x"}],
        "secrets": [{"name": "x"}],
        "boto_config": {"aws_secret_access_key": "s3cret"},
    }
    told = "\n".join(mistakes_of(config))
    for words in (
        "env_vars: found str, expected a list.",
        "include_sidecars: found str, expected true or false.",
        "task_definition: unknown key 'log_grup'. Did you mean 'log_group'?",
        "run_task_kwargs: the key 'taskDefinition' is set by the launcher itself. Use task_definition.",
        "run_task_kwargs: the key 'overrides' is set by the launcher itself.",
        "task_definition_prefix: found 'far-too-long-a-prefix', which is longer than 16 letters.",
        "propagate_tags: unknown key 'deny_list'.",
        "propagate_tags: dagster/op_selection cannot be tags of ECS.",
        "run_ecs_tags[0]: found {'name': 'x'}, expected a mapping with key and value.",
        "run_ecs_tags[1]: the tag 'orchord/run_id' is Orchord's own.",
        "secrets[0]: found dict, expected name and valueFrom, or a secret's ARN.",
        "boto_config: unknown key 'aws_secret_access_key'.",
    ):
        assert words in told
    assert "s3cret" not in told


def test_every_key_of_dagsters_launcher_is_taken() -> None:
    assert EcsRunLauncher.config_keys >= {
        "container_name",
        "env_vars",
        "include_sidecars",
        "propagate_tags",
        "run_ecs_tags",
        "run_resources",
        "run_task_kwargs",
        "secrets",
        "secrets_tag",
        "task_definition",
        "task_definition_prefix",
        "use_current_ecs_task_config",
    }
    assert list(mistakes_of({"task_definition": {"env": "NAME"}, "container_name": {"env": "X"}})) == []


def test_dagsters_tags_of_runs_are_propagated_by_the_names_that_the_list_has() -> None:
    allowed = {"propagate_tags": {"allow_list": ["team", "dagster/partition", "dagster/none"]}}
    tags = {"team": "data", "orchord/partition": "2026-01-01", "other": "x"}
    assert settings_of([allowed], tags).propagated_tags == {"team": "data", "dagster/partition": "2026-01-01"}


def test_a_variable_of_the_launcher_workers_own_task_is_replaced_and_not_given_twice() -> None:
    own = {"name": "launcher", "image": "l:1", "environment": [{"name": n, "value": "old"} for n in ("A", "B")]}
    current = {"containerDefinitions": [own]}
    made = definition_like(current, "launcher", settings_of([]), "family", "i:1", environment={"B": "new"}, secrets=())
    (container,) = made["containerDefinitions"]
    assert container["environment"] == [{"name": "A", "value": "old"}, {"name": "B", "value": "new"}]
