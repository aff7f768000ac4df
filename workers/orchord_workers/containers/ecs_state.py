"""What ECS says of a task, in the words of the port: its state, its labels, and whether a refusal passes. Pure.

Asking ECS is ecs.py. Labels are tags of the task; what tags may not hold is written with ``=`` and the byte's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from orchord_workers.containers.platform import ContainerState, Phase

NAME_TAG = "orchord/name"
# How long a tag's value may be.
LONGEST_VALUE = 256
_PLAIN = " +-._:/@"

_PENDING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
# The host was taken away: the work is lost, and nothing is wrong with it.
_LOST_CODES = frozenset({"SpotInterruption", "TerminationNotice", "HostTerminated"})
_PASSING_ERRORS = frozenset(
    {
        "ClusterNotReadyException",
        "InternalError",
        "RequestLimitExceeded",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# What keeps a task from starting now, and may not the next time.
_PASSING_WORDS = (
    "AGENT",
    "Capacity is unavailable",
    "InsufficientFreeAddressesInSubnet",
    "RESOURCE:",
    "Task provisioning failed",
    "Throttling",
    "Timeout waiting for EphemeralStorage provisioning",
    "Timeout waiting for network interface provisioning",
    "Unexpected EC2 error while attempting to Create Network Interface",
    "i/o timeout",
)


def tags_of(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return labels as tags. A value that is too long for one goes on in a further tag."""
    tags = []
    for key, value in labels.items():
        written = quote(value, safe=_PLAIN).replace("%", "=").replace("~", "=7E")
        parts = [written[at : at + LONGEST_VALUE] for at in range(0, len(written), LONGEST_VALUE)] or [""]
        tags += [{"key": key if not number else f"{key}.{number}", "value": part} for number, part in enumerate(parts)]
    return tags


def labels_of(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the labels that tags hold; tags that are none of ours are left out."""
    found = {str(tag["key"]): str(tag.get("value") or "") for tag in tags if str(tag["key"]).startswith("orchord/")}
    labels = {}
    for key, first in found.items():
        stem, dot, number = key.rpartition(".")
        if dot and number.isdecimal() and stem in found:
            continue
        written, following = first, 1
        while f"{key}.{following}" in found:
            written += found[f"{key}.{following}"]
            following += 1
        labels[key] = unquote(written.replace("=", "%"))
    return labels


def state_of(task: Mapping[str, Any], container_name: str) -> ContainerState | None:
    """Return what a task's description says of its container; None when the task is none of ours."""
    labels = labels_of(task.get("tags") or ())
    name = labels.pop(NAME_TAG, "")
    if not name:
        return None
    status = task.get("lastStatus")
    containers = task.get("containers") or ()
    container = next((one for one in containers if one.get("name") == container_name), None)
    if container is None:
        container = containers[0] if containers else {}
    exit_code, words = container.get("exitCode"), str(container.get("reason") or "")
    # The container's end is known long before ECS has taken the task's network down.
    if status != "STOPPED" and not (container.get("lastStatus") == "STOPPED" and exit_code is not None):
        phase = Phase.PENDING if status in _PENDING else Phase.RUNNING
        return ContainerState(name, labels, phase)
    code, stopped = str(task.get("stopCode") or ""), str(task.get("stoppedReason") or "")
    reason = ": ".join(dict.fromkeys(part for part in (code, stopped, words) if part))
    lost = code in _LOST_CODES or (exit_code is None and is_passing_reason(f"{stopped} {words}"))
    return ContainerState(
        name,
        labels,
        Phase.GONE if lost else Phase.ENDED,
        exit_code=exit_code,
        out_of_memory="OutOfMemory" in words,
        reason=reason,
        cannot_start=not lost and exit_code is None and code == "TaskFailedToStart",
        memory_limit_bytes=_memory_bytes(task, container),
    )


def is_passing_reason(text: str) -> bool:
    """Return whether what kept a task from starting may be over the next time."""
    return any(words in text for words in _PASSING_WORDS)


def is_passing_error(code: str, message: str) -> bool:
    """Return whether a request that was refused may be taken the next time."""
    return code in _PASSING_ERRORS or is_passing_reason(message)


def _memory_bytes(task: Mapping[str, Any], container: Mapping[str, Any]) -> int | None:
    """Return the limit that is told in MiB, of the container or else of the task."""
    for source in (container, task):
        given = str(source.get("memory") or "")
        if given.isdecimal():
            return int(given) * 2**20
    return None
