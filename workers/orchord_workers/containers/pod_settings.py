"""Settings of a Job and its pod: Dagster's keys in layers (launcher, executor, tags), checked and merged to one.

Mappings are merged deeply and lists are joined, the stronger layer last; single values are the strongest layer's. The
manifest that comes of it is pod_manifest.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchord.spi import did_you_mean, environment_value
from orchord_workers.containers.kubernetes_fields import api_names, named_as_api

# The raw parts of a manifest, and which model each is.
RAW_PARTS: Mapping[str, str] = {
    "container_config": "V1Container",
    "pod_spec_config": "V1PodSpec",
    "pod_template_spec_metadata": "V1ObjectMeta",
    "job_metadata": "V1ObjectMeta",
    "job_spec_config": "V1JobSpec",
    "job_config": "V1Job",
}
MERGE_KEY = "merge_behavior"
# Of what serves code in Dagster, and has no counterpart here.
_OF_SERVERS = frozenset({"deployment_metadata", "service_metadata", "service_spec_config"})

# Keys that hold raw parts.
_RAW_KEYS = ("run_k8s_config", "step_k8s_config")
_ALLOWED_FIELDS = "only_allow_user_defined_k8s_config_fields"
_OF_LAUNCHERS = ("instance_config_map", "postgres_password_secret", "dagster_home", "orchord_home")
# What a layer may hold beside the raw parts: the keys of launchers, of executors, and what these say to others.
_PLAIN_KEYS = frozenset(
    {
        *_RAW_KEYS,
        *_OF_LAUNCHERS,
        *("env", "env_config_maps", "env_secrets", "env_vars", "image", "image_pull_policy", "image_pull_secrets"),
        *("job_image", "job_namespace", "labels", "namespace", "per_step_k8s_config", "resources", "scheduler_name"),
        *("security_context", "service_account_name", "volume_mounts", "volumes"),
    }
)
_OF_OTHERS = frozenset(
    {
        _ALLOWED_FIELDS,
        *("backend", "broker", "config_source", "enable_owner_references", "fail_pod_on_run_failure", "include"),
        *("job_wait_timeout", "k8s_api_ssl_ca_cert_file", "kubeconfig_file", "load_incluster_config", "max_concurrent"),
        *("only_allow_user_defined_env_vars", "priority", "repo_location_name", "retries", "step_dependency_config"),
        "tag_concurrency_limits",
    }
)
# Lists that replace each other: joined, they would be no command.
_REPLACED_LISTS = frozenset({"command", "args"})

DEFAULT_NAMESPACE = "default"
DEFAULT_HOME = "/opt/dagster/dagster_home"
# The key of `postgres_password_secret`, and the variable that it becomes: Helm charts in the field set them so.
PASSWORD_KEY = "postgresql-password"
PASSWORD_VARIABLE = "DAGSTER_PG_PASSWORD"


class PodSettingsError(Exception):
    """Settings that cannot be used. ``mistakes``: all of them."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(f"{number}. {text}" for number, text in enumerate(mistakes, 1)))
        self.mistakes = tuple(mistakes)


@dataclass
class PodSettings:
    """What the layers say together; ``parts`` by the names of RAW_PARTS, in the API's spelling.

    Attributes:
        image: of the strongest layer that names one.
        image_of_step: what ``per_step_k8s_config`` names for this step; stronger than any tag.
        discarded_variables: variables that a layer gave and that the launcher does not allow.
    """

    namespace: str = DEFAULT_NAMESPACE
    home: str | None = None
    config_map: str | None = None
    password_secret: str | None = None
    image: str | None = None
    image_of_step: str | None = None
    parts: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in RAW_PARTS})
    discarded_variables: list[str] = field(default_factory=list)


