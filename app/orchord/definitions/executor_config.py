"""What the config of each executor that comes with Orchord holds: the keys of its counterpart in Dagster.

The executors themselves are executors.py. What the keys of containers and pods do is orchord_workers' launching.
"""

from __future__ import annotations

from typing import Any

from orchord.definitions.config.schema import (
    Array,
    Enum,
    EnumValue,
    Field,
    Map,
    Noneable,
    Permissive,
    ScalarUnion,
    Selector,
    Shape,
)
from orchord.definitions.config.schema import StringSource as Source

RETRIES: dict[str, Any] = {
    "retries": Field(
        Selector({"enabled": Field({}, default_value={}), "disabled": Field({}, default_value={})}),
        is_required=False,
        description="Whether the retry policies of ops apply, and RetryRequested is heeded.",
    ),
}
CONCURRENCY: dict[str, Any] = {
    "max_concurrent": Field(
        Noneable(int),
        is_required=False,
        description="How many steps of the run may run at once; None: no limit (processes: one per processor).",
    ),
    "tag_concurrency_limits": Field(
        Noneable(
            Array(
                Shape(
                    {
                        "key": Field(str, description="The tag of ops that counts."),
                        "value": Field(
                            ScalarUnion(str, Shape({"applyLimitPerUniqueValue": Field(bool)})),
                            is_required=False,
                            description="The value that counts; left out: any. applyLimitPerUniqueValue: each value "
                            "has the limit for itself.",
                        ),
                        "limit": Field(int, description="How many such steps may run at once."),
                    }
                )
            )
        ),
        is_required=False,
        description="How many steps with a tag may run at once.",
    ),
}

IN_PROCESS: dict[str, Any] = {**RETRIES}
MULTIPROCESS: dict[str, Any] = {
    **RETRIES,
    **CONCURRENCY,
    "start_method": Field(
        Selector(
            {
                "forkserver": Field(
                    {"preload_modules": Field([str], is_required=False, description="Modules to load before forks.")},
                    description="A template process that has loaded the code, and forks for each step. The default.",
                ),
                "spawn": Field({}, description="A new interpreter for each step."),
                "fork": Field({}, description="The run's own process forks for each step."),
            }
        ),
        is_required=False,
        description="How the processes of steps are started.",
    ),
}
# At most one of the two; neither leaves it to the run launcher.
UNIT_FORMS: dict[str, Any] = {
    "in_process": Field(IN_PROCESS, is_required=False, description="Steps run one after another in one process."),
    "multiprocess": Field(
        MULTIPROCESS, is_required=False, description="Steps run in parallel, each in a process of its own."
    ),
}

_NOT_HERE = "Accepted, and without effect: the instance file says it for all runs (celery)."
CELERY: dict[str, Any] = {
    **RETRIES,
    "broker": Field(Noneable(Source), is_required=False, description=_NOT_HERE),
    "backend": Field(Noneable(Source), is_required=False, description=_NOT_HERE),
    "include": Field([str], is_required=False, description=_NOT_HERE),
    "config_source": Field(Noneable(Permissive()), is_required=False, description=_NOT_HERE),
    "priority": Field(Noneable(int), is_required=False, description="Accepted, and without effect: tags say it."),
}

_IMAGE = "The image; left out: the run launcher's, or else the code location's."
_VARIABLES = "NAME=value, or NAME to pass on the launcher worker's variable."
_REGISTRY = Field(
    Noneable({"url": Source, "username": Source, "password": Field(Source, is_secret=True)}),
    is_required=False,
    description="Where images are pulled from, if not from Docker Hub.",
)
_DOCKER_SETTINGS: dict[str, Any] = {
    "image": Field(Noneable(Source), is_required=False, description=_IMAGE),
    "registry": _REGISTRY,
    "env_vars": Field([str], is_required=False, description=_VARIABLES),
    "network": Field(Noneable(Source), is_required=False, description="The network that containers join."),
    "networks": Field([Source], is_required=False, description="The networks that containers join."),
    "container_kwargs": Field(
        Permissive(),
        is_required=False,
        description="Passed to docker's containers.create: mem_limit, volumes, auto_remove and the like.",
    ),
}
DOCKER: dict[str, Any] = {**_DOCKER_SETTINGS, **RETRIES, **CONCURRENCY}
CELERY_DOCKER: dict[str, Any] = {**CELERY, "docker": Field(_DOCKER_SETTINGS, default_value={})}

