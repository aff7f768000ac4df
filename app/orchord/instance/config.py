"""The instance file: orchord.yaml (or dagster.yaml) as a checked value, with every mistake listed at once.

Where the database is, is read in storage_section.py; which classes plug-ins mean, in plugins.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchord.errors import InstanceConfigError, did_you_mean
from orchord.instance.plugins import CELERY_RUN_LAUNCHER, PluginSpec, parse_plugin
from orchord.instance.section_reader import read_section
from orchord.instance.sections import (
    DEFAULT_BROKER,
    CelerySettings,
    ConcurrencySettings,
    RetentionSettings,
    RunMonitoringSettings,
    RunRetrySettings,
    ScheduleSettings,
    TelemetrySettings,
    TickSettings,
)
from orchord.instance.storage_section import OLDER_SECTIONS, parse_storage
from orchord.settings import environment_value

INSTANCE_FILES = ("orchord.yaml", "dagster.yaml")

# Sections that Dagster's users have and that change nothing in this version, with what that means for them.
_WITHOUT_EFFECT: Mapping[str, str] = {
    "auto_materialize": "automation conditions are not evaluated",
    "backfills": "there are no backfills",
    "code_servers": "there are no code servers: workers hold the code",
    "defs_state_storage": "no state of definitions is kept",
    "freshness": "freshness is not evaluated",
    "instance_class": "the instance's class is always OrchordInstance",
    "nux": "there is no introduction to turn off",
    "python_logs": "records of Python's loggers are not captured",
    "secrets": "secrets come from the environment",
    "telemetry": "nothing is ever sent",
}
_LOCAL_COMPUTE_LOGS = ("LocalComputeLogManager", "orchord.compute_logs:LocalComputeLogManager")
_SECTIONS = (
    "storage",
    *OLDER_SECTIONS,
    "run_launcher",
    "run_coordinator",
    "compute_logs",
    "local_artifact_storage",
    "celery",
    "scheduler",
    "run_queue",
    "run_monitoring",
    "run_retries",
    "sensors",
    "schedules",
    "retention",
    "concurrency",
    *_WITHOUT_EFFECT,
)


class InstanceConfig(msgspec.Struct, frozen=True):
    """What the instance file says, with defaults. ``without_effect`` words the sections that change nothing.

    What the sections hold is told in sections.py. Addresses may hold passwords; ``repr`` does not show them.
    """

    storage_url: str
    artifact_folder: Path
    celery: CelerySettings
    run_launcher: PluginSpec
    run_coordinator: PluginSpec
    compute_logs: PluginSpec
    run_monitoring: RunMonitoringSettings = RunMonitoringSettings()
    run_retries: RunRetrySettings = RunRetrySettings()
    sensors: TickSettings = TickSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    concurrency: ConcurrencySettings = ConcurrencySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    storage_pool: dict[str, int] = {}
    without_effect: tuple[str, ...] = ()
    file: Path | None = None

    def __repr__(self) -> str:
        return f"InstanceConfig(file={self.file}, run_launcher={self.run_launcher.class_name})"

    @classmethod
    def default(cls, home: Path) -> InstanceConfig:
        """Return the config of a home without an instance file."""
        return cls.parse({}, home)

    @classmethod
    def read(cls, home: Path) -> InstanceConfig:
        """Read ``orchord.yaml``, or else ``dagster.yaml``, of a home; without either, the defaults.

        Raises:
            InstanceConfigError: the file cannot be read, or has mistakes; all of them are listed.
        """
        file = next((home / name for name in INSTANCE_FILES if (home / name).is_file()), None)
        if file is None:
            return cls.default(home)
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InstanceConfigError(f"{file} cannot be read", [f"no YAML: {' '.join(str(error).split())}"]) from error
        except OSError as error:
            raise InstanceConfigError(f"{file} cannot be read", [f"{error.strerror}."]) from error
        return cls.parse(document if document is not None else {}, home, file)

    @classmethod
    def parse(cls, document: Any, home: Path, file: Path | None = None) -> InstanceConfig:
        """Check a document that is already read.

        Raises:
            InstanceConfigError: it has mistakes; all of them are listed.
        """
        headline = f"{file or INSTANCE_FILES[0]} has mistakes"
        if not isinstance(document, dict):
            raise InstanceConfigError(headline, [f"found {type(document).__name__}, expected a mapping of sections."])
        mistakes: list[str] = []
        document = _with_environment(document, "", mistakes)
        mistakes += [
            f"unknown section '{key}'.{did_you_mean(str(key), _SECTIONS)}" for key in document if key not in _SECTIONS
        ]
        url, pool = parse_storage(document, home, mistakes)
        artifacts = _artifact_folder(document.get("local_artifact_storage"), home, mistakes)
        if "scheduler" in document:
            parse_plugin("scheduler", document["scheduler"], mistakes)
        config = cls(
            storage_url=url,
            artifact_folder=artifacts,
            celery=_celery(document.get("celery"), mistakes),
            run_launcher=_plugin(document, "run_launcher", ("CeleryRunLauncher", CELERY_RUN_LAUNCHER), mistakes),
            run_coordinator=_coordinator(document, mistakes),
            compute_logs=_plugin(document, "compute_logs", _LOCAL_COMPUTE_LOGS, mistakes),
            run_monitoring=read_section(
                "run_monitoring", document.get("run_monitoring"), RunMonitoringSettings, mistakes
            ),
            run_retries=read_section("run_retries", document.get("run_retries"), RunRetrySettings, mistakes),
            sensors=read_section("sensors", document.get("sensors"), TickSettings, mistakes),
            schedules=read_section("schedules", document.get("schedules"), ScheduleSettings, mistakes),
            telemetry=read_section("telemetry", document.get("telemetry"), TelemetrySettings, mistakes),
            storage_pool=pool,
            without_effect=tuple(f"{key}: {_WITHOUT_EFFECT[key]}" for key in document if key in _WITHOUT_EFFECT),
            file=file,
        )
        if mistakes:
            raise InstanceConfigError(headline, mistakes)
        return config


def _with_environment(value: Any, path: str, mistakes: list[str]) -> Any:
    """Return a document with every ``{env: NAME}`` replaced by that variable's value."""
    if isinstance(value, list):
        return [_with_environment(item, f"{path}[{number}]", mistakes) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if set(value) == {"env"} and isinstance(value["env"], str):
        found = environment_value(value["env"])
        if found is None:
            mistakes.append(f"{path}: the environment variable {value['env']} is not set.")
            return ""
        return found
    return {
        key: _with_environment(item, f"{path}.{key}" if path else str(key), mistakes) for key, item in value.items()
    }


def _plugin(document: Mapping[str, Any], section: str, default: tuple[str, str], mistakes: list[str]) -> PluginSpec:
    fallback = PluginSpec(section, *default)
    if section not in document:
        return fallback
    return parse_plugin(section, document[section], mistakes) or fallback


def _coordinator(document: Mapping[str, Any], mistakes: list[str]) -> PluginSpec:
    default = ("DefaultRunCoordinator", "orchord.instance.coordinators:DefaultRunCoordinator")
    spec = _plugin(document, "run_coordinator", default, mistakes)
    # A queue without any limit lets every run through at once: that is what the default coordinator does.
    limits = {"tag_concurrency_limits", "block_op_concurrency_limited_runs"} & spec.config.keys()
    if spec.class_name == "QueuedRunCoordinator" and spec.config.get("max_concurrent_runs") == -1 and not limits:
        return PluginSpec("run_coordinator", *default)
    return spec


def _artifact_folder(value: Any, home: Path, mistakes: list[str]) -> Path:
    if value is None:
        return home
    if isinstance(value, dict) and ("module" in value or "class" in value):
        value = value.get("config") or {}
    if not isinstance(value, dict) or not isinstance(value.get("base_dir"), str):
        mistakes.append("local_artifact_storage: expected a mapping with base_dir, a folder.")
        return home
    mistakes += [f"local_artifact_storage: unknown key '{key}'. Known: base_dir." for key in value if key != "base_dir"]
    return home / Path(value["base_dir"]).expanduser()


def _celery(value: Any, mistakes: list[str]) -> CelerySettings:
    section = read_section("celery", value, CelerySettings, mistakes)
    given = value if isinstance(value, dict) else {}
    for key in ("broker", "result_backend"):
        if key in given and not (isinstance(given[key], str) and "://" in given[key]):
            mistakes.append(f"celery.{key}: expected a URL such as {DEFAULT_BROKER}.")
    if given.get("result_backend") is None and not section.broker.startswith(("redis", "valkey", "sentinel")):
        mistakes.append("celery.result_backend: missing. With this broker, give a Redis or Valkey URL for chords.")
    return section
