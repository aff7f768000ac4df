"""What the Docker Engine says of a container, as the platform port's states. Pure.

Asking it is docker.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchord_workers.containers.platform import ContainerState, Phase

# On containers that are to stay when they have ended.
KEPT_LABEL = "orchord/kept"
_PHASES = {"die": Phase.ENDED, "destroy": Phase.GONE, "start": Phase.RUNNING}
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
