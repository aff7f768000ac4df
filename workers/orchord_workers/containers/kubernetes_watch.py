"""Two watches, of Jobs and of pods, as one stream of container states, over lost connections and old versions.

Each reads on from the resource version that it has seen; where the API has forgotten that one, all is listed and
compared. What a Job and its pods say together is kubernetes_state.py.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchord.spi import utc_now
from orchord_workers.containers.kubernetes_client import Cluster, Gone, Refused, WatchStream
from orchord_workers.containers.kubernetes_state import (
    POD_DELETED,
    JobFacts,
    PodFacts,
    first_of,
    job_facts,
    pod_facts,
    state_of,
)
from orchord_workers.containers.platform import OWNER_LABEL, ContainerState, Phase, PlatformError

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
# A pod goes before its Job says why (a deadline): so long the Job has for its word.
SETTLE_SECONDS = 1.0
KINDS = ("jobs", "pods")


class Mirror:
    """The Jobs and pods of an owner as last seen, by container. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, JobFacts] = {}
        self._pods: dict[str, dict[str, PodFacts]] = {}
        # Of all that was seen and is not forgotten: whose a container was is asked when nothing of it is left.
        self._labels: dict[str, Mapping[str, str]] = {}
        # Containers whose pod went after it had begun and before it had ended: what comes after is a second one.
        self._lost: set[str] = set()

    def replace(self, kind: str, namespace: str | None, items: Iterable[dict[str, Any]]) -> set[str]:
        """Take over a list; return the containers that it changes, those included that are no longer listed."""
        changed = set()
        present = set()
        for item in items:
            present.add(item["metadata"]["uid"] if kind == "pods" else item["metadata"]["name"])
            changed.add(self.apply(kind, "MODIFIED", item))
        with self._lock:
            for name, job in list(self._jobs.items()):
                if kind == "jobs" and name not in present and namespace in (None, job.namespace):
                    del self._jobs[name]
                    changed.add(name)
            for name, pods in list(self._pods.items()):
                for uid, pod in list(pods.items()):
                    if kind == "pods" and uid not in present and namespace in (None, pod.namespace):
                        self._drop_pod(name, uid)
                        changed.add(name)
        return changed

    def apply(self, kind: str, change: str, item: dict[str, Any]) -> str:
        """Take over one change; return the container that it is of."""
        with self._lock:
            if kind == "jobs":
                job = job_facts(item)
                self._labels[job.container] = job.labels
                if change == "DELETED":
                    self._jobs.pop(job.container, None)
                else:
                    self._jobs[job.container] = job
                return job.container
            pod = pod_facts(item)
            self._labels[pod.container] = pod.labels
            self._pods.setdefault(pod.container, {})[pod.uid] = pod
            if change == "DELETED":
                self._drop_pod(pod.container, pod.uid)
            return pod.container

    def state(self, name: str) -> ContainerState:
        """Return the state of a container."""
        with self._lock:
            return self._state(name)

    def taken(self, name: str) -> tuple[ContainerState, bool]:
        """Return the state of a container, and whether anything is left of it; if nothing is, it is forgotten.

        In one step: what changes between the two would be forgotten before anybody was told of it.
        """
        with self._lock:
            state = self._state(name)
            is_left = name in self._jobs or bool(self._pods.get(name))
            if not is_left:
                self._labels.pop(name, None)
                self._lost.discard(name)
            return state, is_left

    def has_lost(self, name: str) -> bool:
        """Return whether a container's pod went while it ran."""
        with self._lock:
            return name in self._lost

    def is_settled(self, name: str) -> bool:
        """Return whether nothing more is to come that would say why a pod went."""
        with self._lock:
            job = self._jobs.get(name)
            return job is None or bool(job.failed) or job.is_complete

    def namespace(self, name: str) -> str | None:
        """Return where a container's Job or pods are; None: they are not known."""
        with self._lock:
            job = self._jobs.get(name)
            pod = next(iter(self._pods.get(name, {}).values()), None)
            return job.namespace if job else pod.namespace if pod else None

    def _state(self, name: str) -> ContainerState:
        job, pods = self._jobs.get(name), self._pods.get(name, {}).values()
        if name in self._lost and (job is None or job.failed != "DeadlineExceeded"):
            state = ContainerState(name, {}, Phase.GONE, reason=POD_DELETED)
        else:
            state = state_of(name, job, pods, now=utc_now())
        return replace(state, labels=self._labels.get(name, {}))

    def _drop_pod(self, name: str, uid: str) -> None:
        pods = self._pods.get(name, {})
        first = first_of(pods.values())
        pod = pods.pop(uid, None)
        if pod is not None and pod is first and pod.is_running:
            self._lost.add(name)
        if not pods:
            self._pods.pop(name, None)


