"""What ends is started again, code that changed is checked first, and code that does not load takes nothing down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchord.embedded.stack import Ended
from orchord.embedded.supervisor import CODE_DOES_NOT_LOAD, Supervisor

CHECK = ("definitions", "validate")


class FakeCheck:
    """A check whose exit code the test sets."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.killed = False

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed = True

    def wait(self) -> None:
        pass


class FakeStack:
    """Processes that start and end when the test says so."""

    def __init__(self) -> None:
        self.running: dict[str, Sequence[str]] = {}
        self.starts: list[str] = []
        self.retired: list[str] = []
        self.checks: list[FakeCheck] = []
        self._ends: list[Ended] = []

    def start(self, name: str, arguments: Sequence[str]) -> None:
        assert name not in self.running
        self.running[name] = arguments
        self.starts.append(name)

    def run_once(self, arguments: Sequence[str]) -> FakeCheck:
        assert arguments == CHECK
        self.checks.append(FakeCheck())
        return self.checks[-1]

    def names(self) -> list[str]:
        return list(self.running)

    def retire(self, name: str) -> None:
        del self.running[name]
        self.retired.append(name)

    def end(self, name: str, code: int, lived_seconds: float = 1.0) -> None:
        del self.running[name]
        self._ends.append(Ended(name, code, lived_seconds))

    def ended(self) -> list[Ended]:
        ends, self._ends = self._ends, []
        return ends


@pytest.fixture
def stack() -> FakeStack:
    return FakeStack()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def supervisor(stack: FakeStack, said: list[str], now: list[float]) -> Supervisor:
    supervisor = Supervisor(stack, said.append, clock=lambda: now[0])  # type: ignore[arg-type]
    supervisor.add("api", ["api"])
    supervisor.add_worker("worker", ["worker"], CHECK)
    return supervisor


def test_a_process_that_ends_is_started_again_after_growing_pauses(
    supervisor: Supervisor, stack: FakeStack, said: list[str], now: list[float]
) -> None:
    for pause in (1.0, 2.0, 4.0):
        stack.end("api", -9)
        assert [end.name for end in supervisor.look()] == ["api"]
        assert said[-1] == f"The api has ended (signal 9). It is started again in {pause:g} s."
        now[0] += pause - 0.1
        supervisor.look()
        assert "api" not in stack.names()
        now[0] += 0.1
        supervisor.look()
        assert "api" in stack.names()


def test_a_worker_whose_code_does_not_load_waits_for_a_change(
    supervisor: Supervisor, stack: FakeStack, said: list[str], now: list[float]
) -> None:
    stack.end("worker", CODE_DOES_NOT_LOAD)
    supervisor.look()
    now[0] += 1000
    supervisor.look()
    assert stack.names() == ["api"]
    assert said == ["The code of worker does not load. It is tried again when a file changes."]
    supervisor.code_changed()
    supervisor.look()
    assert "worker" in stack.names()
    assert not stack.checks


def test_changed_code_that_loads_replaces_the_worker(supervisor: Supervisor, stack: FakeStack, said: list[str]) -> None:
    supervisor.code_changed()
    supervisor.look()
    assert not stack.retired
    stack.checks[0].code = 0
    supervisor.look()
    assert (stack.retired, stack.starts) == (["worker"], ["api", "worker", "worker"])
    assert said == ["The code of worker has changed and was loaded anew."]


def test_changed_code_that_does_not_load_leaves_the_worker_alone(
    supervisor: Supervisor, stack: FakeStack, said: list[str]
) -> None:
    supervisor.code_changed()
    stack.checks[0].code = 2
    supervisor.look()
    assert (stack.retired, stack.names()) == ([], ["api", "worker"])
    assert said == ["The new code of worker does not load: the code from before goes on."]


def test_a_change_during_a_check_begins_it_anew(supervisor: Supervisor, stack: FakeStack) -> None:
    supervisor.code_changed()
    supervisor.code_changed()
    assert [check.killed for check in stack.checks] == [True, False]
    supervisor.close()
    assert stack.checks[1].killed
