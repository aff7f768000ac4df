"""The manifest of a container's Job: what each of Dagster's keys becomes, who wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchord_workers.containers.platform import ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL, STEP_LABEL, ContainerSpec
from orchord_workers.containers.pod_manifest import job_manifest, op_names, own_labels
from orchord_workers.containers.pod_settings import PodSettingsError, merged_settings

# The launcher's section of the mission document's instance file.
MISSION_FILE = Path(__file__).parents[3] / "mission" / "instance_file.yaml"
FILE_1 = yaml.safe_load(MISSION_FILE.read_text())["run_launcher"]["config"]
LABELS = {OWNER_LABEL: "abc", RUN_LABEL: "run-1", STEP_LABEL: "shop.sum[a]", ATTEMPT_LABEL: "1"}


def manifest_of(*layers: dict[str, Any], image: str | None = "numbers:1", labels: dict | None = None) -> dict[str, Any]:
    labels = LABELS if labels is None else labels
    spec = ContainerSpec(
        "orchord-1", ["orchord", "step", "execute"], labels, {"ORCHORD_LAUNCH_TOKEN": "t"}, image, layers
    )
    return job_manifest(spec, merged_settings(layers, op_names(labels)))


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["template"]["spec"]["containers"][0]


def variables_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container_of(manifest)["env"]}


def mistakes_of(*layers: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(PodSettingsError) as caught:
        merged_settings(layers)
    return caught.value.mistakes


def test_the_mission_documents_section_becomes_its_job() -> None:
    manifest = manifest_of(FILE_1, labels={OWNER_LABEL: "abc", RUN_LABEL: "run-1"})
    pod = manifest["spec"]["template"]["spec"]
    assert manifest["metadata"]["namespace"] == "dagster"
    assert pod["serviceAccountName"] == "dagster"
    assert pod["nodeSelector"] == {"node-group.dp.ssup2": "worker"}
    assert pod["volumes"] == [{"name": "orchord-instance", "configMap": {"name": "dagster-instance"}}]
    container = container_of(manifest)
    assert container["imagePullPolicy"] == "Always"
    assert container["volumeMounts"] == [
        {
            "name": "orchord-instance",
            "mountPath": "/opt/dagster/dagster_home/dagster.yaml",
            "subPath": "dagster.yaml",
            "readOnly": True,
        }
    ]
    assert variables_of(manifest) == {
        "ORCHORD_HOME": "/opt/dagster/dagster_home",
        "DAGSTER_HOME": "/opt/dagster/dagster_home",
        "DAGSTER_PG_PASSWORD": {"secretKeyRef": {"name": "dagster-postgresql-secret", "key": "postgresql-password"}},
        "ORCHORD_LAUNCH_TOKEN": "t",
    }


def test_nothing_is_ever_started_again_by_the_cluster_itself() -> None:
    raw = {"job_spec_config": {"backoff_limit": 6}, "pod_spec_config": {"restart_policy": "OnFailure"}}
    manifest = manifest_of({"run_k8s_config": raw})
    assert manifest["spec"]["backoffLimit"] == 0
    assert manifest["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert manifest["spec"]["ttlSecondsAfterFinished"] == 86400


def test_every_plain_key_has_its_place() -> None:
    manifest = manifest_of(
        {
            "env_config_maps": ["settings"],
            "env_secrets": ["keys"],
            "env_vars": ["A=1", "B=x=y"],
            "volumes": [{"name": "data", "empty_dir": {}}],
            "volume_mounts": [{"name": "data", "mount_path": "/data", "readOnly": False}],
            "labels": {"team": "shop"},
            "resources": {"limits": {"memory": "64Mi", "cpu": 1}},
            "scheduler_name": "mine",
            "security_context": {"run_as_user": 1000},
            "image_pull_secrets": [{"name": "registry"}],
        }
    )
    container, pod = container_of(manifest), manifest["spec"]["template"]["spec"]
    assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]
    assert variables_of(manifest) == {"A": "1", "B": "x=y", "ORCHORD_LAUNCH_TOKEN": "t"}
    assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data", "readOnly": False}]
    assert container["resources"] == {"limits": {"memory": "64Mi", "cpu": "1"}}
    assert container["securityContext"] == {"runAsUser": 1000}
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert pod["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert (pod["schedulerName"], pod["imagePullSecrets"]) == ("mine", [{"name": "registry"}])
    assert manifest["metadata"]["labels"]["team"] == "shop"
    assert manifest["spec"]["template"]["metadata"]["labels"]["team"] == "shop"
    assert container["args"] == ["orchord", "step", "execute"]


def test_stronger_layers_join_lists_and_mappings_and_replace_the_rest() -> None:
    launcher = {"env_vars": ["A=1", "B=1"], "service_account_name": "one", "resources": {"limits": {"memory": "1Gi"}}}
    executor = {
        "env_vars": ["B=2"],
        "job_namespace": "steps",
        "step_k8s_config": {"pod_spec_config": {"node_selector": {"disk": "ssd"}}},
    }
    tag = {
        "step_k8s_config": {
            "container_config": {"resources": {"requests": {"cpu": "2"}}},
            "pod_spec_config": {"nodeSelector": {"zone": "a"}, "serviceAccountName": "two"},
        }
    }
    manifest = manifest_of(launcher, executor, tag)
    pod = manifest["spec"]["template"]["spec"]
    assert manifest["metadata"]["namespace"] == "steps"
    assert variables_of(manifest)["A"] == "1"
    assert variables_of(manifest)["B"] == "2"
    assert pod["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert pod["serviceAccountName"] == "two"
    assert container_of(manifest)["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "2"}}


def test_a_shallow_merge_replaces_whole_keys() -> None:
    below = {"pod_spec_config": {"node_selector": {"disk": "ssd"}, "service_account_name": "one"}}
    above = {"pod_spec_config": {"node_selector": {"zone": "a"}}, "merge_behavior": "SHALLOW"}
    pod = manifest_of({"run_k8s_config": below}, {"run_k8s_config": above})["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"zone": "a"}
    assert pod["serviceAccountName"] == "one"


def test_the_image_is_the_steps_own_else_the_specs_else_the_settings() -> None:
    assert container_of(manifest_of({"job_image": "settings:1"}, image=None))["image"] == "settings:1"
    assert container_of(manifest_of({"job_image": "settings:1"}))["image"] == "numbers:1"
    of_step = {"per_step_k8s_config": {"sum": {"container_config": {"image": "sum:2"}}}}
    assert container_of(manifest_of(of_step))["image"] == "sum:2"
    other = {"per_step_k8s_config": {"another": {"container_config": {"image": "sum:2"}}}}
    assert container_of(manifest_of(other))["image"] == "numbers:1"


def test_one_of_several_mapped_steps_has_settings_by_its_key_above_those_of_its_op() -> None:
    each = {
        "sum": {"container_config": {"image": "sum:2"}},
        "shop.sum[a]": {"container_config": {"image": "sum:3"}},
        "shop.sum[b]": {"container_config": {"image": "sum:4"}},
    }
    assert container_of(manifest_of({"per_step_k8s_config": each}))["image"] == "sum:3"


def test_variables_without_a_name_are_mistakes_wherever_they_stand() -> None:
    nameless = [{"name": "A", "value": "1"}, {"value": "2"}]
    raw = {"step_k8s_config": {"container_config": {"env": nameless}}}
    only_some = {"only_allow_user_defined_env_vars": ["A"]}
    assert mistakes_of(only_some, {"env": nameless}, raw) == ("container_config.env[1]: no name is given.",) * 2


def test_without_an_image_the_error_says_which_keys_name_one() -> None:
    with pytest.raises(PodSettingsError) as caught:
        manifest_of(image=None)
    assert str(caught.value) == (
        "1. no image is named. Name one by the tag dagster-k8s/config (container_config: image), by job_image in the "
        "executor's or launcher's config, or by ORCHORD_CURRENT_IMAGE where the location's workers run."
    )


def test_labels_that_kubernetes_refuses_are_kept_as_annotations() -> None:
    metadata = manifest_of()["spec"]["template"]["metadata"]
    assert metadata["labels"][STEP_LABEL] == "shop.sum-a"
    assert metadata["annotations"] == {STEP_LABEL: "shop.sum[a]"}
    assert own_labels(metadata) == LABELS


def test_sidecars_stay_beside_the_container() -> None:
    manifest = manifest_of({"run_k8s_config": {"pod_spec_config": {"containers": [{"name": "proxy", "image": "p"}]}}})
    assert [item["name"] for item in manifest["spec"]["template"]["spec"]["containers"]] == ["orchord", "proxy"]


def test_every_mistake_is_told_at_once_and_no_value_is_shown() -> None:
    told = mistakes_of(
        {"run_k8s_config": {"container_config": {"imagePullPolcy": "hush"}, "pod_spec": {}}},
        {"step_k8s_config": {"pod_spec_config": {"node_selector": "hush", "volumes": {"name": "x"}}}},
        {"env_vars": ["NOT_SET_ANYWHERE"], "run_k8s_config": {"merge_behavior": "WIDE"}},
    )
    assert told == (
        "unknown key 'pod_spec'. Did you mean 'pod_spec_config'?",
        "container_config: unknown key 'imagePullPolcy'. Did you mean 'imagePullPolicy'?",
        "pod_spec_config.node_selector: found str, expected a mapping.",
        "pod_spec_config.volumes: found dict, expected a list.",
        "env_vars: the variable NOT_SET_ANYWHERE is not set where `orchord launcher` runs.",
        "merge_behavior: found 'WIDE', expected DEEP or SHALLOW.",
    )


def test_a_key_in_both_spellings_is_refused() -> None:
    raw = {"pod_spec_config": {"node_selector": {}, "nodeSelector": {}}}
    assert mistakes_of({"run_k8s_config": raw}) == (
        "pod_spec_config: 'nodeSelector' is given twice, in both spellings. Keep one.",
    )


def test_the_launcher_says_what_others_may_set() -> None:
    launcher = {
        "service_account_name": "strict",
        "only_allow_user_defined_k8s_config_fields": {"container_config": {"resources": True, "env": True}},
        "only_allow_user_defined_env_vars": ["A"],
    }
    fine = {"resources": {"limits": {"cpu": "1"}}, "env_vars": ["A=1", "B=2"]}
    settings = merged_settings([launcher, fine])
    assert settings.parts["container_config"]["env"] == [{"name": "A", "value": "1"}]
    assert settings.discarded_variables == ["B"]
    tag = {
        "service_account_name": "root",
        "job_namespace": "kube-system",
        "postgres_password_secret": "another",
        "only_allow_user_defined_k8s_config_fields": {"pod_spec_config": {"service_account_name": True}},
    }
    words = "may not be set here: the launcher's only_allow_user_defined_k8s_config_fields does not list it."
    for layers in ((launcher, tag), (launcher, tag, tag)):
        assert set(mistakes_of(*layers)) == {
            f"pod_spec_config.serviceAccountName {words}",
            f"postgres_password_secret {words}",
            f"the namespace {words}",
        }


def test_a_tags_unknown_key_is_a_mistake() -> None:
    assert mistakes_of({"resource": {}}) == ("unknown key 'resource'. Did you mean 'resources'?",)


def test_what_orchord_itself_sets_cannot_be_overwritten() -> None:
    manifest = manifest_of({"env_vars": ["ORCHORD_LAUNCH_TOKEN=mine"], "labels": {OWNER_LABEL: "mine"}})
    assert variables_of(manifest)["ORCHORD_LAUNCH_TOKEN"] == "t"
    assert manifest["metadata"]["labels"][OWNER_LABEL] == "abc"
    assert manifest["spec"]["template"]["metadata"]["labels"][OWNER_LABEL] == "abc"
