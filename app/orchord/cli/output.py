"""What commands print: JSON for programs, tables for people.

Standard output is for the answer alone; sentences about it go to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])

STATUS_STYLES = {
    "SUCCESS": "green",
    "FAILURE": "bold red",
    "UPSTREAM_FAILED": "red",
    "LOST": "red",
    "STARTED": "cyan",
    "STARTING": "cyan",
    "RUNNING": "cyan",
    "UP_FOR_RETRY": "yellow",
    "CANCELING": "yellow",
    "CANCELED": "yellow",
    "STOPPED": "dim",
    "PENDING": "dim",
    "SKIPPED": "dim",
    "QUEUED": "dim",
    "NOT_STARTED": "dim",
}


def json_option(command: Command) -> Command:
    """Add ``--json``, passed on as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, to standard output.")(
        command
    )


def print_json(value: Any) -> None:
    """Print a value as one JSON document: indented for a terminal, on one line for a program."""
    data = msgspec.json.encode(value, enc_hook=str)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    click.echo(data)


def console() -> Console:
    """Return the console for answers. Piped, its lines are not wrapped."""
    return Console(width=None if sys.stdout.isatty() else 250, highlight=False)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], nothing: str) -> None:
    """Print rows under headings, or ``nothing`` (to standard error) when there are none."""
    lines = list(rows)
    if not lines:
        click.echo(nothing, err=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console().print(table)


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(str(status), style=STATUS_STYLES.get(str(status), ""))


def time_text(time: datetime | None) -> str:
    """Return a time in the machine's own zone, to the second."""
    return "-" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration_text(started: datetime | None, ended: datetime | None) -> str:
    """Return how long something took, or has taken so far: ``12 ms``, ``3.4 s``, ``2 min 5 s``, ``3 h 12 min``."""
    if started is None:
        return "-"
    seconds = ((ended or datetime.now(UTC)) - started).total_seconds()
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
