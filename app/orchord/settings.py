"""The process's environment, read here and nowhere else.

``Settings.from_environment()`` is called once by each program's ``main()``; what EnvVar resolves goes through
``environment_value``. Config files are read in instance/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What the environment says: where the instance lives, and nothing secret."""

    home: Path
    home_is_given: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``ORCHORD_HOME`` (default ``~/.orchord``; ``DAGSTER_HOME`` is read when the former is absent)."""
        source = os.environ if environment is None else environment
        given = source.get("ORCHORD_HOME") or source.get("DAGSTER_HOME")
        home = Path(given).expanduser() if given else Path.home() / ".orchord"
        return cls(home=home.absolute(), home_is_given=bool(given))


def current_image() -> str | None:
    """Return the image that this process runs in, if it was told: ``ORCHORD_CURRENT_IMAGE``, or Dagster's variable."""
    return os.environ.get("ORCHORD_CURRENT_IMAGE") or os.environ.get("DAGSTER_CURRENT_IMAGE")


def environment_value(name: str) -> str | None:
    """Return the value of an environment variable, or None when it is not set."""
    return os.environ.get(name)


def child_environment(**additions: str) -> dict[str, str]:
    """Return this process's environment with additions, to start a child process with."""
    return {**os.environ, **additions}
