"""The watch over what the API does to it: versions that it has forgotten, and answers that fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from orchord.testing import eventually
from orchord_workers.containers.kubernetes_client import Gone, Pace, Refused
from orchord_workers.containers.kubernetes_watch import Mirror, Watcher
from orchord_workers.containers.platform import ContainerState, Phase


def job(name: str, version: str, *, is_complete: bool = False) -> dict[str, Any]:
    conditions = [{"type": "Complete", "status": "True"}] if is_complete else []
    labels = {"orchord/owner": "me", "orchord/run_id": "r1"}
    metadata = {"name": name, "uid": name, "namespace": "ns", "resourceVersion": version, "labels": labels}
    return {"metadata": metadata, "status": {"conditions": conditions}}


class ScriptedCluster:
    """A cluster whose lists and watches of Jobs are written down; it has no pods."""

    def __init__(self, lists: list[Any], watches: list[list[Any]]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[str] = []
        self.quiet = threading.Event()

    def jobs(self) -> Any:
        return self

    core = jobs

    def __getattr__(self, name: str) -> Any:
        return name

    def call(self, what: str, function: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        if "pods" in what:
            return {"metadata": {"resourceVersion": "0"}, "items": []}
        found = self.lists.pop(0)
        if isinstance(found, Exception):
            raise found
        return {"metadata": {"resourceVersion": f"list{len(self.lists)}"}, "items": found}

    def follow(self, what: str, stream: Any, function: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        if "jobs" in what:
            self.asked.append(options["resource_version"])
            for change in self.watches.pop(0) if self.watches else ():
                if isinstance(change, Exception):
                    raise change
                yield change
            if self.watches:
                return
        self.quiet.wait(30)


def told_by(cluster: ScriptedCluster, until: Any) -> list[ContainerState]:
    told: list[ContainerState] = []
    stopped = threading.Event()
    watcher = Watcher(cluster, Mirror(), "me", lambda: [None])  # type: ignore[arg-type]
    thread = threading.Thread(target=watcher.run, args=(told.append, stopped))
    thread.start()
    try:
        eventually(lambda: until(told), 20)
    finally:
        stopped.set()
        cluster.quiet.set()
        thread.join(10)
    return told


def test_a_forgotten_version_leads_to_a_list_and_what_it_lacks_is_gone() -> None:
    first, second = [job("a", "1"), job("b", "2")], [job("b", "9", is_complete=True)]
    cluster = ScriptedCluster([first, second], [[Gone("too old")], []])
    told = told_by(cluster, lambda told: {state.phase for state in told} >= {Phase.GONE, Phase.ENDED})
    ends = {state.name: state for state in told}
    assert ends["a"].phase is Phase.GONE
    assert ends["a"].labels == {"orchord/owner": "me", "orchord/run_id": "r1"}
    assert (ends["b"].phase, ends["b"].exit_code) == (Phase.ENDED, 0)
    assert cluster.asked[:2] == ["list1", "list0"]


def test_a_lost_connection_reads_on_from_the_last_version_seen() -> None:
    changes = [
        {"type": "ADDED", "object": job("a", "5")},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}},
        Refused("Cannot watch jobs: connection lost", 0, is_passing=True),
    ]
    cluster = ScriptedCluster([[]], [changes, [{"type": "MODIFIED", "object": job("a", "10", is_complete=True)}]])
    told = told_by(cluster, lambda told: any(state.phase is Phase.ENDED for state in told))
    assert told[-1].phase is Phase.ENDED
    assert cluster.asked[:2] == ["list0", "8"]


def test_a_watch_that_ends_at_once_is_not_asked_for_without_a_pause() -> None:
    cluster = ScriptedCluster([[job("a", "1")]], [[] for _ in range(50)])
    told_by(cluster, lambda told: bool(told) and len(cluster.asked) >= 2)
    assert len(cluster.asked) < 10


def test_a_list_that_fails_is_asked_for_again() -> None:
    refusal = Refused("Cannot list jobs in all namespaces: overloaded", 429, is_passing=True)
    cluster = ScriptedCluster([refusal, [job("a", "1")]], [[]])
    assert [state.name for state in told_by(cluster, bool)] == ["a"]


def test_a_fault_of_who_is_told_does_not_end_the_watch() -> None:
    cluster = ScriptedCluster([[job("a", "1"), job("b", "1")]], [[]])
    told: list[str] = []

    def attend(state: ContainerState) -> None:
        told.append(state.name)
        raise ValueError("not prepared for this")

    stopped = threading.Event()
    watcher = Watcher(cluster, Mirror(), "me", lambda: [None])  # type: ignore[arg-type]
    thread = threading.Thread(target=watcher.run, args=(attend, stopped))
    thread.start()
    eventually(lambda: len(told) == 2, 20)
    stopped.set()
    cluster.quiet.set()
    thread.join(10)
    assert sorted(told) == ["a", "b"]


def test_an_object_that_cannot_be_read_does_not_end_the_watch() -> None:
    broken = {"type": "MODIFIED", "object": {"kind": "Job"}}
    cluster = ScriptedCluster([[], [job("a", "9", is_complete=True)]], [[broken], []])
    told = told_by(cluster, bool)
    assert [(state.name, state.phase) for state in told] == [("a", Phase.ENDED)]


def test_what_is_left_and_what_is_known_of_a_container_are_read_at_once() -> None:
    mirror = Mirror()
    mirror.apply("jobs", "ADDED", job("a", "1"))
    state, is_left = mirror.taken("a")
    assert (state.phase, is_left) == (Phase.PENDING, True)
    mirror.apply("jobs", "DELETED", job("a", "2"))
    state, is_left = mirror.taken("a")
    # Nobody is told of what has no labels: they are forgotten with the state that tells of the end, and not before.
    assert (state.phase, bool(state.labels), is_left) == (Phase.GONE, True, False)
    assert mirror.taken("a")[0].labels == {}


def test_calls_pass_in_a_burst_and_then_at_a_rate() -> None:
    pace = Pace(1000.0, 3)
    waits = []
    pace._never.wait = waits.append  # type: ignore[assignment,method-assign]
    for _ in range(6):
        pace.wait()
    assert len(waits) in (2, 3)
    assert all(0 < seconds <= 0.004 for seconds in waits)
