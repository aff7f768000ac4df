"""What Kubernetes says of a Job and its pods, as the state of one container: pure, of the API's JSON.

Who lists and watches is kubernetes_watch.py; what an end means for a step is orchord_workers.launching.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from orchord_workers.containers.platform import ContainerState, Phase
from orchord_workers.containers.pod_manifest import CONTAINER, KEPT_LABEL, NAME_LABEL, own_labels

# Waiting reasons that stay: the image or the config is wrong.
_HOPELESS = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_NO_SUCH_IMAGE = ("not found", "manifest unknown", "does not exist", "unauthorized", "denied", "forbidden")
# A registry may be away for a while; after that, waiting for it is of no use.
PULL_SECONDS = 60.0
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([KMGTPE]i|[kMGTPE]|m|)")
POD_DELETED = "its pod was deleted"
# The words for a pod that was taken away, from its node or with it.
_TAKEN_AWAY = (
    "Evicted",
    "NodeLost",
    "Preempting",
    "Preempted",
    "Shutdown",
    "Terminated",
    "NodeShutdown",
    "NodeAffinity",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "UnexpectedAdmissionError",
    "DeletionByTaintManager",
)


@dataclass(frozen=True)
class PodFacts:
    """What is kept of a pod."""

    uid: str
    container: str
    namespace: str
    pod: str
    labels: Mapping[str, str]
    created: str
    phase: str
    words: str
    is_taken_away: bool
    is_deleted: bool
    waiting: str
    waiting_words: str
    is_running: bool
    exit_code: int | None
    end_reason: str
    end_words: str
    unschedulable: str
    memory_limit_bytes: int | None
    is_kept: bool


@dataclass(frozen=True)
class JobFacts:
    """What is kept of a Job. ``failed`` and ``failed_words``: why it failed, once it has."""

    container: str
    namespace: str
    labels: Mapping[str, str]
    is_complete: bool
    failed: str
    failed_words: str


def pod_facts(pod: Mapping[str, Any]) -> PodFacts:
    """Read a pod as the API gives it."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    own = _one_of(status.get("containerStatuses"), "name", CONTAINER)
    state = own.get("state") or {}
    ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    first = _first_unfinished(status.get("initContainerStatuses") or ())
    if first and not ended and "running" not in state:
        # The container's own words are no more than that it waits for those before it.
        waiting = (first.get("state") or {}).get("waiting") or waiting
    scheduled = _one_of(status.get("conditions"), "type", "PodScheduled")
    reason, message = status.get("reason") or "", status.get("message") or ""
    return PodFacts(
        uid=metadata["uid"],
        container=metadata["labels"].get(NAME_LABEL, ""),
        namespace=metadata["namespace"],
        pod=metadata["name"],
        labels=own_labels(metadata),
        created=metadata["creationTimestamp"],
        phase=status.get("phase") or "Pending",
        words=_joined(reason, message) or _words_of_init(first),
        is_taken_away=reason in _TAKEN_AWAY,
        is_deleted=bool(metadata.get("deletionTimestamp")),
        waiting=waiting.get("reason") or "",
        waiting_words=waiting.get("message") or "",
        is_running="running" in state,
        exit_code=ended.get("exitCode"),
        end_reason=ended.get("reason") or "",
        end_words=(ended.get("message") or "").strip(),
        unschedulable=_joined("Unschedulable", scheduled.get("message") or "")
        if scheduled.get("reason") == "Unschedulable"
        else "",
        memory_limit_bytes=_memory_limit(pod),
        is_kept=KEPT_LABEL in metadata["labels"],
    )


