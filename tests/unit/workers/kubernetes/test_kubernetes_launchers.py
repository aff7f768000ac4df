"""The config of the launchers for Kubernetes: Dagster's sections are taken as they are, mistakes are told at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from orchord import OrchordError
from orchord.spi import InstanceConfig, InstanceConfigError, Place
from orchord_workers.launchers.kubernetes import CeleryK8sRunLauncher, K8sRunLauncher

FILE_1 = (Path(__file__).parents[3] / "mission" / "instance_file.yaml").read_text()


def launcher_of(cls: type[K8sRunLauncher], config: dict[str, Any], home: Path) -> K8sRunLauncher:
    instance: Any = SimpleNamespace(config=InstanceConfig.default(home))
    made = cls(instance, config)
    made.dispose()
    return made


def mistakes_of(config: dict[str, Any], home: Path) -> tuple[str, ...]:
    with pytest.raises(InstanceConfigError) as caught:
        launcher_of(K8sRunLauncher, config, home)
    return tuple(caught.value.mistakes)


def test_the_mission_documents_section_is_read_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "secret")
    spec = InstanceConfig.parse(yaml.safe_load(FILE_1), tmp_path).run_launcher
    assert spec.target == "orchord_workers.launchers.kubernetes:K8sRunLauncher"
    launcher = launcher_of(K8sRunLauncher, spec.config, tmp_path)
    assert launcher.place is Place.KUBERNETES
    assert launcher.config["job_namespace"] == "dagster"


def test_the_celery_one_takes_dagsters_keys_of_celery_too(tmp_path: Path) -> None:
    config = {"broker": "redis://x", "backend": "rpc://", "include": [], "config_source": {}, "job_image": "a:1"}
    assert launcher_of(CeleryK8sRunLauncher, config, tmp_path).place is Place.KUBERNETES
    with pytest.raises(InstanceConfigError, match="unknown key 'broker'"):
        launcher_of(K8sRunLauncher, config, tmp_path)


def test_a_key_without_a_value_is_as_good_as_none(tmp_path: Path) -> None:
    assert launcher_of(K8sRunLauncher, {"kubeconfig_file": None}, tmp_path).config == {}


def test_every_mistake_is_told_and_no_value_is_shown(tmp_path: Path) -> None:
    told = mistakes_of(
        {
            "image_pull_policy": "Sometimes",
            "env_vars": "PASSWORD=hush",
            "labels": {"team": 1},
            "run_k8s_config": {"pod_spec": {}},
            "load_incluster_config": True,
            "kubeconfig_file": "/kube",
            "only_allow_user_defined_k8s_config_fields": {"everything": {}},
        },
        tmp_path,
    )
    assert "hush" not in str(told)
    assert [line.partition(".")[0] for line in told] == [
        "image_pull_policy: found str, expected one of Always, IfNotPresent, Never",
        "env_vars: found str, expected a list of texts",
        "labels: found dict, expected a mapping of texts",
        "run_k8s_config: unknown key 'pod_spec'",
        "only_allow_user_defined_k8s_config_fields: unknown key 'everything'",
        "kubeconfig_file: it has no meaning with load_incluster_config: true",
    ]
    assert "Did you mean 'pod_spec_config'?" in told[3]


def test_a_mistake_is_one_of_orchords_errors(tmp_path: Path) -> None:
    with pytest.raises(OrchordError):
        launcher_of(K8sRunLauncher, {"labels": []}, tmp_path)
