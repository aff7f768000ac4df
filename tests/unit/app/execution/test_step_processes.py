"""Steps in processes of their own: how they are started, stopped and followed, and how their ends are worded."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchord.definitions.job import JobDefinition, job
from orchord.definitions.op import op
from orchord.definitions.retry import RetryPolicy
from orchord.definitions.signals import RetryRequested
from orchord.errors import CodeLocationLoadError, JobNotFoundError
from orchord.events import Event, EventType, utc_now
from orchord.execution import StepRequest, StepResult
from orchord.execution.contexts import OpExecutionContext
from orchord.execution.interrupt import ExecutionInterrupted, StopNotice
from orchord.execution.processes import (
    ChildStarter,
    ForkStarter,
    ProcessRequest,
    SpawnStarter,
    StartFailedError,
    StepMeans,
    StepProcesses,
    StepTemplate,
    step_process,
)
from orchord.execution.processes.children import OwnChild
from orchord.execution.processes.ends import UNKNOWN_EXIT, crash_message, stack_of
from orchord.execution.processes.frames import EVENT, RESULT, FrameReader, pickled
from orchord.execution.transient import TransientInstance
from orchord.instance.step_sources import LocationSource
from orchord.io_managers import mem_io_manager
from orchord.location import LocationTarget, load_location
from orchord.plan.compile import compile_plan
from orchord.runs import AttemptStatus, Run, RunStatus
from orchord.settings import Settings
from orchord.testing import eventually


@op
def tells() -> int:
    return os.getpid()


@op(retry_policy=RetryPolicy(max_retries=1, delay=3))
def leaves() -> None:
    os._exit(9)


@op
def waits() -> None:
    while True:
        threading.Event().wait(0.02)


@op
def goes_on() -> None:
    while True:
        with contextlib.suppress(ExecutionInterrupted):
            while True:
                threading.Event().wait(0.02)


@op(timeout_seconds=0.2)
def is_late() -> None:
    while True:
        with contextlib.suppress(BaseException):
            while True:
                threading.Event().wait(0.02)


@op
def logs_without_end(context: OpExecutionContext) -> None:
    while True:
        with contextlib.suppress(ExecutionInterrupted):
            while True:
                context.log.info("again")


@op
def asks_for_another_try() -> None:
    raise RetryRequested(max_retries=3)


@op
def leaves_a_child_behind() -> None:
    if os.fork() == 0:
        threading.Event().wait(60)
        os._exit(0)


@job(resource_defs={"io_manager": mem_io_manager})
def all_of_them():
    for one in (tells, leaves, waits, goes_on, is_late, asks_for_another_try, leaves_a_child_behind):
        one()
    logs_without_end()


@dataclass
class Held:
    """The job of this module, with an instance that passes."""

    definition: JobDefinition = all_of_them
    fault: Exception | None = None

    def load(self) -> None:
        pass

    def means(self, run: Run, owner: str) -> StepMeans:
        if self.fault is not None:
            raise self.fault
        return StepMeans(self.definition, self.definition.resolve_run_config(None), TransientInstance())


def asked(step_key: str, **more: Any) -> ProcessRequest:
    run = Run("run", "all_of_them", "here", RunStatus.STARTED, "", utc_now())
    return ProcessRequest(StepRequest(run, compile_plan(all_of_them).step(step_key), 1, 0, **more))


@pytest.fixture(params=["fork", "template"])
def starter(request: pytest.FixtureRequest) -> Iterator[ChildStarter]:
    made: ChildStarter = ForkStarter(Held()) if request.param == "fork" else StepTemplate(Held())
    yield made
    made.close()


@contextlib.contextmanager
def processes(starter: ChildStarter, **more: Any) -> Iterator[StepProcesses]:
    made = StepProcesses(starter, **more)
    try:
        yield made
    finally:
        made.close()


def result_of(starter: ChildStarter, request: ProcessRequest, **more: Any) -> StepResult:
    with processes(starter) as held:
        return held.run(request, **more)


def set_soon(stop: StopNotice, seconds: float = 0.2) -> threading.Timer:
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    return timer


def test_a_step_tells_of_its_events_as_they_happen_and_of_its_end(starter: ChildStarter) -> None:
    seen: list[Event] = []
    began: list[bool] = []
    result = result_of(starter, asked("tells"), on_event=seen.append, on_started=lambda: began.append(True))
    assert result.status is AttemptStatus.SUCCESS
    assert result.outputs == ("result",)
    assert tuple(seen) == result.events
    assert began == [True]


def test_a_process_that_ends_by_itself_fails_its_step_by_the_steps_retry_policy(starter: ChildStarter) -> None:
    result = result_of(starter, asked("leaves"))
    assert (result.status, result.retry_delay_seconds) == (AttemptStatus.UP_FOR_RETRY, 3)
    assert result.error is not None
    assert result.error.message == crash_message("leaves", 9)
    assert result_of(starter, asked("leaves", may_retry=False)).status is AttemptStatus.FAILURE


def test_a_retry_that_is_asked_for_is_a_failure_where_retries_are_disabled(starter: ChildStarter) -> None:
    assert result_of(starter, asked("asks_for_another_try")).status is AttemptStatus.UP_FOR_RETRY
    assert result_of(starter, asked("asks_for_another_try", may_retry=False)).status is AttemptStatus.FAILURE


def test_a_step_that_leaves_a_process_behind_has_ended_all_the_same(starter: ChildStarter) -> None:
    assert result_of(starter, asked("leaves_a_child_behind")).status is AttemptStatus.SUCCESS


def test_several_steps_are_awaited_at_once_and_a_stop_reaches_all(starter: ChildStarter) -> None:
    stop = StopNotice()
    with contextlib.closing(stop), processes(starter, stop=stop, grace_seconds=0.5) as held:
        for step_key in ("waits", "goes_on", "tells"):
            held.start(asked(step_key))
        assert held.step_keys == ("waits", "goes_on", "tells")
        first = held.wait()
        assert [key for key, _ in first] == ["tells"]
        assert held.wait(0.05) == []
        timer = set_soon(stop)
        ended = dict(held.wait())
        while len(held):
            ended |= dict(held.wait())
        timer.join()
    assert {key: result.status for key, result in ended.items()} == {
        "waits": AttemptStatus.CANCELED,
        "goes_on": AttemptStatus.CANCELED,
    }


def test_a_stop_in_the_very_moment_of_the_start_is_heard(starter: ChildStarter) -> None:
    for _ in range(5):
        # A process that did not hear it would go on for the grace time, which is longer than a test may take.
        with contextlib.closing(StopNotice()) as stop, processes(starter, stop=stop, grace_seconds=3600) as held:
            held.start(asked("waits"))
            stop.set()
            [(_, result)] = held.wait()
            assert result.status is AttemptStatus.CANCELED


def test_a_step_that_never_ceases_to_log_keeps_nobody_from_being_stopped(starter: ChildStarter) -> None:
    with contextlib.closing(StopNotice()) as stop, processes(starter, stop=stop, grace_seconds=0.5) as held:
        held.start(asked("logs_without_end"), on_event=lambda event: stop.set())
        [(_, result)] = held.wait()
    assert result.status is AttemptStatus.CANCELED


def test_a_step_that_does_not_heed_its_time_limit_is_ended(
    starter: ChildStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_process, "HARD_GRACE_SECONDS", 0.3)
    result = result_of(starter, asked("is_late"))
    assert result.status is AttemptStatus.FAILURE
    assert result.error is not None
    assert result.error.cls_name == "StepTimeoutError"
    assert result.error.message == (
        "Step 'is_late' took longer than its time limit of 0.2 s (timeout_seconds). It did not stop when it was told "
        "to, so its process was ended."
    )


def test_code_that_cannot_be_loaded_fails_the_step_with_its_reason() -> None:
    result = result_of(ForkStarter(Held(fault=CodeLocationLoadError("no such module"))), asked("tells"))
    assert result.status is AttemptStatus.FAILURE
    assert result.error is not None
    assert result.error.message == "no such module"


def test_who_lets_go_of_processes_ends_them(starter: ChildStarter, tmp_path: Path) -> None:
    with processes(starter) as held:
        held.start(asked("waits"), on_started=lambda: None)
        held.wait(0.1)
    # The fixture of all tests sees to it that neither thread nor connection is left.
    assert len(held) == 0


def test_steps_fail_and_do_not_hang_when_their_template_is_killed() -> None:
    template = StepTemplate(Held())
    with processes(template) as held:
        held.start(asked("waits"))
        held.wait(0.1)
        assert template._process_id is not None
        os.kill(template._process_id, signal.SIGKILL)
        [(_, result)] = held.wait()
    assert result.error is not None
    assert result.error.message == crash_message("waits", UNKNOWN_EXIT)
    eventually(lambda: template.is_gone)
    with processes(template) as held, pytest.raises(StartFailedError, match="the process that steps are forked from"):
        held.start(asked("tells"))
    template.close()


def test_a_machine_without_room_for_processes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("os.fork", no_room)
    with processes(ForkStarter(Held())) as held, pytest.raises(StartFailedError) as caught:
        held.start(asked("tells"))
    assert str(caught.value) == ("no process can be forked for the step: [Errno 11] Resource temporarily unavailable")


CODE = """
import orchord as dg

