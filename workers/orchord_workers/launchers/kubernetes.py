"""K8sRunLauncher and CeleryK8sRunLauncher: a run that is one unit of work has a Kubernetes Job of its own.

A launcher worker creates and watches it (`orchord launcher`); these classes only say where it goes, and with what. What
the settings become is containers/pod_manifest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchord.spi import InstanceConfigError, OrchordInstance, Place, did_you_mean
from orchord_workers.launcher import CeleryRunLauncher

RAW_PARTS = frozenset(
    {
        "container_config",
        "pod_spec_config",
        "pod_template_spec_metadata",
        "job_metadata",
        "job_spec_config",
        "job_config",
        "merge_behavior",
    }
)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _is_labels(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())


_TEXT = ("text", _is_text)
_FLAG = ("true or false", _is_flag)
_MAPPING = ("a mapping", _is_mapping)
_TEXTS = ("a list of texts", _is_texts)
_MAPPINGS = ("a list of mappings", _is_mappings)
_POLICIES = ("Always", "IfNotPresent", "Never")

_KEYS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "dagster_home": _TEXT,
    "env_config_maps": _TEXTS,
    "env_secrets": _TEXTS,
    "env_vars": _TEXTS,
    "fail_pod_on_run_failure": _FLAG,
    "image_pull_policy": (f"one of {', '.join(_POLICIES)}", _POLICIES.__contains__),
    "image_pull_secrets": _MAPPINGS,
    "instance_config_map": _TEXT,
    "job_image": _TEXT,
    "job_namespace": _TEXT,
    "k8s_api_ssl_ca_cert_file": _TEXT,
    "kubeconfig_file": _TEXT,
    "labels": ("a mapping of texts", _is_labels),
    "load_incluster_config": _FLAG,
    "only_allow_user_defined_env_vars": _TEXTS,
    "only_allow_user_defined_k8s_config_fields": _MAPPING,
    "orchord_home": _TEXT,
    "postgres_password_secret": _TEXT,
    "resources": _MAPPING,
    "run_k8s_config": _MAPPING,
    "scheduler_name": _TEXT,
    "security_context": _MAPPING,
    "service_account_name": _TEXT,
    "volume_mounts": _MAPPINGS,
    "volumes": _MAPPINGS,
}
# What Dagster's launcher for Celery says again of the broker: the instance's section `celery` says it for all.
CELERY_KEYS = frozenset({"broker", "backend", "include", "config_source", "retries"})


class K8sRunLauncher(CeleryRunLauncher):
    """Sends runs to launcher workers, which give each a Kubernetes Job.

    Config keys are those of Dagster's launcher of this name; ``orchord_home`` is ``dagster_home`` by our name, and
    ``instance_config_map`` may be left out where the image holds the instance file. Executors of the same platform
    take them as the weakest layer.
    """

    config_keys = frozenset(_KEYS)
    place = Place.KUBERNETES

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        # The section as it is written may give a key no value, as charts do.
        super().__init__(instance, {key: value for key, value in config.items() if value is not None})
        mistakes = list(_mistakes(self.config))
        if mistakes:
            raise InstanceConfigError(f"run_launcher {type(self).__name__} cannot be configured", mistakes)


class CeleryK8sRunLauncher(K8sRunLauncher):
    """As K8sRunLauncher: here each launcher's messages go by Celery.

    Of Dagster's further keys (broker, backend, include, config_source, retries) none has an effect.
    """

    config_keys = K8sRunLauncher.config_keys | CELERY_KEYS


def _mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if key in CELERY_KEYS:
            continue
        expected, is_right = _KEYS[key]
        if not is_right(value):
            # Not the value: settings of pods hold secrets.
            yield f"{key}: found {type(value).__name__}, expected {expected}."
    for key in ("run_k8s_config", "only_allow_user_defined_k8s_config_fields"):
        section = config.get(key)
        known = RAW_PARTS if key == "run_k8s_config" else (RAW_PARTS | {"namespace"}) - {"merge_behavior", "job_config"}
        for name in section if isinstance(section, Mapping) else ():
            if name not in known:
                yield f"{key}: unknown key '{name}'.{did_you_mean(str(name), known)}"
    if config.get("load_incluster_config") and config.get("kubeconfig_file"):
        yield "kubeconfig_file: it has no meaning with load_incluster_config: true. Give one of the two."
