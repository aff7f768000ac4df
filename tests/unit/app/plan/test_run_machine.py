"""The run's state machine, over random plans: what runs, what is skipped, and how a run ends and is resumed."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from orchord.plan.machine import EndRun, RunMachine, SkipStep, StartStep, StepEnd
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.runs import AttemptStatus, Inherited, RunStatus

SUCCESS, FAILURE = AttemptStatus.SUCCESS, AttemptStatus.FAILURE
SKIPPED, UPSTREAM_FAILED = AttemptStatus.SKIPPED, AttemptStatus.UPSTREAM_FAILED
thorough = settings(max_examples=200, deadline=None)


FAILED = (AttemptStatus.FAILURE, AttemptStatus.UPSTREAM_FAILED, AttemptStatus.CANCELED)


@dataclass(frozen=True)
class Scenario:
    """A plan, and how each step ends if it runs."""

    plan: ExecutionPlan
    ends: dict[str, StepEnd]


@st.composite
def scenarios(draw, max_steps=12, failures=True, optional_outputs=True):
    """Plans in which each step has a required output ``out`` and, perhaps, an optional one ``maybe``."""
    steps, ends = [], {}
    for number in range(draw(st.integers(0, max_steps))):
        inputs = []
        for place in range(draw(st.integers(0, 3)) if number else 0):
            fan_in = draw(st.booleans())
            refs = [
                OutputRef(
                    f"s{draw(st.integers(0, number - 1))}",
                    draw(st.sampled_from(["out", "maybe"])) if optional_outputs else "out",
                )
                for _ in range(draw(st.integers(1, 4)) if fan_in else 1)
            ]
            inputs.append(StepInput(f"in{place}", tuple(dict.fromkeys(refs)), fan_in=fan_in))
        outputs = (StepOutput("out"), StepOutput("maybe", is_required=False))
        steps.append(Step(f"s{number}", f"s{number}", tuple(inputs), outputs))
        if failures and draw(st.integers(0, 4)) == 0:
            ends[f"s{number}"] = StepEnd(AttemptStatus.FAILURE)
        else:
            yields_it = not optional_outputs or draw(st.booleans())
            ends[f"s{number}"] = StepEnd(AttemptStatus.SUCCESS, ("out", "maybe") if yields_it else ("out",))
    return Scenario(ExecutionPlan("random", tuple(steps)), ends)


def expected_statuses(scenario: Scenario) -> dict[str, AttemptStatus]:
    """Work out each step's status from the rules alone, in plan order."""
    statuses: dict[str, AttemptStatus] = {}
    for step in scenario.plan.steps:
        sources = [ref for inp in step.inputs for ref in inp.sources]
        if any(statuses[ref.step_key] in FAILED for ref in sources):
            statuses[step.key] = AttemptStatus.UPSTREAM_FAILED
        elif any(not any(_is_there(ref, scenario, statuses) for ref in inp.sources) for inp in step.inputs):
            statuses[step.key] = AttemptStatus.SKIPPED
        else:
            statuses[step.key] = scenario.ends[step.key].status
    return statuses


def _is_there(ref: OutputRef, scenario: Scenario, statuses: dict[str, AttemptStatus]) -> bool:
    return statuses[ref.step_key] is AttemptStatus.SUCCESS and ref.output_name in scenario.ends[ref.step_key].outputs


def descendants(plan: ExecutionPlan, roots) -> set[str]:
    """Every step that comes after one of the roots."""
    found: set[str] = set()
    edge = set(roots)
    while edge:
        edge = {down for key in edge for down in plan.downstream[key]} - found
        found |= edge
    return found


