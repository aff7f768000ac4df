"""Following the processes of steps from their parent: what they say, when they are late, how they ended.

One thread waits for all of them at once. Starting one is children.py and template.py; which step is started, and
writing down what became of it, is the caller's (orchestration.py, a worker's step).
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from orchord.events import Event
from orchord.execution.interrupt import StopNotice
from orchord.execution.processes.children import Child, ChildStarter
from orchord.execution.processes.ends import canceled_result, crashed_result, timed_out_result
from orchord.execution.processes.frames import (
    EVENT,
    REQUEST,
    RESULT,
    STARTED,
    FrameReader,
    FrameWriter,
    pickled,
    read_available,
)
from orchord.execution.processes.memory_kills import MemoryKills
from orchord.execution.processes.request import ProcessRequest
from orchord.execution.request import StepResult
from orchord.execution.time_limit import HARD_GRACE_SECONDS

# From the soft stop to the end of a step's process: a little less than a worker gives its own processes.
STOP_GRACE_SECONDS = 8.0
# How long a process that has told its result may take to be gone.
EXIT_SECONDS = 5.0


@dataclass
class _Going:
    """One process at work."""

    asked: ProcessRequest
    child: Child
    kills: MemoryKills
    on_event: Callable[[Event], None] | None
    on_started: Callable[[], None] | None
    reader: FrameReader = field(default_factory=FrameReader)
    events: list[Event] = field(default_factory=list)
    result: StepResult | None = None
    has_begun: bool = False
    # Of the monotonic clock; None: no limit.
    end_at: float | None = None
    is_late: bool = False
    is_stopped: bool = False

    @property
    def step_key(self) -> str:
        return self.asked.step.step.key


class StepProcesses:
    """The processes of steps that one thread follows.

    Args:
        starter: starts them.
        stop: is set when all are to stop: they then are, softly and after a grace time for good.
        grace_seconds: that grace time.
    """

    def __init__(
        self, starter: ChildStarter, *, stop: StopNotice | None = None, grace_seconds: float = STOP_GRACE_SECONDS
    ) -> None:
        self._starter = starter
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._going: dict[str, _Going] = {}
        self._selector = selectors.DefaultSelector()
        if stop is not None:
            self._selector.register(stop, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._going)

    @property
    def step_keys(self) -> tuple[str, ...]:
        """The steps that run now."""
        return tuple(self._going)

    def start(
        self,
        asked: ProcessRequest,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_started: Callable[[], None] | None = None,
    ) -> None:
        """Start a process for a step.

        Args:
            asked: what it is told.
            on_event: is called with each event as it happens.
            on_started: is called when the code is loaded and the step begins.

        Raises:
            StartFailedError: it cannot be had.
            TypeError: the request cannot be sent.
        """
        payload = pickled((self._starter.sent_source(), asked))
        kills = MemoryKills.seen_now()
        going = _Going(asked, self._starter.start(), kills, on_event, on_started)
        self._going[going.step_key] = going
        # A process that died at once does not listen: how it ended is told by its end.
        FrameWriter(going.child.data).write(REQUEST, payload)
        self._selector.register(going.child.data, selectors.EVENT_READ, going)
        self._selector.register(going.child.news, selectors.EVENT_READ, going)

    def wait(self, timeout_seconds: float | None = None) -> list[tuple[str, StepResult]]:
        """Wait until a step has ended, at most so long; return those that have, with their results.

        Returns at once, and perhaps with nothing, when a stop is asked for while nothing runs.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            self._enforce()
            ended = [(key, self._ended(going)) for key, going in list(self._going.items()) if self._has_ended(going)]
            is_stopping = self._stop is not None and self._stop.is_set
            if ended or (is_stopping and not self._going):
                return ended
            pause = self._pause(deadline)
            if pause is not None and pause <= 0 and deadline is not None and deadline <= time.monotonic():
                return []
            for key, _ in self._selector.select(pause):
                if isinstance(key.data, _Going):
                    self._read(key.data)

    def run(self, asked: ProcessRequest, **told: Any) -> StepResult:
        """Run one step in a process to its end. The arguments and errors are those of ``start``."""
        self.start(asked, **told)
        while True:
            for step_key, result in self.wait():
                if step_key == asked.step.step.key:
                    return result

    def close(self) -> None:
        """End what still runs, and give everything back but the starter."""
        for going in self._going.values():
            going.child.kill()
            going.child.close()
        self._going.clear()
        self._selector.close()

    def _read(self, going: _Going) -> bool:
        """Take one piece of what a process says; False when there is nothing.

        One, so that a step that never ceases to log keeps nobody from being stopped, or from ending, beside it.
        """
        if data := read_available(going.child.data):
            for frame in going.reader.fed(data):
                if frame.kind == STARTED:
                    self._note_begun(going)
                elif frame.kind == EVENT:
                    going.events.append(frame.value)
                    if going.on_event is not None:
                        going.on_event(frame.value)
                elif frame.kind == RESULT:
                    going.result = frame.value
                    going.end_at = time.monotonic() + EXIT_SECONDS
        if data == b"" and going.child.data in self._selector.get_map():
            self._selector.unregister(going.child.data)
        return bool(data)

    def _note_begun(self, going: _Going) -> None:
        going.has_begun = True
        limit = going.asked.step.step.timeout_seconds
        if limit is not None and not going.is_stopped:
            going.end_at = time.monotonic() + limit + HARD_GRACE_SECONDS
        if going.on_started is not None:
            going.on_started()

    def _enforce(self) -> None:
        """Stop what is to stop, and end what is late."""
        now = time.monotonic()
        if self._stop is not None and self._stop.is_set:
            if self._stop in self._selector.get_map():
                self._selector.unregister(self._stop)
            for going in self._going.values():
                if not going.is_stopped:
                    going.is_stopped, going.end_at = True, now + self._grace_seconds
                    going.child.stop_softly()
        for going in self._going.values():
            if going.end_at is not None and going.end_at <= now and not going.is_late:
                going.is_late = True
                going.child.kill()

    def _pause(self, deadline: float | None) -> float | None:
        moments = [going.end_at for going in self._going.values() if going.end_at is not None and not going.is_late]
        moments += [] if deadline is None else [deadline]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _has_ended(self, going: _Going) -> bool:
        return going.child.exit_code() is not None

    def _ended(self, going: _Going) -> StepResult:
        # What it said before its end is all there by now.
        while self._read(going):
            pass
        del self._going[going.step_key]
        for connection in (going.child.data, going.child.news):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection)
        exit_code = going.child.exit_code()
        assert exit_code is not None
        going.child.close()
        if going.result is not None:
            return going.result
        result = self._end_without_word(going, exit_code)
        # What happened until then is known: each event was told as it happened.
        return replace(result, events=(*going.events, *result.events))

    def _end_without_word(self, going: _Going, exit_code: int) -> StepResult:
        asked = going.asked
        if going.is_stopped:
            return canceled_result(going.step_key)
        if going.is_late or self._is_past_its_limit(going):
            return timed_out_result(asked.step)
        memory = going.kills.limit_words if exit_code == -signal.SIGKILL and going.kills.has_grown() else None
        return crashed_result(asked.step, exit_code, memory=memory, last_words=going.reader.last_words())

    def _is_past_its_limit(self, going: _Going) -> bool:
        """Whether the process has ended itself at its time limit, a moment before it would have been ended."""
        limited = going.asked.step.step.timeout_seconds is not None and going.end_at is not None
        return limited and going.end_at is not None and going.end_at <= time.monotonic() + 0.5
