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
from orchord.instance.storage_section import OLDER_SECTIONS, parse_storage
from orchord.settings import environment_value

INSTANCE_FILES = ("orchord.yaml", "dagster.yaml")
DEFAULT_BROKER = "redis://127.0.0.1:6379/0"

# Sections that Dagster's users have and that change nothing in this version, with what that means for them.
_WITHOUT_EFFECT: Mapping[str, str] = {
    "auto_materialize": "automation conditions are not evaluated",
    "backfills": "there are no backfills",
    "code_servers": "there are no code servers: workers hold the code",
    "concurrency": "runs and pools are not limited",
    "defs_state_storage": "no state of definitions is kept",
    "freshness": "freshness is not evaluated",
    "instance_class": "the instance's class is always OrchordInstance",
    "nux": "there is no introduction to turn off",
    "python_logs": "records of Python's loggers are not captured",
    "retention": "nothing is removed by age",
    "run_monitoring": "the daemon watches over runs by rules of its own",
    "run_queue": "runs are launched at once",
    "run_retries": "runs are not retried as a whole",
    "schedules": "schedules do not run",
    "secrets": "secrets come from the environment",
    "sensors": "sensors do not run",
    "telemetry": "nothing is ever sent",
}
_CELERY_KEYS = ("broker", "result_backend", "worker_concurrency", "visibility_timeout_seconds")
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
    *_WITHOUT_EFFECT,
)


class InstanceConfig(msgspec.Struct, frozen=True):
    """What the instance file says, with defaults. ``without_effect`` words the sections that change nothing.

    ``celery`` holds ``broker``, ``result_backend`` and, when given, ``worker_concurrency`` and
    ``visibility_timeout_seconds``. Addresses may hold passwords; ``repr`` does not show them.
    """

    storage_url: str
    artifact_folder: Path
    celery: dict[str, Any]
    run_launcher: PluginSpec
    run_coordinator: PluginSpec
    compute_logs: PluginSpec
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


def _celery(value: Any, mistakes: list[str]) -> dict[str, Any]:
    section = value if value is not None else {}
    if not isinstance(section, dict):
        mistakes.append(f"celery: found {section!r}, expected a mapping.")
        section = {}
    mistakes += [
        f"celery: unknown key '{key}'.{did_you_mean(str(key), _CELERY_KEYS)}"
        for key in section
        if key not in _CELERY_KEYS
    ]
    for key in ("broker", "result_backend"):
        if key in section and not (isinstance(section[key], str) and "://" in section[key]):
            mistakes.append(f"celery.{key}: expected a URL such as {DEFAULT_BROKER}.")
    for key in ("worker_concurrency", "visibility_timeout_seconds"):
        number = section.get(key, 1)
        if isinstance(number, str) and number.isdecimal():  # from an environment variable
            section = {**section, key: int(number)}
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            mistakes.append(f"celery.{key}: found {number!r}, expected a whole number above 0.")
    broker = str(section.get("broker", DEFAULT_BROKER))
    if "result_backend" not in section and not broker.startswith(("redis", "valkey", "sentinel")):
        mistakes.append("celery.result_backend: missing. With this broker, give a Redis or Valkey URL for chords.")
    return {"result_backend": broker, **section, "broker": broker}