class Drive:
    """Carries a machine's commands out in an order that ``data`` chooses, and notes all that happens."""

    def __init__(self, scenario, data, machine=None, due=()):
        self.scenario, self.data = scenario, data
        self.machine = machine or RunMachine(scenario.plan)
        self.commands, self.running, self.recorded = [], [], []
        self.take(due)

    def take(self, commands):
        for command in commands:
            self.commands.append(command)
            if isinstance(command, StartStep):
                ended = dict(self.recorded)
                assert all(up in self.machine.ends for up in self.machine.plan.upstream[command.step_key]), ended
                self.running.append(command.step_key)
            elif isinstance(command, SkipStep):
                self.recorded.append((command.step_key, StepEnd(command.status)))

    def step(self):
        key = self.running.pop(self.data.draw(st.integers(0, len(self.running) - 1)))
        end = self.scenario.ends[key]
        self.recorded.append((key, end))
        self.take(self.machine.ended(key, end))

    def to_the_end(self):
        while self.running:
            self.step()
        return self

    def statuses(self):
        return {key: end.status for key, end in self.machine.ends.items()}


def driven(scenario, data):
    drive = Drive(scenario, data)
    drive.take(drive.machine.start())
    return drive.to_the_end()


@thorough
@given(scenarios(), st.data())
def test_every_step_that_can_run_runs_once_after_all_its_upstreams(scenario, data):
    drive = driven(scenario, data)
    started = [command.step_key for command in drive.commands if isinstance(command, StartStep)]
    skipped = [command.step_key for command in drive.commands if isinstance(command, SkipStep)]
    assert len(set(started)) == len(started)
    assert sorted(started + skipped) == sorted(scenario.plan.by_key)
    assert drive.statuses() == expected_statuses(scenario)


@thorough
@given(scenarios(), st.data())
def test_the_end_of_the_run_comes_last_and_once(scenario, data):
    drive = driven(scenario, data)
    ends = [command for command in drive.commands if isinstance(command, EndRun)]
    failed = FAILURE in expected_statuses(scenario).values()
    assert ends == [EndRun(RunStatus.FAILURE if failed else RunStatus.SUCCESS)]
    assert drive.commands[-1] == ends[0]


@thorough
@given(scenarios(optional_outputs=False), st.data())
def test_a_failure_skips_exactly_its_descendants(scenario, data):
    statuses = driven(scenario, data).statuses()
    failed = {key for key, status in statuses.items() if status is FAILURE}
    skipped = {key for key, status in statuses.items() if status is UPSTREAM_FAILED}
    assert skipped == descendants(scenario.plan, failed)
    assert SKIPPED not in statuses.values()


@thorough
@given(scenarios(failures=False), st.data())
def test_an_output_that_is_not_yielded_skips_exactly_those_who_need_it(scenario, data):
    statuses = driven(scenario, data).statuses()
    for step in scenario.plan.steps:
        has_values = [
            any(
                statuses[ref.step_key] is SUCCESS and ref.output_name in scenario.ends[ref.step_key].outputs
                for ref in inp.sources
            )
            for inp in step.inputs
        ]
        assert (statuses[step.key] is SKIPPED) == (not all(has_values))


@thorough
@given(scenarios(), st.data())
def test_fan_ins_are_told_which_sources_are_missing(scenario, data):
    drive = driven(scenario, data)
    for command in drive.commands:
        if isinstance(command, StartStep):
            refs = [ref for inp in scenario.plan.step(command.step_key).inputs for ref in inp.sources]
            ends = drive.machine.ends
            absent = {ref for ref in refs if ref.output_name not in ends[ref.step_key].outputs}
            assert set(command.missing) == absent


@thorough
@given(scenarios(), st.data())
def test_a_run_resumed_from_any_prefix_of_its_ends_ends_the_same(scenario, data):
    first = driven(scenario, data)
    kept = dict(first.recorded[: data.draw(st.integers(0, len(first.recorded)))])
    machine, due = RunMachine.resume(scenario.plan, {}, kept)
    second = Drive(scenario, data, machine, due).to_the_end()
    assert second.statuses() == first.statuses()
    assert isinstance(second.commands[-1], EndRun)
    assert sum(isinstance(command, EndRun) for command in second.commands) == 1
    assert not {command.step_key for command in second.commands if not isinstance(command, EndRun)} & set(kept)


