"""What ``orchord run logs`` reads of the attempts of one run, where pieces are missing and ends are not told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchord.cli.run_logs import StepOutputs
from orchord.compute_logs.live import LiveWrite
from orchord.compute_logs.local import LocalComputeLogManager
from orchord.compute_logs.manager import LogStream
from orchord.compute_logs.streams import StreamName
from orchord.events import EventType
from orchord.testing.memory_live_pages import MemoryLivePages


def outputs_of(manager: LocalComputeLogManager) -> StepOutputs:
    nobody = SimpleNamespace(find=lambda *_: None)
    instance: Any = SimpleNamespace(compute_log_manager=manager, storage=SimpleNamespace(attempts=nobody))
    return StepOutputs(instance, "run")


def test_what_follows_a_gap_is_read_too(tmp_path: Any) -> None:
    manager = LocalComputeLogManager(tmp_path)
    manager.live = MemoryLivePages(window_bytes=20)
    manager.live.write([LiveWrite(StreamName("run", "step", 1, LogStream.STDOUT), 0, b"x" * 100 + b"\nthe end\n")])
    printed = outputs_of(manager)
    printed.note("step", EventType.STEP_START)
    lines = [line for _, _, line in printed.rest_of("step")]
    assert "[orchord] Left out here: 89 bytes, which are not kept where they can be read." in lines
    assert lines[-1] == "the end"


def test_what_a_step_printed_that_never_told_its_end_is_read_at_last(tmp_path: Any) -> None:
    manager = LocalComputeLogManager(tmp_path)
    printed = outputs_of(manager)
    with manager.capture("run", "step", 1):
        print("first")
        print("half a line", end="", flush=True)
        printed.note("step", EventType.STEP_START)
        assert [line for _, _, line in printed.of_running()] == ["first"]
    assert [line for _, _, line in printed.rest_of_running("another")] == []
    assert [line for _, _, line in printed.rest_of_running("step")] == ["half a line"]
    printed.note("step", EventType.STEP_RESTARTED)
    with manager.capture("run", "step", 2):
        print("again")
    assert [line for _, _, line in printed.rest_of_running()] == ["again"]
