"""The instance file: orchord.yaml (or dagster.yaml) as a checked value, with every mistake listed at once.

What its sections become is in sections.py; those with rules of their own are read in storage_section.py,
celery_section.py, concurrency_section.py and retention_section.py. Which classes plug-ins mean is plugins.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchord.errors import InstanceConfigError, did_you_mean
from orchord.instance.celery_section import parse_celery
from orchord.instance.concurrency_section import parse_concurrency
from orchord.instance.notices import SECTIONS_WITHOUT_EFFECT, notices_of
from orchord.instance.plugins import (
    CELERY_RUN_LAUNCHER,
    DAEMON_SCHEDULER,
    DEFAULT_RUN_COORDINATOR,
    QUEUED_RUN_COORDINATOR,
    PluginSpec,
    parse_plugin,
)
from orchord.instance.queue_section import parse_queue
from orchord.instance.retention_section import parse_retention
from orchord.instance.run_launchers import parse_run_launchers
from orchord.instance.section_reader import read_section, shown_value
from orchord.instance.sections import (
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

_CELERY_LAUNCHER = ("CeleryRunLauncher", CELERY_RUN_LAUNCHER)
_LOCAL_COMPUTE_LOGS = ("LocalComputeLogManager", "orchord.compute_logs:LocalComputeLogManager")
_SECTIONS = (
    "storage",
    *OLDER_SECTIONS,
    "run_launcher",
    "run_launchers",
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
    *SECTIONS_WITHOUT_EFFECT,
)

# Their keys are names that people choose: `env` is one of them, and {env: prod} there no reference to a variable.
_OF_CHOSEN_NAMES = frozenset({"annotations", "labels", "matchLabels", "match_labels", "nodeSelector", "node_selector"})


class InstanceConfig(msgspec.Struct, frozen=True):
    """What the instance file says, with defaults. ``without_effect`` words, in a line each, what changes nothing.

    What the sections hold is told in sections.py. Addresses may hold passwords; ``repr`` does not show them.
    """

    storage_url: str
    artifact_folder: Path
    celery: CelerySettings
    run_launcher: PluginSpec
    run_coordinator: PluginSpec
    compute_logs: PluginSpec
    run_launchers: dict[str, PluginSpec] = {}
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

    @property
    def tick_workers(self) -> int | None:
        """How many processes of a location evaluate ticks at all times; None: the file does not say."""
        return max(filter(None, (self.sensors.num_workers, self.schedules.num_workers)), default=None)

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
        # A section whose keys are all commented out is as good as none.
        document = {key: section for key, section in document.items() if section is not None}
        place = parse_storage(document, home, mistakes)
        launcher = _plugin(document, "run_launcher", _CELERY_LAUNCHER, mistakes)
        compute_logs = _plugin(document, "compute_logs", _LOCAL_COMPUTE_LOGS, mistakes)
        scheduler = parse_plugin("scheduler", document["scheduler"], mistakes) if "scheduler" in document else None
        coordinator = _coordinator(document, mistakes)
        concurrency = parse_concurrency(document, mistakes)
        _check_coordinator(coordinator, concurrency, mistakes, is_older="run_queue" in document)
        config = cls(
            storage_url=place.url,
            artifact_folder=_artifact_folder(document.get("local_artifact_storage"), home, mistakes),
            celery=parse_celery(document.get("celery"), mistakes),
            run_launcher=launcher,
            run_coordinator=coordinator,
            compute_logs=compute_logs,
            run_launchers=parse_run_launchers(document.get("run_launchers"), mistakes),
            run_monitoring=read_section(
                "run_monitoring", document.get("run_monitoring"), RunMonitoringSettings, mistakes
            ),
            run_retries=read_section("run_retries", document.get("run_retries"), RunRetrySettings, mistakes),
            sensors=read_section("sensors", document.get("sensors"), TickSettings, mistakes),
            schedules=_schedules(document.get("schedules"), scheduler, mistakes),
            retention=parse_retention(document.get("retention"), mistakes),
            concurrency=concurrency,
            telemetry=read_section("telemetry", document.get("telemetry"), TelemetrySettings, mistakes),
            storage_pool=place.pool,
            file=file,
        )
        if mistakes:
            raise InstanceConfigError(headline, mistakes)
        plugins = tuple(spec for spec in (launcher, config.run_coordinator, compute_logs, scheduler) if spec)
        return msgspec.structs.replace(config, without_effect=(*place.notices, *notices_of(document, plugins)))


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
    if set(value) == {"env"} and isinstance(value["env"], bool):
        mistakes.append(f"{path}: YAML reads the variable's name as {value['env']}. Put it in quotes.")
        return ""
    return {
        key: _section_with_environment(key, item, f"{path}.{key}" if path else str(key), mistakes)
        for key, item in value.items()
    }


def _section_with_environment(key: Any, value: Any, path: str, mistakes: list[str]) -> Any:
    if key in _OF_CHOSEN_NAMES and isinstance(value, dict):
        return {name: _with_environment(item, f"{path}.{name}", mistakes) for name, item in value.items()}
    return _with_environment(value, path, mistakes)


def _plugin(document: Mapping[str, Any], section: str, default: tuple[str, str], mistakes: list[str]) -> PluginSpec:
    fallback = PluginSpec(section, *default)
    if section not in document:
        return fallback
    return parse_plugin(section, document[section], mistakes) or fallback


def _coordinator(document: Mapping[str, Any], mistakes: list[str]) -> PluginSpec:
    queued = PluginSpec("run_coordinator", "QueuedRunCoordinator", QUEUED_RUN_COORDINATOR)
    if document.get("run_queue") is not None:
        config = document["run_queue"]
        if "run_coordinator" in document:
            mistakes.append("run_queue and run_coordinator are both given. Keep run_coordinator.")
        if not isinstance(config, dict):
            mistakes.append(f"run_queue: found {shown_value(config)}, expected a mapping.")
            return queued
        return msgspec.structs.replace(queued, config=config)
    limits = document.get("concurrency")
    if "run_coordinator" not in document and isinstance(limits, dict) and limits.get("runs") is not None:
        return queued
    return _plugin(document, "run_coordinator", ("DefaultRunCoordinator", DEFAULT_RUN_COORDINATOR), mistakes)


def _check_coordinator(
    spec: PluginSpec, concurrency: ConcurrencySettings, mistakes: list[str], *, is_older: bool
) -> None:
    """Check our own coordinators' config now, as they may be made late; one of the user's checks its own."""
    found: list[str] = []
    if spec.target == QUEUED_RUN_COORDINATOR:
        parse_queue(spec.config, concurrency, found)
    elif spec.target == DEFAULT_RUN_COORDINATOR:
        found += [f"run_coordinator.config: unknown key '{key}'. {spec.class_name} takes none." for key in spec.config]
    mistakes += [text.replace("run_coordinator.config", "run_queue", 1) if is_older else text for text in found]


def _schedules(value: Any, scheduler: PluginSpec | None, mistakes: list[str]) -> ScheduleSettings:
    settings = read_section("schedules", value, ScheduleSettings, mistakes)
    if scheduler is None or scheduler.target != DAEMON_SCHEDULER or not scheduler.config:
        return settings
    known = ("max_catchup_runs", "max_tick_retries")
    mistakes += [
        f"scheduler.config: unknown key '{key}'.{did_you_mean(key, known)}"
        for key in scheduler.config
        if key not in known
    ]
    given = {key: item for key, item in scheduler.config.items() if key in known}
    mistakes += [
        f"scheduler.config.{key} and schedules.{key} are both given. Keep the latter."
        for key in given
        if isinstance(value, dict) and key in value
    ]
    older = read_section("scheduler.config", given, ScheduleSettings, mistakes)
    return msgspec.structs.replace(settings, **{key: getattr(older, key) for key in given})


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
