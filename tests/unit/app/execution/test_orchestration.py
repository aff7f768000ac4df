"""Runs with several steps at once: what executors are given, what they may ask for, and what their sink is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchord.definitions.config import Field
from orchord.definitions.executors import executor, in_process_executor, multiprocess_executor
from orchord.definitions.in_out import Out
from orchord.definitions.job import JobDefinition, job
from orchord.definitions.op import op
from orchord.definitions.output import Output
from orchord.definitions.retry import RetryPolicy
from orchord.errors import InvalidDefinitionError, InvariantViolationError
from orchord.events import utc_now
from orchord.execution import RunEnd, StepResult
from orchord.execution.executors import (
    Executor,
    ExecutorFailedError,
    InitExecutorContext,
    InProcessExecutor,
    MultiprocessExecutor,
    executor_of,
    processors,
    run_by_executor,
)
from orchord.execution.interrupt import ExecutionInterrupted, StopNotice
from orchord.execution.orchestration import PlanOrchestrationContext, RunSurroundings
from orchord.execution.processes import ForkStarter, StartFailedError, StepMeans
from orchord.execution.transient import TransientInstance
from orchord.io_managers import FilesystemIOManager
from orchord.plan.compile import compile_plan
from orchord.plan.gates import RunGate
from orchord.plan.machine import SkipStep
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run, RunStatus


@dataclass
class Sink:
    """Keeps what it is told; refuses the steps in ``refused``, and has no slot for those in ``waits`` so many times."""

    refused: frozenset[str] = frozenset()
    waits: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    now: set[str] = field(default_factory=set)
    most: int = 0
    together: set[frozenset[str]] = field(default_factory=set)

    def claim(self, step: Step, attempt: int) -> bool:
        return bool(self.claim_now(step, attempt))

    def claim_now(self, step: Step, attempt: int) -> bool | None:
        if self.waits.get(step.key, 0):
            self.waits[step.key] -= 1
            return None
        if step.key in self.refused:
            return False
        self.told.append(f"claim {step.key} {attempt}")
        self.now.add(step.key)
        self.most = max(self.most, len(self.now))
        self.together.add(frozenset(self.now))
        return True

    def note_inline(self, step: Step) -> None:
        self.told.append(f"inline {step.key}")

    def forget(self, step: Step) -> None:
        self.told.append(f"forget {step.key}")

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        self.now.discard(step.key)
        also = "".join(f" skips {skip.step_key}" for skip in skips) + (" ends" if ends_run else "")
        self.told.append(f"finish {step.key} {attempt} {result.status}{also}")

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        self.told.append("skip")


@op
def root() -> int:
    return 1


@op
def plain(x: int) -> int:
    return x


@op(tags={"kind": "heavy"})
def heavy(x: int) -> int:
    return x


@op(tags={"orchord/priority": "5"})
def urgent(x: int) -> int:
    return x


@op(retry_policy=RetryPolicy(max_retries=2))
def fails(x: int) -> int:
    raise ValueError("no")


@op(out={"yes": Out(is_required=False), "no": Out(is_required=False)})
def chooses(x: int):
    yield Output(x, "yes")


@job
def fan():
    start = root()
    plain(start)
    heavy.alias("heavy1")(start)
    heavy.alias("heavy2")(start)
    urgent(start)


@job
def failing():
    plain(fails(root()))


@op
def takes_a_while() -> None:
    threading.Event().wait(0.7)


@op
def passes() -> None:
    pass


@job
def crowded():
    passes()
    takes_a_while()
    passes.alias("last")()


@job
def choosing():
    yes, no = chooses(root())
    plain(yes)
    heavy(no)


Carry = Callable[..., RunEnd]


@pytest.fixture
def carry(tmp_path: Any) -> Carry:
    """Return a function that has an executor carry a job out, each step in a fork of this process."""

    def carried(definition: JobDefinition, by: Executor, sink: Sink, stop: StopNotice | None = None) -> RunEnd:
        bound = definition.with_resources({"io_manager": FilesystemIOManager(base_dir=str(tmp_path))})
        resolved, plan = bound.resolve_run_config(None), compile_plan(bound)
        run = Run("run", bound.name, "here", RunStatus.STARTED, "", utc_now(), executor="of_ones_own")

        class Source:
            def load(self) -> None:
                pass

            def means(self, run: Run, owner: str) -> StepMeans:
                return StepMeans(bound, resolved, TransientInstance())

        notice = stop or StopNotice()
        try:
            with TransientInstance() as instance:
                within = RunSurroundings(bound, run, plan, resolved, instance, sink)
                return run_by_executor(by, within, lambda method: ForkStarter(Source()), notice)
        finally:
            notice.close()

    return carried


def test_no_more_steps_run_at_once_than_max_concurrent_and_the_limits_by_tag_allow(carry: Carry) -> None:
    sink = Sink()
    heavy_steps = frozenset({"heavy1", "heavy2"})
    end = carry(fan, MultiprocessExecutor(2, gates=(RunGate(1, heavy_steps, "kind=heavy"),)), sink)
    assert end.status is RunStatus.SUCCESS
    assert sink.most == 2
    assert not any(heavy_steps <= together for together in sink.together)
    assert sink.told[-1].endswith("SUCCESS ends")


def test_steps_of_higher_priority_start_first(carry: Carry) -> None:
    sink = Sink()
    carry(fan, MultiprocessExecutor(1), sink)
    assert [told for told in sink.told if told.startswith("claim")][:2] == ["claim root 1", "claim urgent 1"]


def test_a_failed_attempt_is_repeated_and_its_downstream_skipped_at_last(carry: Carry) -> None:
    sink = Sink()
    assert carry(failing, MultiprocessExecutor(2), sink).status is RunStatus.FAILURE
    assert sink.told[-3:] == [
        "finish fails 2 UP_FOR_RETRY",
        "claim fails 3",
        "finish fails 3 FAILURE skips plain ends",
    ]


@pytest.mark.parametrize("by", [MultiprocessExecutor, InProcessExecutor])
def test_retries_that_are_disabled_make_the_first_failure_the_last(carry: Carry, by: type[Executor]) -> None:
    sink, made = Sink(), by()
    made.retries_enabled = False
    assert carry(failing, made, sink).status is RunStatus.FAILURE
    assert sink.told[-1] == "finish fails 1 FAILURE skips plain ends"


def test_an_output_that_is_not_yielded_skips_what_needs_it(carry: Carry) -> None:
    sink = Sink()
    assert carry(choosing, MultiprocessExecutor(), sink).status is RunStatus.SUCCESS
    assert "finish chooses 1 SUCCESS skips heavy" in sink.told


def test_a_step_that_waits_for_its_pool_lets_others_go_first_and_starts_when_it_may(carry: Carry) -> None:
    sink = Sink(waits={"urgent": 2})
    assert carry(fan, MultiprocessExecutor(1), sink).status is RunStatus.SUCCESS
    assert sink.told.index("claim plain 1") < sink.told.index("claim urgent 1")


def test_a_ready_step_that_finds_no_room_costs_nothing_until_one_ends(
    carry: Carry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[str, ...]] = []
    wait = PlanOrchestrationContext.wait

    def counted(self: PlanOrchestrationContext, timeout_seconds: float | None = None) -> tuple[str, ...]:
        looks.append(wait(self, timeout_seconds))
        return looks[-1]

    monkeypatch.setattr(PlanOrchestrationContext, "wait", counted)
    # Its pool is to be looked at again while the other step has the only place.
    sink = Sink(waits={"passes": 1})
    assert carry(crowded, MultiprocessExecutor(1), sink).status is RunStatus.SUCCESS
    assert sink.told[0] == "claim takes_a_while 1"
    assert len(looks) < 10


def test_an_executor_that_goes_through_an_older_list_is_canceled_and_does_not_fail(carry: Carry) -> None:
    class ThroughAll(Executor):
        def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> None:
            while not plan_context.is_over:
                for step in plan_context.ready_steps:
                    plan_context.run_inline(step.key)

    @op
    def interrupted() -> None:
        raise ExecutionInterrupted("The run was canceled.")

    @job
    def stopped():
        interrupted()
        passes()

    sink = Sink()
    carry(stopped, ThroughAll(), sink)
    assert sink.told == ["claim interrupted 1", "inline interrupted", "finish interrupted 1 CANCELED"]


def test_a_step_that_ended_inline_is_told_of_at_once_though_others_run(carry: Carry) -> None:
    told: list[tuple[str, ...]] = []

    class Both(Executor):
        def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> None:
            plan_context.start_process("takes_a_while")
            plan_context.run_inline("passes")
            while not plan_context.is_over:
                told.append(plan_context.wait())
                for step in plan_context.ready_steps:
                    plan_context.run_inline(step.key)

    assert carry(crowded, Both(), Sink()).status is RunStatus.SUCCESS
    assert told[0] == ("passes",)


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3)], ids=["an error", "an exit"])
def test_whatever_an_executor_of_ones_own_raises_is_its_failure(carry: Carry, raised: BaseException) -> None:
    class Breaks(Executor):
        def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> None:
            raise raised

    with pytest.raises(ExecutorFailedError, match=f"executor failed: {type(raised).__name__}"):
        carry(fan, Breaks(), Sink())


def test_a_refused_claim_ends_the_work_here_and_what_runs_is_awaited(carry: Carry) -> None:
    sink = Sink(refused=frozenset({"heavy1"}), waits={"plain": 99})
    end = carry(fan, MultiprocessExecutor(4), sink)
    assert end.status is None
    assert "forget plain" in sink.told
    assert not sink.now


def test_the_executor_of_the_guide_runs_what_it_says(carry: Carry) -> None:
    guide = Path(__file__).parents[4] / "docs" / "where-steps-run.md"
    [code] = [one for one in re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL) if "dg.Executor" in one]
    said: dict[str, Any] = {}
    exec(code, said)

    @op(tags={"weight": "light"})
    def light(x: int) -> int:
        return x

    @job
    def mixed():
        start = root()
        light(start)
        for number in range(3):
            plain.alias(f"plain{number}")(start)

    definition = said["light_first"]
    checked = definition.resolve_config({}, "execution.config")
    made = definition.executor_creation_fn(InitExecutorContext(mixed, definition, checked, None))
    sink = Sink()
    assert carry(mixed, made, sink).status is RunStatus.SUCCESS
    assert [told for told in sink.told if told.startswith("inline")] == ["inline light"]
    assert len([told for told in sink.told if "SUCCESS" in told]) == 5


def test_a_retry_is_left_to_who_has_taken_the_run_over(carry: Carry) -> None:
    @job
    def taken_over():
        start = root()
        fails(start)
        heavy(start)

    sink = Sink(refused=frozenset({"heavy"}))
    assert carry(taken_over, MultiprocessExecutor(4), sink).status is None
    assert sink.told[-1] == "finish fails 1 UP_FOR_RETRY"


def test_a_notice_before_the_start_starts_nothing(carry: Carry) -> None:
    stop, sink = StopNotice(), Sink()
    stop.set()
    assert carry(fan, MultiprocessExecutor(), sink, stop).status is None
    assert sink.told == []


def test_a_process_that_cannot_be_started_fails_its_step(carry: Carry, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: ForkStarter) -> Any:
        raise StartFailedError("no process can be forked for the step: no room")

    monkeypatch.setattr(ForkStarter, "start", start)
    sink = Sink()
    assert carry(choosing, MultiprocessExecutor(), sink).status is RunStatus.FAILURE
    assert sink.told[1].startswith("finish root 1 FAILURE")


class ByHand(Executor):
    """Does what a test says."""

    def __init__(self, act: Callable[[PlanOrchestrationContext, ExecutionPlan], Any]) -> None:
        self.execute = act  # type: ignore[method-assign]

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Any:
        raise NotImplementedError


def test_an_executor_may_run_a_step_here_and_others_in_processes_and_may_be_a_generator(carry: Carry) -> None:
    seen: list[tuple[str, ...]] = []

    def act(context: PlanOrchestrationContext, plan: ExecutionPlan) -> Any:
        assert (context.run_id, context.executor_config) == ("run", {})
        assert context.run_inline("root")
        seen.append(tuple(step.key for step in context.ready_steps))
        while not context.is_over:
            for step in context.ready_steps:
                context.start_process(step.key)
            yield context.wait(timeout_seconds=30)
            seen.append(tuple(step.key for step in context.running_steps))

    sink = Sink()
    assert carry(fan, ByHand(act), sink).status is RunStatus.SUCCESS
    assert seen[0] == ("urgent", "plain", "heavy1", "heavy2")
    assert sink.most == 4


def test_a_step_that_is_not_ready_is_refused_with_the_reason(carry: Carry) -> None:
    def act(context: PlanOrchestrationContext, plan: ExecutionPlan) -> None:
        with pytest.raises(InvariantViolationError) as caught:
            context.start_process("plain")
        assert str(caught.value).startswith("Step 'plain' is not ready: it runs, has ended or has to wait.")
        InProcessExecutor().execute(context, plan)

    assert carry(fan, ByHand(act), Sink()).status is RunStatus.SUCCESS


def test_an_executor_that_raises_or_returns_too_early_fails_with_its_reason(carry: Carry) -> None:
    def raises(context: PlanOrchestrationContext, plan: ExecutionPlan) -> None:
        raise RuntimeError("a mistake of the user's")

    with pytest.raises(ExecutorFailedError) as caught:
        carry(fan, ByHand(raises), Sink())
    assert str(caught.value) == "The run's executor failed: RuntimeError: a mistake of the user's"
    with pytest.raises(ExecutorFailedError) as caught:
        carry(fan, ByHand(lambda context, plan: None), Sink())
    assert caught.value.info.message == (
        "Executor 'of_ones_own' returned while steps were still to be done: root. It has to go on until "
        "plan_context.is_over."
    )


def run_of(name: str, config: dict[str, Any] | None = None) -> Run:
    run_config = {} if config is None else {"execution": {"config": config}}
    return Run("run", "fan", "here", RunStatus.STARTED, "", utc_now(), run_config, executor=name)


def test_an_executor_is_made_of_the_runs_config() -> None:
    plan = compile_plan(fan)

    def made(name: str, config: dict[str, Any] | None = None) -> Any:
        return executor_of(fan, run_of(name, config), plan, None)

    assert made("multiprocess_executor").max_concurrent == processors()
    full = made(
        "multiprocess_executor",
        {
            "max_concurrent": 3,
            "start_method": {"spawn": {}},
            "retries": {"disabled": {}},
            "tag_concurrency_limits": [{"key": "kind", "value": "heavy", "limit": 1}],
        },
    )
    assert (full.max_concurrent, full.start_method, full.retries_enabled) == (3, "spawn", False)
    assert [gate.step_keys for gate in full.gates] == [frozenset({"heavy1", "heavy2"})]
    assert isinstance(made("multi_or_in_process_executor"), MultiprocessExecutor)
    assert made("multi_or_in_process_executor", {"multiprocess": {"max_concurrent": 7}}).max_concurrent == 7
    assert isinstance(made("multi_or_in_process_executor", {"in_process": {}}), InProcessExecutor)
    assert isinstance(made("in_process_executor"), InProcessExecutor)


def test_a_function_of_run_config_makes_the_config_of_an_executor() -> None:
    mapped = multiprocess_executor.configured(
        lambda config: {"max_concurrent": 2 * config["pairs"]}, config_schema={"pairs": Field(int, default_value=1)}
    )
    job_of = fan.with_executor(mapped)
    for config, most in (({"pairs": 3}, 6), (None, 2)):
        made = executor_of(job_of, run_of("multiprocess_executor", config), compile_plan(fan), None)
        assert isinstance(made, MultiprocessExecutor)
        assert made.max_concurrent == most


def test_an_executor_of_ones_own_gets_its_config_and_must_return_an_executor() -> None:
    given: list[InitExecutorContext] = []

    @executor(config_schema={"size": int})
    def sized(init_context: InitExecutorContext) -> Any:
        given.append(init_context)
        size = init_context.executor_config["size"]
        return MultiprocessExecutor(max_concurrent=size) if size else "nothing"

    own = fan.with_executor(sized)
    made = executor_of(own, run_of("sized", {"size": 2}), compile_plan(fan), "the instance")
    assert isinstance(made, MultiprocessExecutor)
    assert made.max_concurrent == 2
    assert (given[0].job, given[0].executor_def, given[0].instance) == (own, sized, "the instance")
    with pytest.raises(InvalidDefinitionError) as caught:
        executor_of(own, run_of("sized", {"size": 0}), compile_plan(fan), None)
    assert str(caught.value) == (
        "The function of executor 'sized' returned 'nothing'. It must return an object of a class that extends "
        "orchord.Executor, such as MultiprocessExecutor(max_concurrent=4)."
    )


@pytest.mark.parametrize(
    ("held", "words"),
    [(None, "none of its own"), (in_process_executor, "'in_process_executor'")],
    ids=["none", "another"],
)
def test_a_run_of_an_executor_that_the_code_no_longer_has_is_refused(held: Any, words: str) -> None:
    definition = fan if held is None else fan.with_executor(held)
    with pytest.raises(InvalidDefinitionError) as caught:
        executor_of(definition, run_of("sized"), compile_plan(fan), None)
    assert str(caught.value) == (
        f"The run's executor is 'sized', and job 'fan' of the code that is loaded has {words}. Launch the run again."
    )
