"""The manifest of the Job that runs one container: pure, of merged settings and of what is to run.

How settings are merged is pod_settings.py; creating the Job is kubernetes.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchord_workers.containers.platform import RUN_LABEL, STEP_LABEL, ContainerSpec
from orchord_workers.containers.pod_settings import (
    DEFAULT_HOME,
    PASSWORD_KEY,
    PASSWORD_VARIABLE,
    PodSettings,
    PodSettingsError,
    deeply_merged,
)

CONTAINER = "orchord"
# The container's name as a label: by it a Job's pods are found, in whichever namespace.
NAME_LABEL = "orchord/container"
OWN_PREFIX = "orchord/"
# Ended Jobs are removed by the launcher worker; this is for those that it could not remove.
KEPT_SECONDS = 24 * 60 * 60
INSTANCE_VOLUME = "orchord-instance"
# On a Job that its settings keep for some time after its end.
KEPT_LABEL = "orchord/kept"
NO_IMAGE = (
    "no image is named. Name one by the tag dagster-k8s/config (container_config: image), by job_image in the "
    "executor's or launcher's config, or by ORCHORD_CURRENT_IMAGE where the location's workers run."
)

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_NO_LABEL_CHARACTERS = re.compile(r"[^A-Za-z0-9_.-]")


def job_manifest(spec: ContainerSpec, settings: PodSettings, instance_file: str = "dagster.yaml") -> dict[str, Any]:
    """Return a Job whose pod runs a container once: nothing is started again by Kubernetes.

    Args:
        spec: what is to run. Its image goes before that of the settings.
        settings: of the launcher, the executor and the tags, merged.
        instance_file: the key of the instance's ConfigMap that holds the instance file.

    Raises:
        PodSettingsError: no image is named.
    """
    parts = settings.parts
    labels, annotations = labels_and_annotations({**spec.labels, NAME_LABEL: spec.name})
    labels |= {
        "app.kubernetes.io/name": "orchord",
        "app.kubernetes.io/part-of": "orchord",
        "app.kubernetes.io/component": "step" if STEP_LABEL in spec.labels else "run",
    }
    if parts["job_spec_config"].get("ttlSecondsAfterFinished"):
        labels[KEPT_LABEL] = "true"
    own = {"labels": labels, "annotations": annotations}
    pod = dict(parts["pod_spec_config"])
    sidecars = pod.pop("containers", [])
    volumes = [*pod.pop("volumes", []), *_instance_volume(settings)]
    template = {
        "metadata": deeply_merged(parts["pod_template_spec_metadata"], own),
        "spec": {
            **pod,
            # Whatever a setting says: a container that Kubernetes started again would be a second one.
            "restartPolicy": "Never",
            "containers": [_container(spec, settings, instance_file), *sidecars],
            **({"volumes": volumes} if volumes else {}),
        },
    }
    return {
        **parts["job_config"],
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**deeply_merged(parts["job_metadata"], own), "name": spec.name, "namespace": settings.namespace},
        "spec": {
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            **parts["job_spec_config"],
            "backoffLimit": 0,
            "template": template,
        },
    }


def labels_and_annotations(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels, and as annotations the values that cannot be labels; of these the label holds what it can."""
    labels, annotations = {}, {}
    for key, value in given.items():
        if _LABEL_VALUE.fullmatch(value):
            labels[key] = value
        else:
            labels[key] = _NO_LABEL_CHARACTERS.sub("-", value)[:63].strip("-_.")
            annotations[key] = value
    return labels, annotations


def own_labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that ``labels_and_annotations`` was given, of an object's metadata."""
    found = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return {
        key: value for key, value in found.items() if key.startswith(OWN_PREFIX) and key not in (NAME_LABEL, KEPT_LABEL)
    }


def _container(spec: ContainerSpec, settings: PodSettings, instance_file: str) -> dict[str, Any]:
    given = dict(settings.parts["container_config"])
    image = settings.image_of_step or spec.image or settings.image
    if not image:
        raise PodSettingsError([NO_IMAGE])
    mounts = [*given.pop("volumeMounts", []), *_instance_mount(settings, instance_file)]
    variables = {item["name"]: item for item in (*_variables_of(settings), *given.pop("env", []))}
    # What Orchord itself sets goes before all: without it, the container does not know what to run.
    variables |= {name: {"name": name, "value": value} for name, value in spec.environment.items()}
    policy = {"imagePullPolicy": "IfNotPresent"}
    return {
        **policy,
        **given,
        "name": CONTAINER,
        "image": image,
        # As arguments, so that the image's own entry point is kept.
        "args": list(spec.command),
        "env": list(variables.values()),
        **({"volumeMounts": mounts} if mounts else {}),
    }


def _variables_of(settings: PodSettings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if settings.home or settings.config_map:
        home = settings.home or DEFAULT_HOME
        found += [{"name": name, "value": home} for name in ("ORCHORD_HOME", "DAGSTER_HOME")]
    if settings.password_secret:
        source = {"secretKeyRef": {"name": settings.password_secret, "key": PASSWORD_KEY}}
        found.append({"name": PASSWORD_VARIABLE, "valueFrom": source})
    return found


def _instance_volume(settings: PodSettings) -> list[dict[str, Any]]:
    if not settings.config_map:
        return []
    return [{"name": INSTANCE_VOLUME, "configMap": {"name": settings.config_map}}]


def _instance_mount(settings: PodSettings, instance_file: str) -> list[dict[str, Any]]:
    """Mount the file alone: the home around it stays a folder that can be written to."""
    if not settings.config_map:
        return []
    path = f"{(settings.home or DEFAULT_HOME).rstrip('/')}/{instance_file}"
    return [{"name": INSTANCE_VOLUME, "mountPath": path, "subPath": instance_file, "readOnly": True}]


def op_names(labels: Mapping[str, str]) -> list[str]:
    """Return the names by which ``per_step_k8s_config`` may call a container's step; none for a run's container."""
    key = labels.get(STEP_LABEL)
    if key is None or RUN_LABEL not in labels:
        return []
    handle = key.partition("[")[0]
    return list(dict.fromkeys((handle.rpartition(".")[2], handle, key)))
