"""The live view of a run says what its events say: which steps wait, run, ended, and with what."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from orchord.cli.progress import render
from orchord.cli.run_view import RunView
from orchord.events import Event, EventType
from orchord.runs import Run, RunStatus

START = datetime(2026, 1, 1, tzinfo=UTC)


def _event(kind: EventType, step: str, seconds: float = 0, message: str = "") -> Event:
    return Event(type=kind, timestamp=START + timedelta(seconds=seconds), step_key=step, message=message)


def _run() -> Run:
    return Run("run-id", "numbers", "here", RunStatus.STARTED, "", START)


def test_a_step_goes_from_waiting_through_a_retry_to_its_end() -> None:
    view = RunView.of(["load", "store"])
    assert view.count("WAITING") == 2
    view.feed(_event(EventType.STEP_START, "load"))
    view.feed(_event(EventType.STEP_UP_FOR_RETRY, "load", 1, "ValueError: no\nmore"))
    assert (view.steps["load"].status, view.steps["load"].note) == ("UP_FOR_RETRY", "ValueError: no")
    view.feed(_event(EventType.STEP_RESTARTED, "load", 2))
    view.feed(_event(EventType.STEP_SUCCESS, "load", 5))
    step = view.steps["load"]
    assert (step.status, step.attempt, step.note) == ("SUCCESS", 2, "")
    assert step.ended_at is not None
    assert step.started_at is not None
    assert (step.ended_at - step.started_at).total_seconds() == 3
    assert view.ended == 1


def test_events_that_are_no_steps_state_change_nothing() -> None:
    view = RunView.of(["load"])
    view.feed(_event(EventType.HANDLED_OUTPUT, "load"))
    view.feed(Event(type=EventType.RUN_START, timestamp=START))
    assert view.steps["load"].status == "WAITING"


def test_of_many_steps_those_that_run_or_failed_are_shown_in_the_plans_order() -> None:
    view = RunView.of([f"step_{number}" for number in range(100)])
    view.feed(_event(EventType.STEP_START, "step_90"))
    view.feed(_event(EventType.STEP_START, "step_50"))
    view.feed(_event(EventType.STEP_FAILURE, "step_50"))
    for number in range(10):
        view.feed(_event(EventType.STEP_SUCCESS, f"step_{number}", number))
    assert [step.key for step in view.most_telling(4)] == ["step_8", "step_9", "step_50", "step_90"]


def test_the_drawing_shows_statuses_and_how_far_the_run_is() -> None:
    view = RunView.of(["load", "store"])
    view.feed(_event(EventType.STEP_START, "load"))
    view.feed(_event(EventType.STEP_FAILURE, "load", 1, "it broke"))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(view, _run()))
    text = console.export_text()
    assert "load" in text
    assert "FAILURE" in text
    assert "it broke" in text
    assert "1/2 steps, 1 failed" in text
