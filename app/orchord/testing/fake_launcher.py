"""A run launcher without broker and workers: it ends each step of a run at once, and executes nothing.

For tests of what surrounds runs: the API, sensors, code that launches and waits. Named in orchord.yaml as
``run_launcher: {module: orchord.testing.fake_launcher, class: FakeRunLauncher}``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchord.events import ErrorInfo, Event, EventType, utc_now
from orchord.instance.launchers import LaunchRunContext, RunLauncher
from orchord.plan.machine import Command, EndRun, RunMachine, SkipStep, StartStep, StepEnd
from orchord.plan.model import Step
from orchord.runs import AttemptStatus
from orchord.storage.values import Claim, Finish, Skip

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

WORKER_ID = "fake"


class FakeRunLauncher(RunLauncher):
    """Ends every step of a run as SUCCESS, with all of its outputs, while the run is being launched.

    Config keys:
        failing_steps: keys of steps that end as FAILURE instead.
        unfinished: leave every run as it was launched, for tests of waiting and canceling.

    ``launched`` holds the ids of the runs that were launched, in order.
    """

    config_keys = frozenset({"failing_steps", "unfinished"})
    shows_live_logs = False
    courier = "orchord.testing.fake_courier:FakeCourier"

    def __init__(self, instance: OrchordInstance, config: Mapping[str, Any]) -> None:
        super().__init__(instance, config)
        self.failing_steps = frozenset(config.get("failing_steps") or ())
        self.unfinished = bool(config.get("unfinished", False))
        self.launched: list[str] = []

    def launch_run(self, context: LaunchRunContext) -> None:
        """Carry the run out by the rules of its plan alone."""
        self.launched.append(context.run.run_id)
        if not self.unfinished:
            _Pretender(self, context).go()

    def terminate(self, run_id: str) -> bool:
        """Interrupt nothing, as nothing ever runs."""
        return False


class _Pretender:
    def __init__(self, launcher: FakeRunLauncher, context: LaunchRunContext) -> None:
        self._failing = launcher.failing_steps
        self._storage = launcher.instance.storage
        self._run_id = context.run.run_id
        self._plan = context.plan
        self._machine = RunMachine(context.plan, context.run.inherited)

    def go(self) -> None:
        commands = self._machine.start()
        skips, ends_run = _recorded(commands)
        if skips or ends_run:
            self._storage.attempts.record_skips(self._run_id, skips, utc_now(), ends_run=ends_run)
        waiting = _to_start(commands)
        while waiting:
            waiting += _to_start(self._end(self._plan.step(waiting.pop(0).step_key)))

    def _end(self, step: Step) -> Sequence[Command]:
        token = secrets.token_hex(8)
        claim = Claim(self._run_id, step.key, attempt=1, token=token, worker_id=WORKER_ID, at=utc_now())
        if not self._storage.attempts.claim(claim).claimed:
            return []
        fails = step.key in self._failing
        status = AttemptStatus.FAILURE if fails else AttemptStatus.SUCCESS
        outputs = () if fails else tuple(output.name for output in step.outputs)
        commands = self._machine.ended(step.key, StepEnd(status, outputs))
        skips, ends_run = _recorded(commands)
        error = ErrorInfo("FakeFailure", f"Step '{step.key}' was told to fail.") if fails else None
        kind = EventType.STEP_FAILURE if fails else EventType.STEP_SUCCESS
        message = error.message if error is not None else f"Step '{step.key}' was not executed."
        self._storage.attempts.finish(
            Finish(
                run_id=self._run_id,
                step_key=step.key,
                attempt=1,
                token=token,
                status=status,
                at=utc_now(),
                outputs=outputs,
                events=(Event(kind, utc_now(), message, step_key=step.key),),
                error=error,
                skips=skips,
                ends_run=ends_run,
            )
        )
        return commands


def _recorded(commands: Sequence[Command]) -> tuple[tuple[Skip, ...], bool]:
    skips = tuple(
        Skip(command.step_key, command.status, command.reason) for command in commands if isinstance(command, SkipStep)
    )
    return skips, any(isinstance(command, EndRun) for command in commands)


def _to_start(commands: Sequence[Command]) -> list[StartStep]:
    return [command for command in commands if isinstance(command, StartStep)]
