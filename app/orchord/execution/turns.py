"""What of a run is to be done next: the state machine's commands as attempts, with retries that wait for their time.

For processes that carry a whole run out, one step at a time (in_process.py) or several (orchestration.py). Claiming
and writing down are the sink's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchord.execution.request import StepResult
from orchord.plan.machine import Command, EndRun, RunMachine, SkipStep, StartStep, StepEnd
from orchord.plan.model import ExecutionPlan
from orchord.runs import AttemptStatus, Run, RunStatus


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run that was begun by another process stands.

    Attributes:
        ends: the steps that have ended.
        attempts: the number of the latest attempt of each other step that was started, and its retry number.
    """

    ends: Mapping[str, StepEnd]
    attempts: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Turn:
    """An attempt that is to be made, not before ``due`` (of the monotonic clock)."""

    command: StartStep
    attempt: int
    retry_number: int
    due: float = 0.0

    @property
    def step_key(self) -> str:
        """The step."""
        return self.command.step_key


class Turns:
    """The attempts that a run comes to.

    Attributes:
        waiting: those that may be made now, in the order in which they came up.
        retries: those that wait for their time.
        status: the run's end, once all steps have ended.
        is_canceling: whether nothing more is started.
    """

    def __init__(self, plan: ExecutionPlan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._machine = RunMachine(plan, run.inherited)
        self._begun: Mapping[str, tuple[int, int]] = {}
        self.waiting: deque[Turn] = deque()
        self.retries: list[Turn] = []
        self.status: RunStatus | None = None
        self.is_canceling = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done now or later, as far as it is known."""
        return not (self.waiting or self.retries)

    def begin(self, progress: Progress | None) -> tuple[list[SkipStep], bool]:
        """Begin, or go on from where another process left the run. Returns steps to skip, and whether the run ends."""
        if progress is None:
            return self._take(self._machine.start())
        self._machine, commands = RunMachine.resume(self._plan, self._run.inherited, progress.ends)
        self._begun = progress.attempts
        return self._take(commands)

    def ended(self, turn: Turn, result: StepResult) -> tuple[list[SkipStep], bool]:
        """Take note of how an attempt ended. Returns steps that are skipped for it, and whether the run ends."""
        if result.status is AttemptStatus.UP_FOR_RETRY:
            due = time.monotonic() + (result.retry_delay_seconds or 0.0)
            self.retries.append(Turn(turn.command, turn.attempt + 1, turn.retry_number + 1, due))
            return [], False
        commands: list[Command] = []
        if result.status is AttemptStatus.CANCELED:
            self.waiting.clear()
            self.retries.clear()
            self.is_canceling = True
            commands += self._machine.cancel()
        commands += self._machine.ended(turn.step_key, StepEnd(result.status, result.outputs))
        return self._take(commands)

    def due_retries(self, now: float) -> list[Turn]:
        """Return the retries whose time has come."""
        return [turn for turn in self.retries if turn.due <= now]

    def seconds_to_retry(self, now: float) -> float | None:
        """Return how long it is to the first retry; None without one."""
        return min((turn.due for turn in self.retries), default=now) - now if self.retries else None

    def take(self, turn: Turn) -> None:
        """Take a turn away: it is being made."""
        (self.retries if turn in self.retries else self.waiting).remove(turn)

    def _take(self, commands: Iterable[Command]) -> tuple[list[SkipStep], bool]:
        skips: list[SkipStep] = []
        for command in commands:
            if isinstance(command, StartStep):
                attempt, retry_number = self._begun.get(command.step_key, (0, -1))
                self.waiting.append(Turn(command, attempt + 1, retry_number + 1))
            elif isinstance(command, SkipStep):
                skips.append(command)
            elif isinstance(command, EndRun):
                self.status = command.status
        return skips, self.status is not None
