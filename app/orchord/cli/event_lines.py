"""Events as lines for people: time, level, step, type, message; a failure with the user's own traceback.

The same as data is in records.py.
"""

from __future__ import annotations

import logging
from typing import Any

from rich.text import Text

from orchord.events import Event, EventType

_STYLES = {
    EventType.STEP_SUCCESS: "green",
    EventType.RUN_SUCCESS: "bold green",
    EventType.STEP_FAILURE: "bold red",
    EventType.RUN_FAILURE: "bold red",
    EventType.HOOK_ERRORED: "red",
    EventType.RESOURCE_INIT_FAILURE: "red",
    EventType.STEP_UP_FOR_RETRY: "yellow",
    EventType.STEP_SKIPPED: "dim",
    EventType.RUN_CANCELED: "yellow",
    EventType.RUN_CANCELING: "yellow",
}


def event_line(event: Event) -> Text:
    """Return one event as one line, followed by the traceback if it carries one."""
    kind = logging.getLevelName(event.level) if event.type == EventType.LOG else event.type
    line = Text(event.timestamp.astimezone().strftime("%H:%M:%S.%f")[:-3], style="dim")
    line.append(f"  {kind:<22}", style=_style(event))
    if event.step_key is not None:
        line.append(f"  {event.step_key}", style="cyan")
    if event.message:
        line.append(f"  {event.message}")
    stack = _stack_of(event.data.get("error"))
    if stack:
        line.append("\n" + "\n".join(f"    {row}" for row in stack.rstrip().splitlines()), style="red")
    return line


def _style(event: Event) -> str:
    if event.type == EventType.LOG:
        return "red" if event.level >= logging.ERROR else "yellow" if event.level >= logging.WARNING else ""
    return _STYLES.get(EventType(event.type), "") if event.type in set(EventType) else ""


def _stack_of(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    own = str(error.get("stack") or f"{error.get('cls_name', 'Error')}: {error.get('message', '')}")
    cause = _stack_of(error.get("cause"))
    return f"{cause.rstrip()}\n\nThe above caused:\n\n{own}" if cause else own
