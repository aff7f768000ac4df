"""What a Job and its pods say of a container: ended, killed for memory, taken away, not able to start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchord_workers.containers.kubernetes_state import bytes_of, job_facts, pod_facts, state_of
from orchord_workers.containers.kubernetes_watch import Mirror
from orchord_workers.containers.platform import ContainerState, Phase

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def pod(state: dict[str, Any] | None = None, *, uid: str = "1", deleted: bool = False, **status: Any) -> dict[str, Any]:
    statuses = [] if state is None else [{"name": "orchord", "state": state}]
    metadata = {
        "uid": uid,
        "name": f"c1-{uid}",
        "namespace": "ns",
        "creationTimestamp": (CREATED + timedelta(seconds=int(uid))).isoformat().replace("+00:00", "Z"),
        "labels": {"orchord/container": "c1", "orchord/run_id": "r1"},
        **({"deletionTimestamp": "2026-01-01T00:01:00Z"} if deleted else {}),
    }
    spec = {"containers": [{"name": "orchord", "resources": {"limits": {"memory": "64Mi"}}}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", "containerStatuses": statuses, **status}}


def job(condition: str = "", reason: str = "", message: str = "") -> dict[str, Any]:
    conditions = [{"type": condition, "status": "True", "reason": reason, "message": message}] if condition else []
    metadata = {"name": "c1", "uid": "j", "namespace": "ns", "labels": {"orchord/run_id": "r1"}}
    return {"metadata": metadata, "status": {"conditions": conditions}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def seen(*pods: dict[str, Any], of: dict[str, Any] | None = None, after: float = 5.0) -> ContainerState:
    found = None if of is None else job_facts(of)
    return state_of("c1", found, [pod_facts(one) for one in pods], now=CREATED + timedelta(seconds=after))


def test_an_exit_code_is_told_with_the_limit_that_it_had() -> None:
    state = seen(pod(ended(3)), of=job())
    assert (state.phase, state.exit_code, state.reason) == (Phase.ENDED, 3, "")
    assert state.memory_limit_bytes == 64 * 2**20
    assert state.labels == {"orchord/run_id": "r1"}


def test_a_kill_for_memory_is_told_as_one() -> None:
    state = seen(pod(ended(137, "OOMKilled"), phase="Failed"), of=job("Failed", "BackoffLimitExceeded"))
    assert (state.phase, state.exit_code, state.out_of_memory, state.reason) == (Phase.ENDED, 137, True, "OOMKilled")


def test_a_program_that_is_not_there_is_told_in_the_runtimes_words() -> None:
    state = seen(pod(ended(127, "ContainerCannotRun", "exec: no such file")), of=job())
    assert (state.phase, state.reason) == (Phase.ENDED, "ContainerCannotRun: exec: no such file")


def test_an_init_container_that_cannot_start_or_fails_is_told_in_its_words() -> None:
    def before(state: dict[str, Any]) -> list[dict[str, Any]]:
        done = {"name": "done", "state": ended(0, "Completed")}
        beside = {"name": "beside", "started": True, "state": {"running": {}}}
        return [done, beside, {"name": "fetch", "state": state}, {"name": "next", "state": waiting("PodInitializing")}]

    held = waiting("PodInitializing")
    stuck = seen(pod(held, initContainerStatuses=before(waiting("ErrImageNeverPull", "no x:1"))), of=job())
    assert (stuck.phase, stuck.cannot_start, stuck.reason) == (Phase.PENDING, True, "ErrImageNeverPull: no x:1")
    at_work = seen(pod(held, initContainerStatuses=before({"running": {}})), of=job())
    assert (at_work.phase, at_work.cannot_start) == (Phase.PENDING, False)
    over = seen(pod(held, phase="Failed", initContainerStatuses=before(ended(2, "Error", "no disk"))), of=job())
    assert (over.phase, over.exit_code) == (Phase.ENDED, None)
    assert over.reason == "its init container 'fetch' ended with exit code 2: Error: no disk"


def test_an_evicted_pod_is_gone_whatever_its_container_says() -> None:
    words = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    for state in (seen(pod(**words), of=job()), seen(pod(ended(137), **words), of=job())):
        assert (state.phase, state.reason) == (Phase.GONE, "Evicted: The node was low on resource: memory.")


def test_a_deadline_is_an_end_and_no_loss() -> None:
    failed = job("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    words = "DeadlineExceeded: Job was active longer than specified deadline"
    for state in (seen(of=failed), seen(pod(ended(143), deleted=True), of=failed)):
        assert (state.phase, state.reason) == (Phase.ENDED, words)
    assert seen(pod({"running": {}}, deleted=True), of=failed).phase is Phase.RUNNING


def test_a_deleted_pod_is_gone_unless_it_ended_well() -> None:
    assert seen(pod(ended(143), deleted=True), of=job()).phase is Phase.GONE
    assert seen(pod(phase="Failed", deleted=True), of=job()).reason == "its pod was deleted"
    assert seen(pod(ended(0), deleted=True), of=job()).phase is Phase.ENDED
    assert seen(of=job("Failed", "BackoffLimitExceeded")).phase is Phase.GONE


def test_without_anything_left_it_is_gone() -> None:
    assert seen().reason == "the Job was deleted"
    assert seen(of=job("Complete")).exit_code == 0
    assert seen(of=job()).phase is Phase.PENDING


@pytest.mark.parametrize(
    ("reason", "message", "after_seconds", "cannot_start"),
    [
        ("ErrImageNeverPull", "", 1, True),
        ("InvalidImageName", "", 1, True),
        ("CreateContainerConfigError", 'secret "x" not found', 1, True),
        ("ErrImagePull", "manifest unknown", 1, True),
        ("ErrImagePull", "dial tcp: i/o timeout", 1, False),
        ("ImagePullBackOff", "Back-off pulling image", 30, False),
        ("ImagePullBackOff", "Back-off pulling image", 90, True),
        ("ContainerCreating", "", 900, False),
    ],
)
def test_what_waits_for_ever_cannot_start(reason: str, message: str, after_seconds: int, cannot_start: bool) -> None:
    state = seen(pod(waiting(reason, message)), of=job(), after=after_seconds)
    assert (state.phase, state.cannot_start) == (Phase.PENDING, cannot_start)
    assert state.reason.startswith(reason)


def test_a_pod_without_a_node_waits_and_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    state = seen(pod(conditions=[condition]), of=job(), after=900)
    assert (state.phase, state.reason, state.cannot_start) == (Phase.PENDING, "Unschedulable: 0/3 nodes", False)


def test_a_sidecar_that_runs_on_does_not_keep_the_container_from_ending() -> None:
    one = pod(ended(0, "Completed"), phase="Running")
    one["status"]["containerStatuses"].append({"name": "proxy", "state": {"running": {}}})
    assert seen(one, of=job()).phase is Phase.ENDED


def test_the_pod_that_a_job_makes_in_place_of_a_deleted_one_does_not_count() -> None:
    mirror = Mirror()
    mirror.apply("jobs", "ADDED", job())
    mirror.apply("pods", "ADDED", pod({"running": {}}))
    mirror.apply("pods", "MODIFIED", pod({"running": {}}, deleted=True))
    mirror.apply("pods", "ADDED", pod({"running": {}}, uid="2"))
    assert mirror.state("c1").phase is Phase.RUNNING
    mirror.apply("pods", "DELETED", pod({"running": {}}, deleted=True))
    assert (mirror.state("c1").phase, mirror.state("c1").reason) == (Phase.GONE, "its pod was deleted")


def test_a_pod_that_was_deleted_before_it_began_is_followed_by_another() -> None:
    mirror = Mirror()
    mirror.apply("jobs", "ADDED", job())
    mirror.apply("pods", "ADDED", pod(waiting("ContainerCreating")))
    mirror.apply("pods", "DELETED", pod(waiting("ContainerCreating"), deleted=True))
    mirror.apply("pods", "ADDED", pod({"running": {}}, uid="2"))
    assert mirror.state("c1").phase is Phase.RUNNING


def test_a_list_tells_of_what_is_no_longer_there() -> None:
    mirror = Mirror()
    mirror.replace("jobs", None, [job()])
    mirror.replace("pods", None, [pod({"running": {}})])
    assert mirror.replace("jobs", "another", []) == set()
    assert mirror.replace("pods", "ns", []) == {"c1"}
    assert mirror.replace("jobs", None, []) == {"c1"}
    assert mirror.state("c1").phase is Phase.GONE
    mirror.taken("c1")
    assert mirror.namespace("c1") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("64Mi", 67108864), ("1G", 10**9), ("1e3", 1000), ("1500m", 1), ("0.5Gi", 536870912), ("x", None)],
)
def test_quantities_are_read_in_every_spelling(text: str, number: int | None) -> None:
    assert bytes_of(text) == number
