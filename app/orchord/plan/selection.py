"""Selections of steps in words: ``a``, ``*a``, ``a+``, ``++a``, ``a*``, ``2+a``: a step, and how far around it.

Selections of assets have a grammar of their own (definitions/assets/selection.py). Making a smaller plan of the
result is ``ExecutionPlan.select``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orchord.errors import InvalidSubsetError, did_you_mean
from orchord.plan.model import ExecutionPlan

_QUERY = re.compile(r"^(?P<up>\*|\++\d*|\d*\++)?(?P<name>[A-Za-z0-9_.]+?)(?P<down>\*|\++\d*)?$")
_EVERYTHING = -1


def select_steps(plan: ExecutionPlan, queries: Sequence[str]) -> tuple[str, ...]:
    """Return the steps that any of the queries selects, in plan order.

    ``a`` is the step ``a``, or all steps in the nested graph ``a``. Signs before the name add what comes before it,
    signs after it what comes after: ``*`` everything, ``+`` one level, ``++`` two levels, and so on (``+3`` and
    ``3+`` are three). ``*`` alone is the whole plan.

    Raises:
        InvalidSubsetError: queries that cannot be read, or that name nothing; all of them are listed.
    """
    chosen: set[str] = set()
    mistakes: list[str] = []
    for query in queries:
        text = query.strip()
        if text == "*":
            chosen.update(plan.by_key)
            continue
        match = _QUERY.match(text)
        if match is None:
            mistakes.append(f"'{query}' cannot be read. Write a step's name, with * or + before or after it.")
            continue
        roots = _named(plan, match["name"])
        if not roots:
            mistakes.append(f"'{match['name']}' is no step of job '{plan.job_name}'.{_nearest(plan, match['name'])}")
            continue
        chosen.update(roots)
        chosen |= _around(plan.upstream, roots, _levels(match["up"]))
        chosen |= _around(plan.downstream, roots, _levels(match["down"]))
    if not queries:
        mistakes.append("it is empty. Name at least one step, or leave the selection out to run all of them.")
    if mistakes:
        raise InvalidSubsetError(f"The selection of steps of job '{plan.job_name}' cannot be used", mistakes)
    return tuple(step.key for step in plan.steps if step.key in chosen)


def _named(plan: ExecutionPlan, name: str) -> set[str]:
    if name in plan.by_key:
        return {name}
    return {key for key in plan.by_key if key.startswith(f"{name}.")}


def _nearest(plan: ExecutionPlan, name: str) -> str:
    names = set(plan.by_key)
    for key in plan.by_key:
        parts = key.split(".")
        names |= {".".join(parts[:depth]) for depth in range(1, len(parts))}
    return did_you_mean(name, names)


def _levels(signs: str | None) -> int:
    if not signs:
        return 0
    if signs == "*":
        return _EVERYTHING
    digits = signs.strip("+")
    return int(digits) if digits else len(signs)


def _around(neighbours: Mapping[str, Sequence[str]], roots: set[str], levels: int) -> set[str]:
    found: set[str] = set()
    edge = roots
    while edge and levels != 0:
        edge = {near for key in edge for near in neighbours[key]} - found - roots
        found |= edge
        levels -= 1
    return found
