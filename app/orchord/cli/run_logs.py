"""``orchord run logs``: the events of a run and what its steps printed, as they were or as they come.

How one event looks is in event_lines.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
from rich.text import Text

from orchord.cli.event_lines import event_line
from orchord.cli.opening import opened_instance
from orchord.cli.output import console, json_option, print_json
from orchord.cli.progress import new_events
from orchord.cli.records import event_record
from orchord.compute_logs import LogStream
from orchord.events import EventType, StoredEvent
from orchord.instance.printed import has_settled
from orchord.runs import AttemptStatus

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

FOLLOW_SECONDS = 0.3
CHUNK_BYTES = 1 << 16
_STREAMS = (LogStream.STDOUT, LogStream.STDERR)
_STARTS = (EventType.STEP_START, EventType.STEP_RESTARTED)
_ENDS = (EventType.STEP_SUCCESS, EventType.STEP_FAILURE, EventType.STEP_UP_FOR_RETRY)


@click.command("logs")
@click.argument("run_id")
@click.option("--step", "step_key", metavar="KEY", help="Only this step.")
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--no-output", is_flag=True, help="Events alone, without what the steps printed.")
@json_option
def logs(run_id: str, step_key: str | None, follow: bool, no_output: bool, as_json: bool) -> None:
    """Print the events of a run and what its steps printed. With --json: one JSON document a line."""
    screen = console()
    with opened_instance() as instance:
        found = instance.storage.runs.get(run_id)
        printed = StepOutputs(instance, found.run_id)

        def print_new() -> None:
            if not no_output:
                _print_lines(printed.of_running(), as_json)

        for stored in _events(instance, found.run_id, print_new, follow):
            event = stored.event
            if step_key is not None and event.step_key != step_key:
                continue
            if not no_output and event.step_key is not None:
                if event.type in _STARTS:
                    # An attempt that was lost with its worker has no event of its end.
                    _print_lines(printed.rest_of_running(event.step_key), as_json)
                printed.note(event.step_key, event.type)
                if event.type in _ENDS:
                    _print_lines(printed.rest_of(event.step_key), as_json)
            if as_json:
                print_json(event_record(stored))
            else:
                screen.print(event_line(event), soft_wrap=True)
        # A step that was killed or canceled may have no event of its end.
        _print_lines(printed.rest_of_running(), as_json)


class StepOutputs:
    """Reads what the attempts of one run printed, each byte once."""

    def __init__(self, instance: OrchordInstance, run_id: str) -> None:
        self._instance = instance
        self._manager = instance.compute_log_manager
        self._run_id = run_id
        self._attempts: dict[str, int] = {}
        self._offsets: dict[tuple[str, int, LogStream], int] = {}
        self._halves: dict[tuple[str, int, LogStream], bytes] = {}
        self._running: set[str] = set()

    def note(self, step_key: str, kind: str) -> None:
        """Take note that a step started or ended an attempt."""
        if kind in _STARTS:
            self._attempts[step_key] = self._attempts.get(step_key, 0) + 1
            self._running.add(step_key)
        elif kind in _ENDS:
            self._running.discard(step_key)

    def of_running(self) -> Iterator[tuple[str, LogStream, str]]:
        """Yield (step, stream, line) for whole new lines of the steps that run."""
        for step_key in sorted(self._running):
            for stream in _STREAMS:
                for line in self._new_lines(step_key, stream, last=False):
                    yield step_key, stream, line

    def rest_of(self, step_key: str) -> Iterator[tuple[str, LogStream, str]]:
        """Yield what is left of a step's current attempt, a last line without its end included."""
        for stream in _STREAMS:
            for line in self._new_lines(step_key, stream, last=True):
                yield step_key, stream, line

    def rest_of_running(self, only: str | None = None) -> Iterator[tuple[str, LogStream, str]]:
        """Yield what is left of the steps, or of one step, that began and never said that they ended."""
        for step_key in sorted(self._running):
            if only in (None, step_key):
                yield from self.rest_of(step_key)

    def _new_lines(self, step_key: str, stream: LogStream, *, last: bool) -> list[str]:
        attempt = self._attempts.get(step_key, 1)
        place = (step_key, attempt, stream)
        data = self._halves.pop(place, b"")
        while True:
            offset = self._offsets.get(place, 0)
            chunk = self._manager.read(self._run_id, step_key, attempt, stream, offset=offset, limit=CHUNK_BYTES)
            self._offsets[place] = chunk.next_offset
            data += chunk.data
            # At the end a short piece need not be the last one: it may stand for what nobody has any more.
            has_more = chunk.next_offset > offset if last else len(chunk.data) >= CHUNK_BYTES
            if chunk.is_complete or not (has_more or (last and self._is_on_its_way(*place))):
                break
        if not last:
            data, _, half = data.rpartition(b"\n") if b"\n" in data else (b"", b"", data)
            self._halves[place] = half
        return data.decode(errors="replace").splitlines()

    def _is_on_its_way(self, step_key: str, attempt: int, stream: LogStream) -> bool:
        """Wait a moment if more of an attempt that has just ended on another machine may come; return whether."""
        found = self._instance.storage.attempts.find(self._run_id, step_key, attempt)
        if found is None or found.status is AttemptStatus.RUNNING or has_settled(self._instance, found):
            return False
        time.sleep(FOLLOW_SECONDS)
        return True


def _events(
    instance: OrchordInstance, run_id: str, print_new: Callable[[], None], follow: bool
) -> Iterator[StoredEvent]:
    last_id = 0
    while True:
        # Asked before the events are read: what a run wrote before it ended is then surely read.
        over = not follow or instance.storage.runs.get(run_id).status.is_terminal
        for stored in new_events(instance, run_id, last_id):
            last_id = stored.id
            yield stored
        if over:
            return
        print_new()
        time.sleep(FOLLOW_SECONDS)


def _print_lines(lines: Iterator[tuple[str, LogStream, str]], as_json: bool) -> None:
    screen = console()
    for step_key, stream, line in lines:
        if as_json:
            print_json({"type": "OUTPUT", "step_key": step_key, "stream": stream, "text": line})
        else:
            screen.print(Text.assemble((f"{step_key} {stream} | ", "dim"), line), soft_wrap=True)