@dg.op
def here() -> int:
    return 1

@dg.job
def loaded():
    here()

defs = dg.Definitions(jobs=[loaded])
"""


def test_an_interpreter_or_a_template_of_its_own_loads_the_code_by_its_location(tmp_path: Path) -> None:
    file = tmp_path / "code_of_processes.py"
    file.write_text(CODE)
    target = LocationTarget(file=file)
    source = LocationSource(Settings(tmp_path, True), target, load_location(target))
    assert pickle.loads(pickle.dumps(source)).code is None
    run = Run("run", "loaded", "here", RunStatus.STARTED, "", utc_now())
    assert source.code is not None
    step = compile_plan(source.code.repository.jobs["loaded"]).step("here")
    request = ProcessRequest(StepRequest(run, step, 1, 0))
    assert result_of(SpawnStarter(source), request).status is AttemptStatus.SUCCESS
    template = StepTemplate(source, loads_anew=True)
    assert result_of(template, request).status is AttemptStatus.SUCCESS
    template.close()
    with pytest.raises(JobNotFoundError, match=r"Job 'gone' is not in the code that is loaded for location"):
        source.means(Run("run", "gone", "here", RunStatus.STARTED, "", utc_now()), "")


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (0, "ended with exit code 0 before the step did: its code, or a library, calls os._exit"),
        (-11, "was killed by SIGSEGV: native code used memory that is not its own; the stack shows where it stood."),
        (-9, "was killed by SIGKILL: the kernel does so when memory runs out, and an operator may"),
        (-40, "was killed by signal 40"),
        (UNKNOWN_EXIT, "is gone, and how it ended is not known"),
    ],
)
def test_a_crash_is_worded_by_what_ended_the_process(exit_code: int, words: str) -> None:
    assert words in crash_message("load", exit_code)


def test_a_kill_for_memory_is_worded_with_the_limit() -> None:
    assert crash_message("load", -9, "limit 512 MiB") == (
        "The process of step 'load' was killed by the kernel for its memory (limit 512 MiB). Give it more, or let the "
        "step hold less at once."
    )


def test_the_stack_of_a_crash_holds_the_users_frames_alone() -> None:
    ours = Path(step_process.__file__)
    said = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
        f'  File "/home/me/etl.py", line 3 in load\n  File "{ours}", line 5 in run\n\n'
        "Extension modules: numpy (total: 1)"
    )
    assert stack_of(said).splitlines()[2:] == [
        "Current thread 0x1 (most recent call first):",
        '  File "/home/me/etl.py", line 3 in load',
    ]


def test_what_a_killed_process_left_half_written_is_no_frame() -> None:
    reader = FrameReader()
    assert [frame.kind for frame in reader.fed(b"S" + bytes(8) + RESULT + bytes(3))] == [b"S"]
    assert list(reader.fed(b"")) == []
    assert reader.last_words() == ""
    assert list(reader.fed(b"Fatal Python error: Bus error")) == []
    assert EVENT != RESULT


def test_what_an_interrupted_write_garbled_ends_the_frames_and_not_their_reader() -> None:
    reader = FrameReader()
    garbled = EVENT + (4).to_bytes(8, "little") + b"\xc1\xc1\xc1\xc1"
    assert list(reader.fed(garbled + b"S" + bytes(8))) == []
    assert list(reader.fed(b"S" + bytes(8) + b"Fatal Python error: Aborted")) == []
    assert reader.last_words() == "Fatal Python error: Aborted"


def test_a_request_that_cannot_be_sent_says_so() -> None:
    with pytest.raises(TypeError, match="the step's request cannot be sent to another process"):
        pickled(lambda: None)


def test_a_notice_interrupts_only_where_that_is_asked_for() -> None:
    with contextlib.closing(StopNotice()) as stop:
        stop.set()
        stop.set()
        with pytest.raises(ExecutionInterrupted), stop.raising():
            pass
    with contextlib.closing(StopNotice()) as stop, pytest.raises(ExecutionInterrupted), stop.raising():
        stop.set()


def test_the_end_of_a_process_that_somebody_else_has_reaped_is_not_known() -> None:
    ours, theirs = socket.socketpair()
    process_id = os.fork()
    if process_id == 0:
        os._exit(0)
    os.waitpid(process_id, 0)
    child = OwnChild(process_id, ours, lambda: os.waitpid(process_id, 0)[1])
    child._thread.join()
    assert child.exit_code() == UNKNOWN_EXIT
    child.close()
    theirs.close()


def test_events_before_a_crash_are_kept() -> None:
    result = result_of(ForkStarter(Held()), asked("leaves"))
    assert result.events[-1].type is EventType.STEP_UP_FOR_RETRY