def merged_settings(layers: Sequence[Mapping[str, Any]], op_names: Sequence[str] = ()) -> PodSettings:
    """Return what layers of settings say together, the strongest last.

    Args:
        layers: settings by Dagster's keys: of a launcher, of an executor, or of a tag.
        op_names: the names by which ``per_step_k8s_config`` may call the step; empty for a run.

    Raises:
        PodSettingsError: with every mistake.
    """
    merged, mistakes = PodSettings(), list[str]()
    allowed: _Allowed | None = None
    overrides: list[Mapping[str, Any]] = []
    for layer in layers:
        own = _Layer(layer, mistakes)
        if allowed is not None:
            allowed.check(own, mistakes, merged.discarded_variables)
        own.onto(merged)
        # The first that says it is the launcher: what stands above it may not loosen that.
        allowed = allowed or _Allowed.of(layer, mistakes)
        per_step = layer.get("per_step_k8s_config") or {}
        overrides += [per_step[name] for name in op_names if name in per_step]
    # Dagster's order: what a run's config says of one op is stronger than the op's own tag.
    for override in overrides:
        own = _Layer(override, mistakes)
        if allowed is not None:
            allowed.check(own, mistakes, merged.discarded_variables)
        own.onto(merged)
        merged.image_of_step = own.image or merged.image_of_step
    if mistakes:
        raise PodSettingsError(mistakes)
    return merged


class _Layer:
    """One layer, in parts."""

    def __init__(self, layer: Mapping[str, Any], mistakes: list[str]) -> None:
        self.layer = layer
        known = (*_PLAIN_KEYS, *RAW_PARTS, MERGE_KEY)
        unknown = [key for key in layer if key not in known and key not in _OF_OTHERS]
        mistakes += [f"unknown key '{key}'.{did_you_mean(str(key), known)}" for key in unknown]
        self.namespace = layer.get("job_namespace") or layer.get("namespace")
        self.image = layer.get("job_image") or layer.get("image")
        plain = {name: _named(name, part, "", mistakes) for name, part in _plain_parts(layer, mistakes).items()}
        self.steps = [(plain, True)]
        raws = [layer[key] for key in _RAW_KEYS if layer.get(key)]
        if any(name in layer for name in RAW_PARTS):
            raws.append({key: layer[key] for key in (*RAW_PARTS, MERGE_KEY) if key in layer})
        for raw in raws:
            unknown = [key for key in raw if key not in (*RAW_PARTS, MERGE_KEY, *_OF_SERVERS)]
            mistakes += [f"unknown key '{key}'.{did_you_mean(str(key), (*RAW_PARTS, MERGE_KEY))}" for key in unknown]
            behavior = raw.get(MERGE_KEY, "DEEP")
            if behavior not in ("DEEP", "SHALLOW"):
                mistakes.append(f"{MERGE_KEY}: found {behavior!r}, expected DEEP or SHALLOW.")
            named = {name: _named(name, raw[name], name, mistakes) for name in RAW_PARTS if raw.get(name)}
            self.image = named.get("container_config", {}).get("image") or self.image
            self.steps.append((named, behavior != "SHALLOW"))
        for parts, _ in self.steps:
            _check_variables(parts.get("container_config", {}), mistakes)

    def onto(self, merged: PodSettings) -> None:
        layer = self.layer
        merged.namespace = self.namespace or merged.namespace
        merged.image = self.image or merged.image
        merged.config_map = layer.get("instance_config_map") or merged.config_map
        merged.password_secret = layer.get("postgres_password_secret") or merged.password_secret
        merged.home = layer.get("dagster_home") or layer.get("orchord_home") or merged.home
        for parts, is_deep in self.steps:
            for name, part in parts.items():
                old = merged.parts[name]
                merged.parts[name] = deeply_merged(old, part) if is_deep else {**old, **part}