def _first_unfinished(statuses: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the init container at which a pod stands: the first that has not ended well."""
    for status in statuses:
        state = status.get("state") or {}
        ended = state.get("terminated")
        # One that goes on beside the others has begun, and holds nothing up.
        if (ended is None or ended.get("exitCode") != 0) and not ("running" in state and status.get("started")):
            return status
    return {}


def _words_of_init(status: Mapping[str, Any]) -> str:
    ended = (status.get("state") or {}).get("terminated")
    if not ended:
        return ""
    reason = _joined(ended.get("reason") or "", (ended.get("message") or "").strip())
    return _joined(f"its init container '{status['name']}' ended with exit code {ended.get('exitCode')}", reason)


def _memory_limit(pod: Mapping[str, Any]) -> int | None:
    own = _one_of((pod.get("spec") or {}).get("containers"), "name", CONTAINER)
    limit = ((own.get("resources") or {}).get("limits") or {}).get("memory")
    return None if limit is None else bytes_of(str(limit))


def bytes_of(quantity: str) -> int | None:
    """Return a quantity of memory as Kubernetes writes it (``64Mi``, ``1G``, ``1e9``) in bytes; None: it is none."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        return None
    number, unit = found[1], found[2]
    power = "KMGTPE".find(unit[:1].upper()) + 1 if unit and unit != "m" else 0
    scale = 1024**power if unit.endswith("i") else 1000**power
    return int(float(number) * scale / (1000 if unit == "m" else 1))


def job_facts(job: Mapping[str, Any]) -> JobFacts:
    """Read a Job as the API gives it."""
    metadata = job["metadata"]
    conditions = {
        item["type"]: item for item in (job.get("status") or {}).get("conditions") or () if item.get("status") == "True"
    }
    failed = conditions.get("Failed") or conditions.get("FailureTarget") or {}
    return JobFacts(
        container=metadata["name"],
        namespace=metadata["namespace"],
        labels=own_labels(metadata),
        is_complete="Complete" in conditions,
        failed=failed.get("reason") or ("Failed" if failed else ""),
        failed_words=failed.get("message") or "",
    )


def state_of(name: str, job: JobFacts | None, pods: Iterable[PodFacts], *, now: datetime) -> ContainerState:
    """Return the state of a container, of its Job and its pods; None and none: it is gone."""
    pod = first_of(pods)
    state = _state(name, job, pod, now)
    if pod is None:
        return state
    return replace(state, memory_limit_bytes=pod.memory_limit_bytes, is_kept=pod.is_kept)


def _state(name: str, job: JobFacts | None, pod: PodFacts | None, now: datetime) -> ContainerState:
    labels = (job and job.labels) or (pod and pod.labels) or {}
    if pod is None:
        return _without_pod(name, labels, job)
    if pod.exit_code is not None or pod.phase in ("Failed", "Succeeded"):
        return _ended(name, labels, job, pod)
    if pod.is_running:
        return ContainerState(name, labels, Phase.RUNNING)
    reason = _joined(pod.waiting, pod.waiting_words) if pod.waiting else pod.unschedulable
    return ContainerState(name, labels, Phase.PENDING, reason=reason, cannot_start=_cannot_start(pod, now))


def first_of(pods: Iterable[PodFacts]) -> PodFacts | None:
    """Return the pod that counts: a Job whose pod is deleted makes another, which is a second start and not wanted."""
    return min(pods, key=lambda pod: (pod.created, pod.uid), default=None)


def _without_pod(name: str, labels: Mapping[str, str], job: JobFacts | None) -> ContainerState:
    if job is None:
        return ContainerState(name, labels, Phase.GONE, reason="the Job was deleted")
    if job.is_complete:
        return ContainerState(name, labels, Phase.ENDED, exit_code=0)
    if job.failed == "DeadlineExceeded":
        return ContainerState(name, labels, Phase.ENDED, reason=_job_words(job))
    if job.failed:
        return ContainerState(name, labels, Phase.GONE, reason=POD_DELETED)
    return ContainerState(name, labels, Phase.PENDING)


def _ended(name: str, labels: Mapping[str, str], job: JobFacts | None, pod: PodFacts) -> ContainerState:
    if pod.end_reason == "OOMKilled":
        return ContainerState(name, labels, Phase.ENDED, pod.exit_code, out_of_memory=True, reason="OOMKilled")
    if pod.is_taken_away:
        return ContainerState(name, labels, Phase.GONE, pod.exit_code, reason=pod.words)
    if pod.exit_code != 0 and job is not None and job.failed == "DeadlineExceeded":
        return ContainerState(name, labels, Phase.ENDED, pod.exit_code, reason=_job_words(job))
    if pod.exit_code != 0 and pod.is_deleted:
        return ContainerState(name, labels, Phase.GONE, pod.exit_code, reason=POD_DELETED)
    own = _joined("" if pod.end_reason in ("Completed", "Error") else pod.end_reason, pod.end_words)
    return ContainerState(name, labels, Phase.ENDED, pod.exit_code, reason=own or pod.words)


def _cannot_start(pod: PodFacts, now: datetime) -> bool:
    if pod.waiting in _HOPELESS:
        return True
    if pod.waiting not in _PULLING:
        return False
    if any(words in pod.waiting_words.lower() for words in _NO_SUCH_IMAGE):
        return True
    created = datetime.fromisoformat(pod.created.replace("Z", "+00:00")).astimezone(UTC)
    return (now - created).total_seconds() > PULL_SECONDS


def _job_words(job: JobFacts | None) -> str:
    return "" if job is None else _joined(job.failed, job.failed_words)


def _joined(reason: str, message: str) -> str:
    return ": ".join(filter(None, (reason, message)))


def _one_of(items: Iterable[Mapping[str, Any]] | None, key: str, value: str) -> Mapping[str, Any]:
    return next((item for item in items or () if item[key] == value), {})
