"""The state of a run as far as its events tell it: which steps wait, run and ended, and when.

Pure; it is drawn in progress.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orchord.events import Event, EventType

WAITING = "WAITING"

_STATUS_OF = {
    EventType.STEP_START: "RUNNING",
    EventType.STEP_RESTARTED: "RUNNING",
    EventType.STEP_SUCCESS: "SUCCESS",
    EventType.STEP_FAILURE: "FAILURE",
    EventType.STEP_SKIPPED: "SKIPPED",
    EventType.STEP_UP_FOR_RETRY: "UP_FOR_RETRY",
}
_STARTS = (EventType.STEP_START, EventType.STEP_RESTARTED)
ENDS = frozenset({"SUCCESS", "FAILURE", "SKIPPED"})


@dataclass
class StepView:
    """One step as shown. ``attempt`` is 0 until it starts."""

    key: str
    status: str = WAITING
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    note: str = ""


@dataclass
class RunView:
    """A run's steps in the order of its plan, kept up to date by ``feed``."""

    steps: dict[str, StepView] = field(default_factory=dict)

    @classmethod
    def of(cls, step_keys: Iterable[str]) -> RunView:
        """Return the view of a run that has not begun."""
        return cls({key: StepView(key) for key in step_keys})

    def feed(self, event: Event) -> None:
        """Take one event. Those that say nothing about a step's state change nothing."""
        if event.step_key is None or event.type not in _STATUS_OF:
            return
        kind = EventType(event.type)
        step = self.steps.setdefault(event.step_key, StepView(event.step_key))
        step.status = _STATUS_OF[kind]
        if kind in _STARTS:
            step.attempt += 1
            step.started_at, step.ended_at, step.note = event.timestamp, None, ""
        else:
            step.ended_at = event.timestamp
            step.note = "" if kind is EventType.STEP_SUCCESS else event.message.partition("\n")[0]

    def count(self, *statuses: str) -> int:
        """Return how many steps are in one of these statuses."""
        return sum(step.status in statuses for step in self.steps.values())

    @property
    def ended(self) -> int:
        """How many steps have ended."""
        return self.count(*ENDS)

    def most_telling(self, limit: int) -> list[StepView]:
        """Return at most ``limit`` steps, in order: running and failed ones first, then those that ended last."""
        if len(self.steps) <= limit:
            return list(self.steps.values())
        rank = {"RUNNING": 0, "FAILURE": 1, "UP_FOR_RETRY": 1}
        order = {key: number for number, key in enumerate(self.steps)}

        def key(step: StepView) -> tuple[int, float]:
            ended = step.ended_at.timestamp() if step.ended_at else 0.0
            return rank.get(step.status, 2 if step.status in ENDS else 3), -ended

        chosen = sorted(self.steps.values(), key=key)[:limit]
        return sorted(chosen, key=lambda step: order[step.key])
