"""Containers as Kubernetes Jobs, one pod each: the platform port for a cluster.

What a manifest holds is pod_manifest.py, what the cluster says of it kubernetes_state.py, how it is followed
kubernetes_watch.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchord.spi import CONTAINER_NAME_VARIABLE, utc_now
from orchord_workers.containers.kubernetes_client import Cluster, Refused
from orchord_workers.containers.kubernetes_state import (
    POD_DELETED,
    JobFacts,
    PodFacts,
    first_of,
    job_facts,
    pod_facts,
    state_of,
)
from orchord_workers.containers.kubernetes_watch import Mirror, Watcher, list_objects
from orchord_workers.containers.platform import (
    OWNER_LABEL,
    ContainerSpec,
    ContainerState,
    Phase,
    Platform,
    PlatformError,
)
from orchord_workers.containers.pod_manifest import CONTAINER, NAME_LABEL, job_manifest, op_names
from orchord_workers.containers.pod_settings import DEFAULT_NAMESPACE, PodSettings, PodSettingsError, merged_settings

logger = logging.getLogger(__name__)

INSTANCE_FILES = ("orchord.yaml", "dagster.yaml")
# So long a found ConfigMap is not looked up again.
FOUND_SECONDS = 60.0
OTHER_CLUSTER = (
    "kubeconfig_file {file} leads to {named}, and this launcher worker starts Jobs at {own}. Name the cluster in "
    "run_launcher's config, or run a launcher worker with KUBECONFIG set to that file."
)
# Events that say why a container does not get started.
_SLOW = ("", "ContainerCreating", "PodInitializing")
_TELLING_EVENTS = frozenset({"FailedCreate", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})
# Of the API server's refusals of a pod, those that pass: a quota is freed again, an admission hook comes back.
_PASSING_REFUSALS = (
    "quota",
    "failed calling webhook",
    "connection refused",
    "timeout",
    "timed out",
    "deadline exceeded",
)


class KubernetesPlatform(Platform):
    """One cluster, reached as a launcher's config says.

    Args:
        config: of the launcher: how the cluster is reached, and ``job_namespace``. Empty: as the surroundings say.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._config = dict(config or {})
        self._cluster = Cluster(self._config)
        self._mirror = Mirror()
        self._lock = threading.Lock()
        self._namespaces: set[str] = {self._config.get("job_namespace") or DEFAULT_NAMESPACE}
        self._sees_all: bool | None = None
        self._instance_files: dict[tuple[str, str], tuple[str, float]] = {}

    def start(self, spec: ContainerSpec) -> None:
        """Create the Job of a container, unless one of its name is there.

        Raises:
            PlatformError: it is not created; the message says what was refused, and the fix.
        """
        try:
            settings = merged_settings(spec.layers, op_names(spec.labels))
            self._check_cluster(spec)
            file = self._instance_file(settings)
            manifest = job_manifest(_with_name(spec), settings, file)
        except PodSettingsError as error:
            raise PlatformError(f"The settings for Kubernetes have mistakes:\n{error}") from error
        if settings.discarded_variables:
            names = ", ".join(sorted(set(settings.discarded_variables)))
            logger.warning("Container %s goes without %s: the launcher does not allow them", spec.name, names)
        with self._lock:
            self._namespaces.add(settings.namespace)
        try:
            self._cluster.call(
                f"create the Job {spec.name} in namespace {settings.namespace}",
                self._cluster.jobs().create_namespaced_job,
                settings.namespace,
                manifest,
            )
        except Refused as error:
            if error.status != 409:
                raise
            logger.info("Job %s is there already", spec.name)

    def stop(self, name: str, grace_seconds: float) -> None:
        """Delete the Job, so that no pod follows, and its pods with a grace time."""
        for namespace in self._where(name):
            self._delete_job(name, namespace)
            options = {"label_selector": _selector(name), "grace_period_seconds": max(0, round(grace_seconds))}
            function = self._cluster.core().delete_collection_namespaced_pod
            self._unless_absent(f"stop the pod of {name}", function, namespace, **options)

    def remove(self, name: str) -> None:
        """Delete the Job; the cluster deletes its pods after it."""
        for namespace in self._where(name):
            self._delete_job(name, namespace)

    def list(self, owner: str) -> list[ContainerState]:
        """Return every container of an owner, in all namespaces that may be read."""
        jobs: dict[str, JobFacts] = {}
        pods: dict[str, deque[PodFacts]] = {}
        for namespace in self._scopes():
            selector = f"{OWNER_LABEL}={owner}"
            for item in list_objects(self._cluster, "jobs", namespace, selector)["items"]:
                jobs[item["metadata"]["name"]] = job_facts(item)
            for item in list_objects(self._cluster, "pods", namespace, selector)["items"]:
                pod = pod_facts(item)
                pods.setdefault(pod.container, deque()).append(pod)
        now = utc_now()
        states = [state_of(name, jobs.get(name), pods.get(name, ()), now=now) for name in sorted({*jobs, *pods})]
        found = [self._explained(state, jobs.get(state.name), pods.get(state.name, ())) for state in states]
        for state in found:
            if state.phase is Phase.GONE:
                self._remove_rest(state.name)
        return found

    def watch(self, owner: str, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        """Tell of each change until ``stopped`` is set: two connections for all containers."""

        def told(state: ContainerState) -> None:
            if state.phase is Phase.GONE:
                self._remove_rest(state.name)
            on_change(state)

        pause = 1.0
        while not stopped.is_set():
            try:
                self._scopes()
            except PlatformError as error:
                logger.warning("The cluster cannot be watched, tried again in %d s: %s", pause, error)
                stopped.wait(pause)
                pause = min(pause * 2, 15.0)
                continue
            try:
                Watcher(self._cluster, self._mirror, owner, self._scopes).run(told, stopped)
            except Exception:  # boundary: this thread must not end, whatever the cluster says
                logger.exception("The cluster's watch begins again in %d s", pause)
                stopped.wait(pause)
                pause = min(pause * 2, 15.0)

    def tail(self, name: str, lines: int) -> str:
        """Return the last lines of the container's log; empty where they cannot be had."""
        try:
            for namespace in self._where(name):
                found = list_objects(self._cluster, "pods", namespace, _selector(name))["items"]
                for pod in found:
                    read = self._cluster.core().read_namespaced_pod_log
                    place = (pod["metadata"]["name"], pod["metadata"]["namespace"])
                    options = {"container": CONTAINER, "tail_lines": lines}
                    body = self._cluster.call_raw(f"read the log of {name}", read, *place, **options)
                    return body.decode(errors="replace")
        except PlatformError as error:
            logger.info("The log of container %s cannot be had: %s", name, error)
        return ""

    def close(self) -> None:
        """Give the connections back."""
        self._cluster.close()

    def _remove_rest(self, name: str) -> None:
        """Delete the Job of a container that is gone: it would make another pod, or stay for a day."""
        try:
            for namespace in self._where(name):
                self._delete_job(name, namespace)
        except PlatformError as error:
            logger.info("The Job of %s, whose pod is gone, is deleted later: %s", name, error)

    def _delete_job(self, name: str, namespace: str) -> None:
        function = self._cluster.jobs().delete_namespaced_job
        self._unless_absent(f"delete the Job {name}", function, name, namespace, propagation_policy="Background")

    def _unless_absent(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        try:
            self._cluster.call(what, function, *arguments, **options)
        except Refused as error:
            if error.status not in (404, 409):
                raise

    def _scopes(self) -> Sequence[str | None]:
        """Return the namespaces to read; None alone: all, by one request, where the cluster allows that."""
        if self._sees_all is None:
            try:
                list_objects(self._cluster, "pods", None, f"{OWNER_LABEL}=none", limit=1)
                list_objects(self._cluster, "jobs", None, f"{OWNER_LABEL}=none", limit=1)
                self._sees_all = True
            except Refused as error:
                if error.status != 403:
                    raise
                logger.info("Namespaces are watched one by one: the cluster does not allow to read all")
                self._sees_all = False
        if self._sees_all:
            return [None]
        with self._lock:
            return sorted(self._namespaces)

    def _where(self, name: str) -> Sequence[str]:
        """Return the namespaces that hold a container's Job or pods."""
        known = self._mirror.namespace(name)
        if known is not None:
            return [known]
        found = set()
        for scope in self._scopes():
            for kind in ("jobs", "pods"):
                items = list_objects(self._cluster, kind, scope, _selector(name))["items"]
                found |= {item["metadata"]["namespace"] for item in items}
        return sorted(found)

    def _instance_file(self, settings: PodSettings) -> str:
        """Return which of the instance ConfigMap's keys is the instance file.

        Raises:
            PodSettingsError: there is no such ConfigMap, or it holds no instance file.
        """
        if not settings.config_map:
            return INSTANCE_FILES[-1]
        place = (settings.config_map, settings.namespace)
        file, until = self._instance_files.get(place, ("", 0.0))
        if until > time.monotonic():
            return file
        where = f"ConfigMap '{place[0]}' (instance_config_map) in namespace {place[1]}"
        try:
            read = self._cluster.core().read_namespaced_config_map
            keys = self._cluster.call(f"read the {where}", read, *place).get("data") or {}
        except Refused as error:
            if error.status == 403:
                # It may be mounted all the same; this is the name that it has in Dagster's charts.
                keys = dict.fromkeys(INSTANCE_FILES[-1:])
            elif error.status == 404:
                raise PodSettingsError(
                    [f"there is no {where}. Create it, with the instance file as {INSTANCE_FILES[0]}."]
                ) from error
            else:
                raise
        file = next((name for name in INSTANCE_FILES if name in keys), "")
        if not file:
            raise PodSettingsError([f"the {where} has neither of the keys {' and '.join(INSTANCE_FILES)}."])
        self._instance_files[place] = (file, time.monotonic() + FOUND_SECONDS)
        return file

    def _check_cluster(self, spec: ContainerSpec) -> None:
        """Refuse a container that another cluster is meant for: this one's watch would never see it."""
        file = next((layer["kubeconfig_file"] for layer in reversed(spec.layers) if layer.get("kubeconfig_file")), None)
        if file is None or file == self._config.get("kubeconfig_file"):
            return
        named, own = Cluster({"kubeconfig_file": file, "load_incluster_config": False}).host(), self._cluster.host()
        if named != own:
            raise PodSettingsError([OTHER_CLUSTER.format(file=file, named=named, own=own)])

    def _explained(self, state: ContainerState, job: JobFacts | None, pods: Iterable[PodFacts]) -> ContainerState:
        """Add to a container that does not get started what the cluster's events say of it."""
        if self._mirror.has_lost(state.name) and state.phase in (Phase.PENDING, Phase.RUNNING):
            return replace(state, phase=Phase.GONE, reason=POD_DELETED)
        pod = first_of(pods)
        if state.phase is not Phase.PENDING or (pod and (pod.waiting not in _SLOW or pod.unschedulable)):
            return state
        if pod is not None:
            named, namespace = pod.pod, pod.namespace
        elif job is not None:
            named, namespace = job.container, job.namespace
        else:
            return state
        options = {"field_selector": f"involvedObject.name={named},type=Warning"}
        try:
            read = self._cluster.core().list_namespaced_event
            events = self._cluster.call(f"read the events of {named}", read, namespace, **options)["items"]
        except PlatformError as error:
            logger.debug("The events of %s cannot be had: %s", named, error)
            return state
        events = [event for event in events if event.get("reason") in _TELLING_EVENTS]
        if not events:
            return state
        last = max(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        words = f"{last.get('reason')}: {last.get('message')}"
        # Without a pod, the API server refuses the pod itself; what passes is tried again, the rest is a mistake.
        is_passing = any(one in words for one in _PASSING_REFUSALS)
        is_hopeless = pod is None and last.get("reason") == "FailedCreate" and not is_passing
        return replace(state, reason=words, cannot_start=is_hopeless)


def _with_name(spec: ContainerSpec) -> ContainerSpec:
    return replace(spec, environment={CONTAINER_NAME_VARIABLE: spec.name, **spec.environment})


def _selector(name: str) -> str:
    return f"{NAME_LABEL}={name}"
