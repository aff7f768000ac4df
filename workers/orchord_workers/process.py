"""The state of one worker process: made in the parent before it forks, opened again in every pool child.

Database connections never cross a fork; user code does, so that it is imported once per worker and not per child.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from celery import Celery

from orchord.spi import CodeLocation, OrchordInstance, RunStatus, Settings
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.endings import publish_end
from orchord_workers.mending import Mender
from orchord_workers.step_runner import Holder, StepRunner


def new_worker_id() -> str:
    """Return the identity of one worker's life: a restarted worker is another one."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"


@dataclass
class WorkerProcess:
    """What the tasks of one process share. ``open`` is called once per process, after the fork.

    ``is_watched`` tells whether somebody, such as Flower, follows the worker's task events.
    """

    app: Celery
    settings: Settings
    code: CodeLocation | None
    worker_id: str = field(default_factory=new_worker_id)
    is_watched: Callable[[], bool] = lambda: False
    _runner: StepRunner | None = None
    _mender: Mender | None = None
    _instance: OrchordInstance | None = None

    def open(self) -> None:
        """Connect this process to the instance."""
        self._instance = OrchordInstance.from_home(self.settings)
        contexts = RunContexts(self._instance, self.code)
        self._runner = StepRunner(
            self._instance,
            Canvas(self.app),
            contexts,
            holder=Holder(self.worker_id, os.getpid()),
            notify_end=self._notify_end,
            may_carry_on=lambda: not self.is_watched(),
        )
        self._mender = Mender(self._runner)

    def close(self) -> None:
        """Give the connections back."""
        if self._instance is not None:
            self._instance.dispose()
        self._instance = self._runner = self._mender = None

    @property
    def instance(self) -> OrchordInstance:
        """The instance of this process."""
        if self._instance is None:
            self.open()
        assert self._instance is not None
        return self._instance

    @property
    def runner(self) -> StepRunner:
        """The step runner of this process."""
        if self._runner is None:
            self.open()
        assert self._runner is not None
        return self._runner

    @property
    def mender(self) -> Mender:
        """The mender of this process."""
        if self._mender is None:
            self.open()
        assert self._mender is not None
        return self._mender

    def _notify_end(self, run_id: str, status: RunStatus) -> None:
        publish_end(self.app, run_id, status)