_K8S_OBJECTS = Array(Permissive())
K8S_CONFIG: dict[str, Any] = {
    "container_config": Field(Permissive(), is_required=False, description="Of the container."),
    "pod_template_spec_metadata": Field(Permissive(), is_required=False, description="Metadata of the pod."),
    "pod_spec_config": Field(Permissive(), is_required=False, description="Of the pod's spec."),
    "job_config": Field(Permissive(), is_required=False, description="Of the Job."),
    "job_metadata": Field(Permissive(), is_required=False, description="Metadata of the Job."),
    "job_spec_config": Field(Permissive(), is_required=False, description="Of the Job's spec."),
    "deployment_metadata": Field(Permissive(), is_required=False, description="Accepted, and without effect."),
    "service_metadata": Field(Permissive(), is_required=False, description="Accepted, and without effect."),
    "merge_behavior": Field(
        Enum("MergeBehavior", [EnumValue("DEEP"), EnumValue("SHALLOW")]),
        is_required=False,
        description="Whether lists and nested mappings are joined with what stands below (DEEP) or replace it.",
    ),
}
_K8S_SETTINGS: dict[str, Any] = {
    "job_image": Field(Noneable(Source), is_required=False, description=_IMAGE),
    "image_pull_policy": Field(Noneable(Source), is_required=False, description="Always, IfNotPresent or Never."),
    "image_pull_secrets": Field(
        Noneable(Array(Shape({"name": Source}))), is_required=False, description="Secrets to pull the image with."
    ),
    "service_account_name": Field(Noneable(Source), is_required=False, description="The pods' service account."),
    "env_config_maps": Field(
        Noneable(Array(Source)), is_required=False, description="ConfigMaps whose keys become variables."
    ),
    "env_secrets": Field(
        Noneable(Array(Source)), is_required=False, description="Secrets whose keys become variables."
    ),
    "env_vars": Field(Noneable(Array(str)), is_required=False, description=_VARIABLES),
    "volumes": Field(_K8S_OBJECTS, is_required=False, description="Volumes of the pods."),
    "volume_mounts": Field(_K8S_OBJECTS, is_required=False, description="Where the volumes are mounted."),
    "labels": Field(Map(str, str), is_required=False, description="Labels of the Jobs and their pods."),
    "resources": Field(Noneable(Permissive()), is_required=False, description="Requests and limits of the containers."),
    "scheduler_name": Field(Noneable(Source), is_required=False, description="Who puts the pods on nodes."),
    "security_context": Field(Noneable(Permissive()), is_required=False, description="Of the containers."),
    "job_namespace": Field(Noneable(Source), is_required=False, description="The namespace of the Jobs."),
    "load_incluster_config": Field(
        bool, is_required=False, description="Whether the cluster is the one that the launcher worker is in."
    ),
    "kubeconfig_file": Field(Noneable(Source), is_required=False, description="Where the cluster is told otherwise."),
    "per_step_k8s_config": Field(
        Map(str, Shape(K8S_CONFIG), key_label_name="step_name"),
        is_required=False,
        description="Parts of the manifests, by step key.",
    ),
    "step_k8s_config": Field(K8S_CONFIG, is_required=False, description="Parts of the manifests of all steps."),
}
K8S_JOB: dict[str, Any] = {**_K8S_SETTINGS, **RETRIES, **CONCURRENCY}
CELERY_K8S_JOB: dict[str, Any] = {
    **CELERY,
    **_K8S_SETTINGS,
    "repo_location_name": Field(Noneable(Source), is_required=False, description="Accepted, and without effect."),
    "job_wait_timeout": Field(float, is_required=False, description="Accepted, and without effect: nothing waits."),
}
