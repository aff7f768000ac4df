"""The port of run coordinators: what decides when a recorded run goes to the run launcher.

Here are the port, the default, which waits for nothing, and the one with a queue (run_queue.py). Launchers are
launchers.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from orchord.errors import InstanceConfigError, OrchordError, UnavailableError, did_you_mean
from orchord.instance.launchers import LaunchRunContext
from orchord.instance.queue_section import QueueConfig, parse_queue
from orchord.instance.run_queue import RunQueue
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

    def submit_runs(self, contexts: Sequence[LaunchRunContext]) -> dict[str, OrchordError]:
        """Take over runs that are recorded.

        Returns:
            By run id, why some were not taken over. Each try with a broker that is away takes seconds: the first that
            fails by that speaks for the others.
        """
        refused: dict[str, OrchordError] = {}
        away: UnavailableError | None = None
        for context in contexts:
            try:
                if away is None:
                    self.submit_run(context)
            except UnavailableError as error:
                away = error
            except OrchordError as error:
                refused[context.run.run_id] = error
            if away is not None:
                refused[context.run.run_id] = away
        return refused


class DefaultRunCoordinator(RunCoordinator):
    """Launches every run at once."""

    def submit_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the run launcher.

        Raises:
            BrokerUnavailableError: the launcher cannot hand it over.
        """
        self.instance.launcher_of(context.run).launch_run(context)


class QueuedRunCoordinator(RunCoordinator):
    """Puts every run into the queue of the database, which it leaves by the limits and its priority.

    Attributes:
        queue: the queue, as the daemon works on it too.

    Config keys: ``max_concurrent_runs`` (10; -1: no limit; 0: none goes), ``tag_concurrency_limits``,
    ``dequeue_interval_seconds`` (5), ``dequeue_use_threads``, ``dequeue_num_workers``,
    ``block_op_concurrency_limited_runs``, and two that are accepted only: ``max_user_code_failure_retries`` and
    ``user_code_failure_retry_delay``.
    """

    config_keys = frozenset(field.name for field in msgspec.structs.fields(QueueConfig))
    initial_status = RunStatus.QUEUED

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        mistakes: list[str] = []
        settings = parse_queue(config, instance.config.concurrency, mistakes)
        if mistakes:
            raise InstanceConfigError("run_coordinator QueuedRunCoordinator cannot be configured", mistakes)
        super().__init__(instance, config)
        self.queue = RunQueue(instance, settings)

    def submit_run(self, context: LaunchRunContext) -> None:
        """Let the run go at once, if the limits allow it; else it waits in the queue."""
        self.queue.submit(context)

    def submit_runs(self, contexts: Sequence[LaunchRunContext]) -> dict[str, OrchordError]:
        """Let those runs go at once that the limits allow, by one look at the queue; the others wait in it."""
        if len(contexts) == 1:
            return super().submit_runs(contexts)
        if contexts:
            self.queue.submit_many(contexts)
        return {}