class Watcher:
    """Tells of the changes of an owner's containers.

    Args:
        namespaces: asked again and again for the namespaces to watch; None in it: all of them, by one connection.
    """

    def __init__(
        self, cluster: Cluster, mirror: Mirror, owner: str, namespaces: Callable[[], Iterable[str | None]]
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._selector = f"{OWNER_LABEL}={owner}"
        self._namespaces = namespaces
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._told: dict[str, ContainerState] = {}
        self._streams: dict[tuple[str, str | None], tuple[threading.Thread, WatchStream]] = {}
        # By kind and namespace, each of one thread alone.
        self._versions: dict[tuple[str, str | None], str] = {}
        self._stopped = threading.Event()

    def run(self, on_change: Callable[[ContainerState], None], stopped: threading.Event) -> None:
        """Tell of changes until ``stopped`` is set."""
        late: dict[str, float] = {}
        try:
            while not stopped.is_set():
                self._start_streams()
                name = self._next()
                if name is not None and name not in late and self._is_unsettled(name):
                    late[name] = time.monotonic() + SETTLE_SECONDS
                elif name is not None:
                    late.pop(name, None)
                    self._tell(name, on_change)
                for settled in [name for name, at in late.items() if at <= time.monotonic()]:
                    del late[settled]
                    self._tell(settled, on_change)
        finally:
            self._stopped.set()
            for thread, stream in self._streams.values():
                stream.cut()
                thread.join(2.0)

    def _next(self) -> str | None:
        try:
            return self._changed.get(timeout=SETTLE_SECONDS / 2)
        except queue.Empty:
            return None

    def _is_unsettled(self, name: str) -> bool:
        return self._mirror.state(name).phase is Phase.GONE and not self._mirror.is_settled(name)

    def _tell(self, name: str, on_change: Callable[[ContainerState], None]) -> None:
        (state, is_left), before = self._mirror.taken(name), self._told.get(name)
        was_over = before is not None and before.phase in (Phase.ENDED, Phase.GONE)
        if not is_left:
            self._told.pop(name, None)
        elif not was_over:
            self._told[name] = state
        # Its end is told once; what follows is that it is removed. Without labels nobody knows it any more.
        if was_over or before == state or not state.labels:
            return
        try:
            on_change(state)
        except Exception:  # boundary: what the watchman does with a change must not end the watch
            logger.exception("What happened to container %s was not attended to", name)

    def _start_streams(self) -> None:
        for namespace in self._namespaces():
            for kind in KINDS:
                if (kind, namespace) in self._streams:
                    continue
                stream = WatchStream()
                thread = threading.Thread(
                    target=self._follow, args=(kind, namespace, stream), name=f"watch-{kind}", daemon=True
                )
                self._streams[kind, namespace] = (thread, stream)
                thread.start()

    def _follow(self, kind: str, namespace: str | None, stream: WatchStream) -> None:
        """Keep one watch open; of what is lost in between, the list tells."""
        place, pause = (kind, namespace), FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            try:
                if place not in self._versions:
                    self._list(kind, namespace)
                begun = time.monotonic()
                self._read_on(kind, namespace, stream)
                if time.monotonic() - begun >= FIRST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                    continue
                # Ended at once, by a proxy or a server that is going down: not asked again in the same moment.
                self._stopped.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except Gone:
                self._versions.pop(place, None)
                # Where each version is forgotten at once, all would be listed without an end.
                self._stopped.wait(FIRST_PAUSE_SECONDS)
            except PlatformError as error:
                if self._stopped.is_set():
                    return
                level = logging.WARNING if pause > FIRST_PAUSE_SECONDS else logging.INFO
                logger.log(level, "The watch of %s is interrupted, and made again in %.1f s: %s", kind, pause, error)
                if isinstance(error, Refused) and error.status in (400, 403, 404):
                    self._versions.pop(place, None)
                self._stopped.wait(pause * random.uniform(0.75, 1.25))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except Exception:  # boundary: an object that is not as expected must not end the watch of all others
                logger.exception("The watch of %s begins again with a list, in %.1f s", kind, pause)
                self._versions.pop(place, None)
                self._stopped.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _list(self, kind: str, namespace: str | None) -> None:
        found = list_objects(self._cluster, kind, namespace, self._selector)
        for name in self._mirror.replace(kind, namespace, found["items"]):
            self._changed.put(name)
        self._versions[kind, namespace] = str(found["metadata"]["resourceVersion"])

    def _read_on(self, kind: str, namespace: str | None, stream: WatchStream) -> None:
        function, arguments = _lister(self._cluster, kind, namespace)
        options = {"label_selector": self._selector, "resource_version": self._versions[kind, namespace]}
        for change in self._cluster.follow(f"watch {kind}", stream, function, *arguments, **options):
            item = change["object"]
            if change["type"] != "BOOKMARK":
                self._changed.put(self._mirror.apply(kind, change["type"], item))
            # With each change: a connection that is lost right after it is made up for from here.
            self._versions[kind, namespace] = item["metadata"]["resourceVersion"]


def list_objects(cluster: Cluster, kind: str, namespace: str | None, selector: str, **options: Any) -> dict[str, Any]:
    """Return the Jobs or pods of a selector, in one namespace or (None) in all, as the API lists them."""
    function, arguments = _lister(cluster, kind, namespace)
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    return cluster.call(f"list {kind} {where}", function, *arguments, label_selector=selector, **options)


def _lister(cluster: Cluster, kind: str, namespace: str | None) -> tuple[Callable[..., Any], tuple[str, ...]]:
    api = cluster.jobs() if kind == "jobs" else cluster.core()
    name = "job" if kind == "jobs" else "pod"
    if namespace is None:
        return getattr(api, f"list_{name}_for_all_namespaces"), ()
    return getattr(api, f"list_namespaced_{name}"), (namespace,)