@dataclass(frozen=True)
class _Allowed:
    """What layers above the launcher's may set. None: anything; of ``fields``, by part, the keys."""

    fields: Mapping[str, set[str]] | None
    namespace: bool
    variables: frozenset[str] | None

    @classmethod
    def of(cls, layer: Mapping[str, Any], mistakes: list[str]) -> _Allowed | None:
        given = layer.get(_ALLOWED_FIELDS)
        variables = layer.get("only_allow_user_defined_env_vars")
        if given is None and variables is None:
            return None
        fields: dict[str, set[str]] | None = None
        if given is not None:
            fields = {
                name: api_names(model, [key for key, is_on in given[name].items() if is_on], name, mistakes)
                for name, model in RAW_PARTS.items()
                if name in given
            }
        is_free = given is None or bool(given.get("namespace"))
        return cls(fields, is_free, None if variables is None else frozenset(variables))

    def check(self, layer: _Layer, mistakes: list[str], discarded: list[str]) -> None:
        """Add what a layer may not set, and take away the variables that it may not."""
        refused = []
        for parts, _ in layer.steps:
            if self.variables is not None and (given := parts.get("container_config", {}).get("env")):
                discarded += [item["name"] for item in given if item["name"] not in self.variables]
                parts["container_config"]["env"] = [item for item in given if item["name"] in self.variables]
            if self.fields is not None:
                for name, part in parts.items():
                    refused += [f"{name}.{key}" for key in part if key not in self.fields.get(name, ())]
        if self.fields is not None:
            refused += [key for key in _OF_LAUNCHERS if layer.layer.get(key)]
        if not self.namespace and layer.namespace:
            refused.append("the namespace")
        mistakes += [
            f"{name} may not be set here: the launcher's {_ALLOWED_FIELDS} does not list it." for name in refused
        ]


def _plain_parts(layer: Mapping[str, Any], mistakes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the parts that a layer's plain keys mean."""
    container: dict[str, Any] = {
        key: layer[key]
        for key in ("volume_mounts", "resources", "image_pull_policy", "security_context")
        if layer.get(key)
    }
    pod: dict[str, Any] = {
        key: layer[key]
        for key in ("image_pull_secrets", "volumes", "service_account_name", "scheduler_name")
        if layer.get(key)
    }
    sources = [{"config_map_ref": {"name": name}} for name in layer.get("env_config_maps") or ()]
    sources += [{"secret_ref": {"name": name}} for name in layer.get("env_secrets") or ()]
    if sources:
        container["env_from"] = sources
    variables = [*_variables(layer.get("env_vars") or (), mistakes), *(layer.get("env") or ())]
    if variables:
        container["env"] = variables
    parts = {"container_config": container, "pod_spec_config": pod}
    if layer.get("labels"):
        parts |= {"job_metadata": {"labels": layer["labels"]}}
        parts |= {"pod_template_spec_metadata": {"labels": layer["labels"]}}
    return {name: part for name, part in parts.items() if part}


def _check_variables(container: dict[str, Any], mistakes: list[str]) -> None:
    """Leave out variables without a name: by it they are told apart."""
    given = container.get("env") or []
    nameless = [number for number, item in enumerate(given) if not item.get("name")]
    mistakes += [f"container_config.env[{number}]: no name is given." for number in nameless]
    if nameless:
        container["env"] = [item for item in given if item.get("name")]


def _variables(given: Sequence[str], mistakes: list[str]) -> Iterator[dict[str, str]]:
    """Yield ``NAME=value`` as it is, and ``NAME`` with the value that it has in the launcher worker."""
    for item in given:
        name, is_set, value = str(item).partition("=")
        if is_set:
            yield {"name": name, "value": value}
            continue
        found = environment_value(name)
        if found is None:
            mistakes.append(f"env_vars: the variable {name} is not set where `orchord launcher` runs.")
        else:
            yield {"name": name, "value": found}


def _named(name: str, part: Any, path: str, mistakes: list[str]) -> dict[str, Any]:
    return named_as_api(RAW_PARTS[name], part, path or "config", mistakes)


def deeply_merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` with ``new`` laid over it: mappings merged, lists joined without doubles, the rest replaced."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            merged[key] = deeply_merged(before, value)
        elif isinstance(value, list) and isinstance(before, list) and key not in _REPLACED_LISTS:
            merged[key] = [*before, *(item for item in value if item not in before)]
        else:
            merged[key] = value
    return merged
