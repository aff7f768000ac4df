"""``run_in_process``: what its sink is told, and going on where another process stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchord.definitions.job import JobDefinition, job
from orchord.definitions.op import op
from orchord.definitions.retry import RetryPolicy
from orchord.events import Event, utc_now
from orchord.execution import ExecutionInterrupted, Progress, RunEnd, StepResult, run_in_process
from orchord.execution.transient import TransientInstance
from orchord.io_managers import FilesystemIOManager
from orchord.plan.compile import compile_plan
from orchord.plan.machine import SkipStep, StepEnd
from orchord.plan.model import Step
from orchord.runs import AttemptStatus, Inherited, Run, RunStatus


@dataclass
class Sink:
    """Keeps what it is told as short texts; refuses the attempts in ``refused``."""

    refused: frozenset[str] = frozenset()
    told: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def claim(self, step: Step, attempt: int) -> bool:
        self.told.append(f"claim {step.key} {attempt}")
        return step.key not in self.refused

    def finish(self, step: Step, attempt: int, result: StepResult, skips: Sequence[SkipStep], ends_run: bool) -> None:
        also = "".join(f" skips {skip.step_key}" for skip in skips) + (" ends" if ends_run else "")
        self.told.append(f"finish {step.key} {attempt} {result.status}{also}")
        self.values.update({step.key: value for value in result.values.values()})

    def skip(self, skips: Sequence[SkipStep], ends_run: bool) -> None:
        self.told.append("skip " + " ".join(skip.step_key for skip in skips) + (" ends" if ends_run else ""))


@op
def one() -> int:
    return 1


@op
def fails(x: int) -> int:
    raise ValueError("no")


@op
def adds(x: int) -> int:
    return x + 1


def run(
    definition: JobDefinition,
    sink: Sink,
    progress: Progress | None = None,
    base_dir: Any = None,
    run_id: str = "run",
    **more: Any,
) -> RunEnd:
    with TransientInstance() as instance:
        manager = FilesystemIOManager(base_dir=str(base_dir or instance.storage_directory()))
        bound = definition.with_resources({"io_manager": manager})
        facts = Run(run_id, definition.name, "here", RunStatus.STARTED, "", utc_now(), **more)
        plan = compile_plan(bound)
        return run_in_process(
            bound,
            facts,
            plan if facts.step_keys is None else plan.select(facts.step_keys),
            bound.resolve_run_config(None),
            instance,
            sink,
            progress=progress,
        )


@job
def chain() -> None:
    adds.alias("third")(adds.alias("second")(one.alias("first")()))


def test_each_start_and_end_is_told_and_the_last_one_ends_the_run() -> None:
    sink = Sink()
    assert run(chain, sink).status is RunStatus.SUCCESS
    assert sink.told == [
        "claim first 1",
        "finish first 1 SUCCESS",
        "claim second 1",
        "finish second 1 SUCCESS",
        "claim third 1",
        "finish third 1 SUCCESS ends",
    ]
    assert sink.values["third"] == 3


def test_a_failure_is_told_with_what_it_skips() -> None:
    @job
    def broken() -> None:
        adds.alias("after")(adds.alias("next")(fails(one())))

    sink = Sink()
    end = run(broken, sink)
    assert end.status is RunStatus.FAILURE
    assert isinstance(end.error, ValueError)
    assert sink.told[-1] == "finish fails 1 FAILURE skips next skips after ends"


def test_a_refused_claim_stops_the_run_and_leaves_its_status_open() -> None:
    sink = Sink(refused=frozenset({"second"}))
    assert run(chain, sink).status is None
    assert sink.told[-1] == "claim second 1"


def test_an_interrupt_cancels_what_has_not_started() -> None:
    @op
    def interrupted(x: int) -> int:
        raise ExecutionInterrupted("canceled")

    @job
    def canceled() -> None:
        adds(interrupted(one()))
        one.alias("also")()

    sink = Sink()
    assert run(canceled, sink).status is RunStatus.CANCELED
    assert sink.told[-1] == "finish interrupted 1 CANCELED ends"
    assert "claim adds 1" not in sink.told


def test_it_goes_on_where_another_process_stopped(tmp_path: Any) -> None:
    first = Sink(refused=frozenset({"third"}))
    run(chain, first, base_dir=tmp_path)
    ends = {key: StepEnd(AttemptStatus.SUCCESS, ("result",)) for key in ("first", "second")}
    sink = Sink()
    end = run(chain, sink, progress=Progress(ends, {"third": (1, 0)}), base_dir=tmp_path)
    assert end.status is RunStatus.SUCCESS
    # The attempt that was lost has its number; the next has the next one.
    assert sink.told == ["claim third 2", "finish third 2 SUCCESS ends"]
    assert sink.values == {"third": 3}


def test_steps_that_need_what_an_earlier_run_did_not_make_are_skipped_at_once() -> None:
    sink = Sink()
    end = run(chain, sink, step_keys=("second", "third"), inherited={"first": Inherited("earlier", ())})
    assert end.status is RunStatus.SUCCESS
    assert sink.told == ["skip second third ends"]


def test_an_interrupt_while_it_waits_for_a_retry_stops_the_run() -> None:
    @op(retry_policy=RetryPolicy(max_retries=1, delay=60))
    def flaky() -> None:
        raise ValueError("again")

    @job
    def waiting() -> None:
        flaky()

    def interrupt(seconds: float) -> None:
        assert 59 < seconds <= 60
        raise ExecutionInterrupted("canceled")

    sink = Sink()
    with TransientInstance() as instance:
        end = run_in_process(
            waiting,
            Run("run", "waiting", "here", RunStatus.STARTED, "", utc_now()),
            compile_plan(waiting),
            waiting.resolve_run_config(None),
            instance,
            sink,
            sleep=interrupt,
        )
    assert (end.status, type(end.error)) == (None, ExecutionInterrupted)
    assert sink.told == ["claim flaky 1", "finish flaky 1 UP_FOR_RETRY"]


def test_an_empty_plan_ends_at_once() -> None:
    sink = Sink()
    assert run(chain, sink, step_keys=()).status is RunStatus.SUCCESS
    assert sink.told == ["skip  ends"]


def test_events_are_shown_live() -> None:
    seen: list[Event] = []
    with TransientInstance() as instance:
        bound = chain.with_resources({"io_manager": FilesystemIOManager()})
        run_in_process(
            bound,
            Run("run", "chain", "here", RunStatus.STARTED, "", utc_now()),
            compile_plan(bound),
            bound.resolve_run_config(None),
            instance,
            Sink(),
            emit_live=seen.append,
        )
    assert [event.type for event in seen].count("STEP_SUCCESS") == 3


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGUSR1"])
def test_signals_are_raised_as_interrupts_and_given_back(signal_name: str) -> None:
    import os
    import signal

    from orchord.execution.interrupt import interrupts_raised

    number = signal.Signals[signal_name]
    before = signal.getsignal(number)
    with pytest.raises(ExecutionInterrupted, match=signal_name), interrupts_raised((number,)):
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
