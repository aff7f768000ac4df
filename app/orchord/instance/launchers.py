"""The port of run launchers: how a recorded run is handed to who carries it out, stopped, and waited for.

The default implementation lives in the workers' package and is loaded by its name (plugins.py).
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchord.errors import InstanceConfigError, did_you_mean
from orchord.plan.model import ExecutionPlan
from orchord.plan.places import Place
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance

FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class LaunchRunContext:
    """What a launcher needs: the run as it is recorded, the plan cut down to its selection, and the instance."""

    run: Run
    plan: ExecutionPlan
    instance: OrchordInstance


class RunWatch(ABC):
    """One registered interest in the end of a run."""

    @abstractmethod
    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the run's end; return whether it has ended. May be called again."""


class RunLauncher(ABC):
    """Hands runs to who carries them out.

    Args:
        instance: the instance that the launcher belongs to.
        config: the ``config`` section of ``run_launcher``. A class names the keys that it takes in ``config_keys``.
    """

    config_keys: frozenset[str] = frozenset()
    #: Where it carries out a run that is one unit of work.
    place: Place = Place.WORKER
    #: Whether the result backend shows what steps print while they run.
    shows_live_logs: bool = True
    #: The courier that goes with this launcher, as ``module:Class``.
    courier = "orchord_workers.courier:CeleryCourier"

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        unknown = sorted(set(config) - self.config_keys)
        if unknown:
            mistakes = [f"unknown key '{key}'.{did_you_mean(key, self.config_keys)}" for key in unknown]
            raise InstanceConfigError(f"run_launcher {type(self).__name__} cannot be configured", mistakes)
        self.instance = instance
        self.config = dict(config)

    @abstractmethod
    def launch_run(self, context: LaunchRunContext) -> None:
        """Start carrying out a run whose status is STARTING.

        Raises:
            BrokerUnavailableError: it cannot be handed over; the caller ends the run as failed.
        """

    @abstractmethod
    def terminate(self, run_id: str) -> bool:
        """Interrupt what runs of a run that is being canceled; return whether there was anything to interrupt."""

    def watch(self, run_id: str) -> AbstractContextManager[RunWatch]:
        """Return a context that watches for a run's end. Enter it before launching, and no end is missed."""
        return _polling(self.instance, run_id)

    def check(self) -> None:  # noqa: B027  # a launcher without a broker has nothing to check
        """Check that runs could be handed over now.

        Raises:
            BrokerUnavailableError: they could not.
        """

    def dispose(self) -> None:  # noqa: B027  # nor to give back
        """Give back connections and threads."""


@contextmanager
def _polling(instance: OrchordInstance, run_id: str) -> Iterator[RunWatch]:
    yield PollingWatch(instance, run_id)


class PollingWatch(RunWatch):
    """Asks the database, at first each 10 ms, later each 250 ms. A run that is not stored yet has not ended."""

    def __init__(self, instance: OrchordInstance, run_id: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._never = threading.Event()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the run's end; return whether it has ended."""
        deadline, pause = time.monotonic() + timeout_seconds, FIRST_PAUSE_SECONDS
        while True:
            status = self._instance.storage.runs.status(self._run_id)
            if status is not None and status.is_terminal:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._never.wait(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
