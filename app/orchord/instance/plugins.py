"""Plug-ins named in the instance file: which class a ``{module, class, config}`` means, and loading it.

Dagster's own modules are understood: a class of theirs means ours of the same name.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from orchord.errors import InstanceConfigError, did_you_mean

T = TypeVar("T")

CELERY_RUN_LAUNCHER = "orchord_workers.launcher:CeleryRunLauncher"
DEFAULT_RUN_COORDINATOR = "orchord.instance.coordinators:DefaultRunCoordinator"
QUEUED_RUN_COORDINATOR = "orchord.instance.coordinators:QueuedRunCoordinator"
LIVE_PAGES = "orchord_workers.live_pages:RedisLivePages"
DAEMON_SCHEDULER = "orchord_beat.scheduler:OrchordScheduler"

# Dagster's and our class names, by section of the instance file.
KNOWN_CLASSES: Mapping[str, Mapping[str, str]] = {
    "run_launcher": {
        "CeleryRunLauncher": CELERY_RUN_LAUNCHER,
        "CeleryK8sRunLauncher": "orchord_workers.launchers.kubernetes:CeleryK8sRunLauncher",
        "DefaultRunLauncher": "orchord_workers.launchers.local:DefaultRunLauncher",
        "DockerRunLauncher": "orchord_workers.launchers.docker:DockerRunLauncher",
        "EcsRunLauncher": "orchord_workers.launchers.ecs:EcsRunLauncher",
        "K8sRunLauncher": "orchord_workers.launchers.kubernetes:K8sRunLauncher",
    },
    "run_coordinator": {
        "DefaultRunCoordinator": DEFAULT_RUN_COORDINATOR,
        "QueuedRunCoordinator": QUEUED_RUN_COORDINATOR,
    },
    "compute_logs": {
        "LocalComputeLogManager": "orchord.compute_logs:LocalComputeLogManager",
        "NoOpComputeLogManager": "orchord.compute_logs:NoOpComputeLogManager",
        "AzureBlobComputeLogManager": "orchord.compute_logs.azure:AzureBlobComputeLogManager",
        "AzureComputeLogManager": "orchord.compute_logs.azure:AzureComputeLogManager",
        "GCSComputeLogManager": "orchord.compute_logs.gcs:GCSComputeLogManager",
        "S3ComputeLogManager": "orchord.compute_logs.s3:S3ComputeLogManager",
    },
    # Never loaded by this name: the daemon is the scheduler, and only the config is read.
    "scheduler": {"DagsterDaemonScheduler": DAEMON_SCHEDULER, "OrchordDaemonScheduler": DAEMON_SCHEDULER},
}


class PluginSpec(msgspec.Struct, frozen=True):
    """One plug-in as the instance file names it. ``target`` is ``module:Class``."""

    section: str
    class_name: str
    target: str
    config: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"PluginSpec({self.section}: {self.class_name}, config keys {sorted(self.config)})"


def parse_plugin(section: str, value: Any, mistakes: list[str], *, path: str | None = None) -> PluginSpec | None:
    """Read one ``{module, class, config}``; what is wrong is added to ``mistakes``. ``path`` is where it stands."""
    where = path or section
    if not isinstance(value, dict):
        mistakes.append(f"{where}: found {value!r}, expected a mapping with module, class and config.")
        return None
    unknown = [key for key in value if key not in ("module", "class", "config")]
    mistakes += [
        f"{where}: unknown key '{key}'.{did_you_mean(str(key), ('module', 'class', 'config'))}" for key in unknown
    ]
    module, class_name, config = value.get("module"), value.get("class"), value.get("config") or {}
    if not isinstance(module, str) or not isinstance(class_name, str):
        mistakes.append(f"{where}: module and class must both be given as text.")
        return None
    if not isinstance(config, dict):
        mistakes.append(f"{where}.config: found {config!r}, expected a mapping.")
        return None
    root = module.partition(".")[0]
    if root != "orchord" and not root.startswith("dagster"):
        return PluginSpec(section, class_name, f"{module}:{class_name}", config)
    known = KNOWN_CLASSES[section]
    if class_name in known:
        return PluginSpec(section, class_name, known[class_name], config)
    if root == "orchord" and module != "orchord":
        return PluginSpec(section, class_name, f"{module}:{class_name}", config)
    hint = did_you_mean(class_name, known)
    mistakes.append(f"{where}: no class '{class_name}' of module '{module}' is known.{hint}")
    return None


def load_class(spec: PluginSpec, port: type[T]) -> type[T]:
    """Import the class that a section names.

    Raises:
        InstanceConfigError: it cannot be imported, or does not implement the port.
    """
    module_name, _, class_name = spec.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InstanceConfigError(
            f"{spec.section} cannot be loaded",
            [f"module '{module_name}' cannot be imported: {error}. Install it, or correct its name."],
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        hint = did_you_mean(class_name, (name for name, item in vars(module).items() if inspect.isclass(item)))
        raise InstanceConfigError(
            f"{spec.section} cannot be loaded", [f"module '{module_name}' has no class '{class_name}'.{hint}"]
        )
    if not (inspect.isclass(found) and issubclass(found, port)):
        raise InstanceConfigError(
            f"{spec.section} cannot be used", [f"{spec.target} is no {port.__name__}. Name a class that extends it."]
        )
    return found


def constructed(spec: PluginSpec, cls: type[T]) -> T:
    """Make an object of a class whose constructor's parameters are its config keys.

    Raises:
        InstanceConfigError: keys that it does not take, or keys that it needs and that are not given.
    """
    parameters = inspect.signature(cls).parameters
    needed = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    mistakes = [
        f"unknown key '{key}'.{did_you_mean(key, parameters)}"
        for key in spec.config
        if key not in parameters and not takes_any
    ]
    mistakes += [f"the key '{name}' is missing." for name in needed if name not in spec.config]
    if mistakes:
        raise InstanceConfigError(f"{spec.section} {spec.class_name} cannot be configured", mistakes)
    return cls(**spec.config)
