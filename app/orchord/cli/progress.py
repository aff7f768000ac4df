"""Waiting for a run with its progress in sight: a live table on a terminal, plain lines elsewhere. On standard error.

What the events mean is in run_view.py. The run's end is told by the instance's watch, so waiting adds no delay.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchord.cli.output import STATUS_STYLES, duration_text, status_text
from orchord.cli.run_view import RunView
from orchord.events import Event, EventType, StoredEvent

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance
    from orchord.instance.launchers import RunWatch
    from orchord.runs import Run

LOOK_SECONDS = 0.2
PAGE_SIZE = 500
SHOWN_STEPS = 25


class Display(Protocol):
    """What shows events as they come."""

    def show(self, event: Event) -> None:
        """Take one event."""

    def refresh(self) -> None:
        """Draw what has been taken."""


def new_events(instance: OrchordInstance, run_id: str, after_id: int) -> Iterator[StoredEvent]:
    """Yield the events of a run that come after an id, in order, as far as they are stored."""
    while True:
        page = instance.storage.events.page(run_id, after_id, PAGE_SIZE)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after_id = page[-1].id


def wait_for_end(
    instance: OrchordInstance, run: Run, watch: RunWatch, *, timeout_seconds: float | None = None, quiet: bool = False
) -> Run:
    """Show a run's progress until it has ended or the time is up; return it as it is then stored.

    Args:
        instance: where the run is.
        run: the run.
        watch: a watch on its end, begun before the run was launched so that no end is missed.
        timeout_seconds: how long to wait; None waits for ever.
        quiet: show nothing.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    last_id = 0
    with shown_progress(run, _step_keys(instance, run), quiet=quiet) as display:
        while True:
            pause = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, deadline - time.monotonic())
            over = watch.wait(max(0.0, pause)) or (deadline is not None and time.monotonic() >= deadline)
            if not quiet:
                for stored in new_events(instance, run.run_id, last_id):
                    last_id = stored.id
                    display.show(stored.event)
                display.refresh()
            if over:
                return instance.storage.runs.get(run.run_id)


@contextmanager
def shown_progress(run: Run, step_keys: Sequence[str], *, quiet: bool = False) -> Iterator[Display]:
    """Yield what shows a run's events while the context lasts: a live table on a terminal, else lines."""
    with _real_stderr() as stream:
        console = Console(file=stream, highlight=False, soft_wrap=True)
        if quiet or not console.is_terminal:
            yield PlainLines(stream)
            return
        view = RunView.of(step_keys)
        # Drawn again by the live display's own thread too, so that the time of a long step is seen to go on.
        with Live(console=console, refresh_per_second=8, get_renderable=lambda: render(view, run)) as live:
            yield LiveTable(view, live)


@contextmanager
def _real_stderr() -> Iterator[TextIO]:
    # A copy of the descriptor: a step that runs in this process has descriptor 2 captured while it runs.
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", buffering=1) as stream:
        yield stream


def _step_keys(instance: OrchordInstance, run: Run) -> Sequence[str]:
    if run.step_keys is not None:
        return run.step_keys
    return [step.key for step in instance.job_snapshot(run.job_snapshot_id).plan.steps]


class PlainLines:
    """One line for each step that starts or ends, as they happen."""

    _KINDS = frozenset(
        {
            EventType.STEP_START,
            EventType.STEP_RESTARTED,
            EventType.STEP_SUCCESS,
            EventType.STEP_FAILURE,
            EventType.STEP_SKIPPED,
            EventType.STEP_UP_FOR_RETRY,
            EventType.RUN_SUCCESS,
            EventType.RUN_FAILURE,
            EventType.RUN_CANCELED,
            EventType.LOG,
        }
    )

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        """Print the event if it is one that starts or ends something, or a record of the user's log."""
        if event.type in self._KINDS:
            stamp = event.timestamp.astimezone().strftime("%H:%M:%S.%f")[:-3]
            where = f"  {event.step_key}" if event.step_key else ""
            note = "" if event.type in (EventType.STEP_START, EventType.STEP_SUCCESS) else event.message
            detail = f"  {note.partition(chr(10))[0]}" if note else ""
            print(f"{stamp}  {event.type:<18}{where}{detail}", file=self._stream, flush=True)

    def refresh(self) -> None:
        """Nothing is pending."""


class LiveTable:
    """The steps as a table with a bar under it, redrawn in place."""

    def __init__(self, view: RunView, live: Live) -> None:
        self._view = view
        self._live = live

    def show(self, event: Event) -> None:
        """Take the event into the view."""
        self._view.feed(event)

    def refresh(self) -> None:
        """Draw the table again."""
        self._live.refresh()


def render(view: RunView, run: Run) -> RenderableType:
    """Return the table and the bar of a run."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("step", "status", "attempt", "time", ""):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    shown = view.most_telling(SHOWN_STEPS)
    for step in shown:
        status = status_text(step.status) if step.status in STATUS_STYLES else Text(step.status.lower(), style="dim")
        took = duration_text(step.started_at, step.ended_at) if step.started_at else ""
        table.add_row(step.key, status, str(step.attempt) if step.attempt > 1 else "", took, step.note)
    hidden = len(view.steps) - len(shown)
    total = max(1, len(view.steps))
    bar = Table.grid(padding=(0, 1))
    failed = view.count("FAILURE")
    summary = f"{view.ended}/{len(view.steps)} steps" + (f", {failed} failed" if failed else "")
    summary += f", {hidden} not shown" if hidden else ""
    colour = "red" if failed else "green"
    bar.add_row(
        ProgressBar(total=total, completed=view.ended, width=40, complete_style=colour, finished_style=colour),
        Text(summary),
    )
    return Group(Text(f"{run.job_name}  {run.run_id}", style="bold"), table, bar)
