"""How a run's stored attempts read as ends of its steps: what the mender and a taken-over run go on from.

What follows from an end is the plan's to say (orchord.plan.machine).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchord.spi import STEP_END_STATUSES, Attempt, StepEnd


def latest_attempts(attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return the newest attempt of each step; an end beats whatever else is there."""
    latest: dict[str, Attempt] = {}
    for attempt in sorted(attempts, key=lambda a: (a.status in STEP_END_STATUSES, a.attempt)):
        latest[attempt.step_key] = attempt
    return latest


def ends_of(attempts: Iterable[Attempt]) -> Mapping[str, StepEnd]:
    """Return the ends among the newest attempts of a run's steps."""
    return {a.step_key: StepEnd(a.status, a.outputs) for a in attempts if a.status in STEP_END_STATUSES}
