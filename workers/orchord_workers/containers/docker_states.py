"""What the Docker Engine says of a container, as the platform port's states. Pure but for a clock.

Asking it is docker.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchord_workers.containers.platform import NEVER_STARTED, ContainerState, Phase

# On containers that are to stay when they have ended.
KEPT_LABEL = "orchord/kept"
_PHASES = {"die": Phase.ENDED, "destroy": Phase.GONE, "start": Phase.RUNNING}
# Making a container ready and starting it are some requests, each of which has a time limit of half of this.
UNSTARTED_SECONDS = 120.0
# What events mix with the labels.
_NO_LABELS = ("name", "image", "exitCode", "execDuration", "signal")


def state_of(inspected: Mapping[str, Any]) -> ContainerState:
    """Return the state of a container that was inspected."""
    said = inspected["State"]
    status = said["Status"]
    has_ended = status in ("exited", "dead")
    phase = Phase.ENDED if has_ended else Phase.PENDING if status == "created" else Phase.RUNNING
    labels = inspected["Config"].get("Labels") or {}
    out_of_memory = has_ended and bool(said.get("OOMKilled")) and said["ExitCode"] != 0
    return ContainerState(
        name=inspected["Name"].lstrip("/"),
        labels=labels,
        phase=phase,
        exit_code=said["ExitCode"] if has_ended else None,
        out_of_memory=out_of_memory,
        reason="OOMKilled" if out_of_memory else said.get("Error") or "",
        memory_limit_bytes=(inspected.get("HostConfig") or {}).get("Memory") or None,
        is_kept=KEPT_LABEL in labels,
        is_unstarted=status == "created",
    )


def state_of_event(event: Mapping[str, Any]) -> ContainerState:
    """Return the state that an event tells of: a start, an end, or a removal."""
    attributes = event["Actor"]["Attributes"]
    code = attributes.get("exitCode", "")
    labels = {key: value for key, value in attributes.items() if key not in _NO_LABELS}
    return ContainerState(
        name=attributes["name"],
        labels=labels,
        phase=_PHASES[event["Action"]],
        exit_code=int(code) if code.isdecimal() else None,
        is_kept=KEPT_LABEL in labels,
    )


class Unstarted:
    """Remembers since when containers are made and not started: whoever made one and died between has left it there.

    Nobody else could start it, as not all that belongs into it may be there. It reads as one that has ended, so that
    it is taken away and its work is begun anew.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def judged(self, states: Sequence[ContainerState]) -> list[ContainerState]:
        """Return all states, those of forgotten containers as ended."""
        now = self._clock()
        pending = [state.name for state in states if state.phase is Phase.PENDING]
        self._since = {name: self._since.get(name, now) for name in pending}
        return [self._judged(state, now) for state in states]

    def _judged(self, state: ContainerState, now: float) -> ContainerState:
        if now - self._since.get(state.name, now) < UNSTARTED_SECONDS:
            return state
        return replace(state, phase=Phase.ENDED, reason=NEVER_STARTED, is_kept=False)
