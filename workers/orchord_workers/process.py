"""The state of one worker process: made in the parent before it forks, opened again in every pool child.

Database connections never cross a fork; user code does, so that it is imported once per worker and not per child.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from celery import Celery

from orchord.spi import (
    CodeLocation,
    LocationSource,
    OrchordInstance,
    ProcessStarters,
    RunStatus,
    Settings,
    StepTemplate,
    announce_logs,
)
from orchord_workers.canvas import Canvas
from orchord_workers.contexts import RunContexts
from orchord_workers.endings import publish_end
from orchord_workers.interrupts import Interrupts
from orchord_workers.mending import Mender
from orchord_workers.step_runner import Holder, StepRunner


def new_worker_id() -> str:
    """Return the identity of one worker's life: a restarted worker is another one."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"


@dataclass
class WorkerProcess:
    """What the tasks of one process share. ``open`` is called once per process, after the fork.

    ``is_watched`` tells whether somebody, such as Flower, follows the worker's task events; ``is_leaving``, whether
    the process was told to stop, so that what it is interrupted in is run again elsewhere. ``template`` has the code
    and forks the processes of steps that have one; without it, the first that is needed loads the code anew.
    """

    app: Celery
    settings: Settings
    code: CodeLocation | None
    worker_id: str = field(default_factory=new_worker_id)
    is_watched: Callable[[], bool] = lambda: False
    interrupts: Interrupts = field(default_factory=Interrupts)
    is_leaving: Callable[[], bool] = lambda: False
    template: StepTemplate | None = None

    def open(self) -> None:
        """Make ready what the first task would otherwise wait for."""
        _ = self.runner

    def close(self) -> None:
        """Give the connections back. What is asked for after this is made anew."""
        if "instance" in self.__dict__:
            self.instance.dispose()
        if "starters" in self.__dict__ and self.starters is not None:
            self.starters.close()
        for name in ("instance", "runner", "mender", "starters"):
            self.__dict__.pop(name, None)

    @cached_property
    def instance(self) -> OrchordInstance:
        """The instance of this process."""
        # Its parent has told already what of the instance file changes nothing.
        instance = OrchordInstance.from_home(self.settings, tells=False)
        announce_logs(instance, self.worker_id)
        return instance

    @cached_property
    def runner(self) -> StepRunner:
        """The step runner of this process."""
        return StepRunner(
            self.instance,
            Canvas(self.app),
            RunContexts(self.instance, self.code),
            holder=Holder(self.worker_id, os.getpid()),
            notify_end=self._notify_end,
            interrupts=self.interrupts,
            may_carry_on=lambda: not self.is_watched(),
            is_leaving=self.is_leaving,
            starters=self.starters,
        )

    @cached_property
    def starters(self) -> ProcessStarters | None:
        """How steps get processes of their own; None in a process without user code."""
        if self.code is None:
            return None
        return ProcessStarters(LocationSource(self.settings, self.code.target, self.code), self.template)

    @cached_property
    def mender(self) -> Mender:
        """The mender of this process."""
        return Mender(self.runner)

    def _notify_end(self, run_id: str, status: RunStatus) -> None:
        publish_end(self.app, run_id, status)