@thorough
@given(scenarios(), st.data())
def test_a_canceled_run_starts_nothing_more_and_ends_when_running_steps_have(scenario, data):
    drive = Drive(scenario, data)
    drive.take(drive.machine.start())
    for _ in range(data.draw(st.integers(0, len(scenario.plan.steps)))):
        if drive.running:
            drive.step()
    ended_before = any(isinstance(command, EndRun) for command in drive.commands)
    started = sum(isinstance(command, StartStep) for command in drive.commands)
    drive.take(drive.machine.cancel())
    drive.to_the_end()
    assert sum(isinstance(command, StartStep) for command in drive.commands) == started
    ends = [command for command in drive.commands if isinstance(command, EndRun)]
    assert len(ends) == 1
    assert ended_before or ends[0].status is RunStatus.CANCELED
    assert set(drive.machine.ends) == set(scenario.plan.by_key)


@thorough
@given(scenarios(), st.data())
def test_a_second_end_of_a_step_changes_nothing(scenario, data):
    drive = driven(scenario, data)
    before = dict(drive.machine.ends)
    for key in scenario.plan.by_key:
        assert drive.machine.ended(key, StepEnd(FAILURE)) == []
    assert drive.machine.ends == before


@thorough
@given(scenarios(), st.data())
def test_a_part_of_a_plan_runs_on_what_an_earlier_run_left(scenario, data):
    first = driven(scenario, data)
    done = {key for key, status in first.statuses().items() if status is SUCCESS}
    rest = scenario.plan.select(set(scenario.plan.by_key) - done)
    inherited = {key: Inherited("earlier", scenario.ends[key].outputs) for key in done}
    machine = RunMachine(rest, inherited)
    mended = {key: StepEnd(SUCCESS, ("out", "maybe")) for key in rest.by_key}
    drive = Drive(type(scenario)(rest, mended), data, machine)
    drive.take(machine.start())
    drive.to_the_end()
    for step in rest.steps:
        outputs = {**{key: scenario.ends[key].outputs for key in done}}
        outputs |= {key: end.outputs for key, end in machine.ends.items()}
        lacks = any(not any(ref.output_name in outputs[ref.step_key] for ref in inp.sources) for inp in step.inputs)
        assert (machine.ends[step.key].status is SKIPPED) == lacks


def test_an_empty_plan_ends_at_once():
    assert RunMachine(ExecutionPlan("empty", ())).start() == [EndRun(RunStatus.SUCCESS)]


def test_reasons_name_the_output_and_the_steps_that_stopped_a_step():
    plan = ExecutionPlan(
        "job",
        (
            Step("a", "a", outputs=(StepOutput("x", is_required=False),)),
            Step("b", "b", (StepInput("value", (OutputRef("a", "x"),)),)),
            *(Step(f"f{n}", "f") for n in range(5)),
            Step("c", "c", tuple(StepInput(f"i{n}", (OutputRef(f"f{n}", "result"),)) for n in range(5))),
        ),
    )
    machine = RunMachine(plan)
    machine.start()
    (skip,) = machine.ended("a", StepEnd(SUCCESS))
    assert skip == SkipStep("b", SKIPPED, "not run, as input 'value' has no value: a did not yield 'x'")
    for number in range(4):
        assert machine.ended(f"f{number}", StepEnd(FAILURE)) == []
    skip, end = machine.ended("f4", StepEnd(FAILURE))
    assert skip == SkipStep("c", UPSTREAM_FAILED, "not run, as upstream failed: f0, f1, f2 and 2 more")
    assert end == EndRun(RunStatus.FAILURE)


@thorough
@given(scenarios())
def test_upstream_and_downstream_mirror_each_other(scenario):
    plan = scenario.plan
    assert {(up, key) for key, ups in plan.upstream.items() for up in ups} == {
        (key, down) for key, downs in plan.downstream.items() for down in downs
    }
    assert all(len(set(ups)) == len(ups) for ups in plan.upstream.values())
    assert set(plan.roots) == {key for key in plan.by_key if not plan.upstream[key]}
    leaves = set(plan.leaves)
    assert all(key in leaves or descendants(plan, [key]) & leaves for key in plan.by_key)
