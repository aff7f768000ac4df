"""The port of run coordinators: what decides when a recorded run goes to the run launcher.

Here are the port and the default, which waits for nothing. Launchers are launchers.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchord.errors import InstanceConfigError, did_you_mean
from orchord.instance.launchers import LaunchRunContext
from orchord.runs import RunStatus

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance


class RunCoordinator(ABC):
    """Decides when runs are launched.

    Args:
        instance: the instance that the coordinator belongs to.
        config: the ``config`` section of ``run_coordinator``. A class names the keys that it takes in ``config_keys``.
    """

    config_keys: frozenset[str] = frozenset()
    #: The status in which a run is recorded before ``submit_run`` is called.
    initial_status = RunStatus.STARTING

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        unknown = sorted(set(config) - self.config_keys)
        if unknown:
            mistakes = [f"unknown key '{key}'.{did_you_mean(key, self.config_keys)}" for key in unknown]
            raise InstanceConfigError(f"run_coordinator {type(self).__name__} cannot be configured", mistakes)
        self.instance = instance
        self.config = dict(config)

    @abstractmethod
    def submit_run(self, context: LaunchRunContext) -> None:
        """Take over a run that is recorded."""


class DefaultRunCoordinator(RunCoordinator):
    """Launches every run at once."""

    def submit_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the run launcher.

        Raises:
            BrokerUnavailableError: the launcher cannot hand it over.
        """
        self.instance.run_launcher.launch_run(context)
