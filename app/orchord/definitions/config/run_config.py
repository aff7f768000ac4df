"""RunConfig: the config of a whole run, written with Config classes and resources, and as plain data.

What config a job takes is job_config.py beside this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from orchord.definitions.config.config_class import Config
from orchord.definitions.config.env import env_references
from orchord.errors import InvalidConfigError


class RunConfig:
    """The config of a run.

    Args:
        ops: By op name: a Config object, or what run config holds there, such as ``{"config": {...}}``.
        resources: By resource key, in the same way.
        loggers: By logger name, in the same way.
        execution: The executor's part of run config.
    """

    def __init__(
        self,
        ops: Mapping[str, Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        loggers: Mapping[str, Any] | None = None,
        execution: Mapping[str, Any] | None = None,
    ) -> None:
        self.ops = dict(ops or {})
        self.resources = dict(resources or {})
        self.loggers = dict(loggers or {})
        self.execution = dict(execution or {})

    def to_config_dict(self) -> dict[str, Any]:
        """Return the run config as plain data, with EnvVars as ``{"env": NAME}``."""
        return {
            "loggers": _entries(self.loggers),
            "resources": _entries(self.resources),
            "ops": _entries(self.ops),
            "execution": _plain(self.execution),
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunConfig) and self.to_config_dict() == other.to_config_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = {name: value for name, value in self.to_config_dict().items() if value}
        return f"RunConfig({', '.join(f'{name}={value!r}' for name, value in parts.items())})"


def as_run_config(value: Any) -> dict[str, Any]:
    """Return run config given as a dict, a RunConfig or None as plain data.

    Raises:
        InvalidConfigError: it is something else.
    """
    if value is None:
        return {}
    if isinstance(value, RunConfig):
        return value.to_config_dict()
    if isinstance(value, Mapping):
        plain: dict[str, Any] = _plain({key: _section(key, item) for key, item in value.items()})
        return plain
    raise InvalidConfigError(
        "Run config cannot be read", [f"found {value!r} ({type(value).__name__}), expected a dict or RunConfig."]
    )


def laid_over(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return run config with what it does not say taken from a job's own.

    As in Dagster, one or the other stands for each op, resource, logger and input as a whole: an op for which
    something is given has nothing of its default config. ``execution`` alike.

    Args:
        default: The job's own run config, as plain data.
        given: What is given for one run, as plain data.
    """
    result = dict(default)
    for name, value in given.items():
        below = result.get(name)
        result[name] = {**below, **value} if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _section(name: Any, value: Any) -> Any:
    return _entries(value) if name in ("ops", "resources", "loggers") and isinstance(value, Mapping) else value


def _entries(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _entry(value) for name, value in section.items()}


def _entry(value: Any) -> Any:
    """One op's entry; a nested graph's has entries under ``ops``."""
    if isinstance(value, BaseModel):
        return {"config": _plain(value)}
    if isinstance(value, Mapping):
        return {key: _section(key, item) if key == "ops" else _plain(item) for key, item in value.items()}
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_config_dict()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return env_references(value)
