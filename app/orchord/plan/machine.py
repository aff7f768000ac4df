"""The run's state machine: a step's end goes in, commands come out. Pure; it decides, others act.

The rules for one step (``part_of``, ``decide``) are what a worker needs to go on from a step that has ended;
``RunMachine`` drives a whole run with the same rules (in-process runs, the monitor, the tests' predictions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from orchord.plan.model import ExecutionPlan, OutputRef, Step
from orchord.runs import AttemptStatus, Inherited, Part, PartStatus, RunStatus


class StepEnd(msgspec.Struct, frozen=True):
    """How a step ended, and the outputs it yielded."""

    status: AttemptStatus
    outputs: tuple[str, ...] = ()


class StartStep(msgspec.Struct, frozen=True, tag=True):
    """Command: run this step. ``missing`` are sources of fan-in inputs that were not yielded and are left out."""

    step_key: str
    missing: tuple[OutputRef, ...] = ()


class SkipStep(msgspec.Struct, frozen=True, tag=True):
    """Command: record that this step does not run. ``status`` is SKIPPED or UPSTREAM_FAILED."""

    step_key: str
    status: AttemptStatus
    reason: str


class EndRun(msgspec.Struct, frozen=True, tag=True):
    """Command: the run has ended. Always the last command of a run, and given once."""

    status: RunStatus


Command = StartStep | SkipStep | EndRun

_PART_BY_STATUS = {
    AttemptStatus.SUCCESS: PartStatus.OK,
    AttemptStatus.SKIPPED: PartStatus.SKIPPED,
    AttemptStatus.FAILURE: PartStatus.FAILED,
    AttemptStatus.UPSTREAM_FAILED: PartStatus.FAILED,
    AttemptStatus.CANCELED: PartStatus.FAILED,
}


def part_of(step: Step, end: StepEnd) -> Part:
    """Return what ``step``, having ended so, tells the steps that wait on it."""
    status = _PART_BY_STATUS[end.status]
    if status is not PartStatus.OK:
        return Part(status)
    return Part(status, tuple(output.name for output in step.outputs if output.name not in end.outputs))


def decide(
    plan: ExecutionPlan, step_key: str, parts: Mapping[str, Part], inherited: Mapping[str, Inherited]
) -> StartStep | SkipStep:
    """Decide whether a step runs, once every step in ``plan.upstream[step_key]`` has given its part.

    A failed upstream step stops it. A single source that was not yielded skips it; a fan-in input is skipped
    only when none of its sources was yielded, and else loads those that were.
    """
    failed = [key for key, part in parts.items() if part.status is PartStatus.FAILED]
    if failed:
        names = ", ".join(sorted(failed)[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
        return SkipStep(step_key, AttemptStatus.UPSTREAM_FAILED, f"not run, as upstream failed: {names}")
    missing: list[OutputRef] = []
    for step_input in plan.step(step_key).inputs:
        absent = [ref for ref in step_input.sources if _is_absent(ref, parts, inherited)]
        if absent and len(absent) == len(step_input.sources):
            ref = absent[0]
            reason = f"not run, as input '{step_input.name}' has no value: {ref.step_key} did not yield"
            return SkipStep(step_key, AttemptStatus.SKIPPED, f"{reason} '{ref.output_name}'")
        missing += absent
    return StartStep(step_key, tuple(missing))


def _is_absent(ref: OutputRef, parts: Mapping[str, Part], inherited: Mapping[str, Inherited]) -> bool:
    part = parts.get(ref.step_key)
    if part is not None:
        return part.status is not PartStatus.OK or ref.output_name in part.missing
    earlier = inherited.get(ref.step_key)
    return earlier is not None and ref.output_name not in earlier.outputs


def run_status_of(statuses: Iterable[AttemptStatus], *, canceling: bool) -> RunStatus:
    """Return the status of a run whose steps ended so."""
    if canceling:
        return RunStatus.CANCELED
    failed = (AttemptStatus.FAILURE, AttemptStatus.CANCELED)
    return RunStatus.FAILURE if any(status in failed for status in statuses) else RunStatus.SUCCESS


class RunMachine:
    """One run's state. Feed it ``start()`` once, then ``ended()`` for each command StartStep that was carried out.

    Steps that are skipped end within the machine: the caller records SkipStep commands and feeds nothing back.
    """

    def __init__(self, plan: ExecutionPlan, inherited: Mapping[str, Inherited] | None = None) -> None:
        self.plan = plan
        self.inherited = dict(inherited or {})
        self.ends: dict[str, StepEnd] = {}
        self.canceling = False
        self._waiting = {step.key: len(plan.upstream[step.key]) for step in plan.steps}
        self._started: set[str] = set()
        self._finished = False

    @classmethod
    def resume(
        cls, plan: ExecutionPlan, inherited: Mapping[str, Inherited], ends: Mapping[str, StepEnd]
    ) -> tuple[RunMachine, list[Command]]:
        """Rebuild a run from the ends that are stored; return it with every command that is due now."""
        machine = cls(plan, inherited)
        for step in plan.steps:
            if step.key in ends:
                machine._note_end(step.key, ends[step.key])
        ready = [step.key for step in plan.steps if step.key not in machine.ends and not machine._waiting[step.key]]
        return machine, machine._advance(ready)

    def start(self) -> list[Command]:
        """Return the first commands: the roots, or the run's end when the plan is empty."""
        return self._advance(list(self.plan.roots))

    def ended(self, step_key: str, end: StepEnd) -> list[Command]:
        """Take the end of a started step; return what follows. A second end of one step changes nothing."""
        if step_key in self.ends:
            return []
        return self._advance(self._note_end(step_key, end))

    def cancel(self) -> list[Command]:
        """Start no further step: those not started end as CANCELED without a command. Running ones are awaited."""
        self.canceling = True
        for key in self._waiting:
            if key not in self._started and key not in self.ends:
                self.ends[key] = StepEnd(AttemptStatus.CANCELED)
        return self._advance([])

    def parts_for(self, step_key: str) -> dict[str, Part]:
        """Return the parts that a step whose upstreams have all ended has been given."""
        return {up: part_of(self.plan.step(up), self.ends[up]) for up in self.plan.upstream[step_key]}

    def _note_end(self, step_key: str, end: StepEnd) -> list[str]:
        self.ends[step_key] = end
        ready = []
        for down in self.plan.downstream[step_key]:
            self._waiting[down] -= 1
            if not self._waiting[down] and down not in self.ends:
                ready.append(down)
        return ready

    def _advance(self, ready: list[str]) -> list[Command]:
        commands: list[Command] = []
        while ready:
            key = ready.pop(0)
            if key in self.ends or key in self._started:
                continue
            command = decide(self.plan, key, self.parts_for(key), self.inherited)
            commands.append(command)
            if isinstance(command, SkipStep):
                ready += self._note_end(key, StepEnd(command.status))
            else:
                self._started.add(key)
        if len(self.ends) == len(self.plan.steps) and not self._finished:
            self._finished = True
            statuses = (end.status for end in self.ends.values())
            commands.append(EndRun(run_status_of(statuses, canceling=self.canceling)))
        return commands
