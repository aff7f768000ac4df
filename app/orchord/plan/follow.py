"""What follows from the end of one step, computed where the step ended. Pure, and needs no state of the run.

A worker knows only its own step's end. It decides at once for steps that wait on that step alone (start or skip,
and on through a chain of skips); for a step that waits on several it returns one part to that step's join.
``RunMachine`` gives the same run seen from above; the property tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from orchord.plan.machine import SkipStep, StepEnd, decide, part_of
from orchord.plan.model import ExecutionPlan
from orchord.runs import Inherited, Part


class StepToStart(msgspec.Struct, frozen=True):
    """A step that waits on nothing more, with the parts it was given."""

    step_key: str
    parts: tuple[Part, ...]


class JoinPart(msgspec.Struct, frozen=True):
    """One part for one join: ``target`` is the waiting step, or None for the run's end, ``index`` the part's place."""

    target: str | None
    source: str
    index: int
    size: int
    part: Part


class Follow(msgspec.Struct, frozen=True):
    """What to do once the end of a step is stored. ``ends_run`` is set when the plan's only leaf has ended."""

    skips: tuple[SkipStep, ...]
    starts: tuple[StepToStart, ...]
    joins: tuple[JoinPart, ...]
    ends_run: bool


def follow(plan: ExecutionPlan, step_key: str, end: StepEnd, inherited: Mapping[str, Inherited]) -> Follow:
    """Return what follows from one step's end: steps to skip, steps to start, parts to return, perhaps the end."""
    return _spread(plan, [(step_key, end)], inherited, [])


def begin(plan: ExecutionPlan, inherited: Mapping[str, Inherited]) -> Follow:
    """Return the first moves of a run: its roots, decided."""
    ended: list[tuple[str, StepEnd]] = []
    skips: list[SkipStep] = []
    starts: list[StepToStart] = []
    for key in plan.roots:
        decision = decide(plan, key, {}, inherited)
        if isinstance(decision, SkipStep):
            skips.append(decision)
            ended.append((key, StepEnd(decision.status)))
        else:
            starts.append(StepToStart(key, ()))
    rest = _spread(plan, ended, inherited, skips)
    return Follow(rest.skips, tuple(starts) + rest.starts, rest.joins, rest.ends_run or not plan.steps)


def joins_of(plan: ExecutionPlan) -> dict[str | None, int]:
    """Return every join of a plan with the number of parts it waits for; None is the run's end."""
    joins: dict[str | None, int] = {key: len(ups) for key, ups in plan.upstream.items() if len(ups) > 1}
    if len(plan.leaves) > 1:
        joins[None] = len(plan.leaves)
    return joins


def _spread(
    plan: ExecutionPlan,
    ended: list[tuple[str, StepEnd]],
    inherited: Mapping[str, Inherited],
    skips: list[SkipStep],
) -> Follow:
    starts: list[StepToStart] = []
    joins: list[JoinPart] = []
    ends_run = False
    while ended:
        key, end = ended.pop()
        part = part_of(plan.step(key), end)
        downstream = plan.downstream[key]
        if not downstream:
            ends_run = len(plan.leaves) == 1
            if not ends_run:
                joins.append(JoinPart(None, key, plan.leaf_places[key], len(plan.leaves), part))
        for down in downstream:
            upstream = plan.upstream[down]
            if len(upstream) > 1:
                joins.append(JoinPart(down, key, upstream.index(key), len(upstream), part))
                continue
            decision = decide(plan, down, {key: part}, inherited)
            if isinstance(decision, SkipStep):
                skips.append(decision)
                ended.append((down, StepEnd(decision.status)))
            else:
                starts.append(StepToStart(down, (part,)))
    return Follow(tuple(skips), tuple(starts), tuple(joins), ends_run)
